"""From `deny:` and `grants:` as they are written to rules."""

from dataclasses import dataclass

from gateway.config.compile_access import Access
from gateway.config.compile_conditions import ConditionCompiler
from gateway.config.compile_routes import RouteDraft
from gateway.config.documents import DenyDocument, PoliciesDocument
from gateway.config.names_check import check_names
from gateway.config.places import Path, node_at
from gateway.config.source import Names, SourceFile
from gateway.config.words import did_you_mean, quoted
from gateway.policy import DenyRule, GrantRule

_OF_OTHERS = frozenset({"jwt", "mtls"})
"""Kinds of authenticators whose callers the gateway has no accounts for."""


@dataclass(frozen=True, slots=True)
class RuleCompiler:
    """Compiles all deny rules and all grants of one policy."""

    document: PoliciesDocument
    source: SourceFile
    access: Access
    conditions: ConditionCompiler
    drafts: list[RouteDraft]

    def compile(self) -> list[DenyRule]:
        """Return the deny rules in the order of the file; what is wrong with them is reported."""
        routes = _route_names(self.source, self.drafts)
        seen: dict[str, str] = {}
        found = []
        for index, document in enumerate(self.document.deny):
            path: Path = ("deny", index)
            if document.id in seen:
                self.source.report(
                    "E118",
                    (*path, "id"),
                    f"the rule at {seen[document.id]} has the id {quoted(document.id)} already",
                    "give each rule an id of its own",
                )
            seen.setdefault(document.id, self.source.place(path))
            rule = self._rule(document, path, routes)
            if rule is not None:
                found.append(rule)
        return found

    def _rule(self, document: DenyDocument, path: Path, routes: Names) -> DenyRule | None:
        params: frozenset[str] | None = None
        quiet: frozenset[str] = frozenset()
        names = document.routes
        if names is not None:
            check_names(routes, names, (*path, "routes"), self.source, code="E117", noun="route")
            meant = [draft.params for draft in self.drafts if draft.route.id in names]
            # A parameter must be one of every route that the rule is for.
            params = frozenset.intersection(*meant) if meant else frozenset()
            if len(meant) < len(names):
                quiet = frozenset({"E107"})
        elif self.source.is_lost((*path, "routes")):
            quiet = frozenset({"E107"})
        condition = self.conditions.compile(document.when, (*path, "when"), params=params, quiet=quiet)
        if condition is None:
            return None
        if names is not None and condition.needs_identity:
            self._warn_about_public(names, path)
        return DenyRule(
            id=document.id, routes=None if names is None else frozenset(names), condition=condition
        )

    def _warn_about_public(self, names: list[str], path: Path) -> None:
        public = {draft.route.id for draft in self.drafts if draft.is_public}
        for index, name in enumerate(names):
            if name in public:
                self.source.report(
                    "W308",
                    (*path, "routes", index),
                    f"the route {quoted(name)} is public: this rule looks at the caller, and there is none",
                    "deny by client.ip, time, header or path, or remove the route here",
                )

    def compile_grants(self) -> list[GrantRule]:
        """Return the grants in the order of the file; what is wrong with them is reported."""
        found = []
        for index, document in enumerate(self.document.grants):
            path: Path = ("grants", index)
            if document.role not in self.access.role_names:
                self.source.report(
                    "E104",
                    (*path, "role"),
                    f"unknown role {quoted(document.role)}",
                    did_you_mean(document.role, self.access.role_names.known),
                )
            self._check_from(document.from_, (*path, "from"))
            condition = self.conditions.compile(document.when, (*path, "when"), params=None)
            if condition is None:
                continue
            if "principal.roles" in condition.attributes:
                self.source.report(
                    "E127",
                    (*path, "when"),
                    "a grant decides about roles, and cannot ask for them",
                    "ask for claims.*, client.cert.* or principal.id",
                    key=True,
                )
            found.append(
                GrantRule(role=document.role, authenticators=frozenset(document.from_), condition=condition)
            )
        return found

    def _check_from(self, names: list[str], path: Path) -> None:
        check_names(
            self.access.authenticator_names, names, path, self.source, code="E116", noun="authenticator"
        )
        for index, name in enumerate(names):
            spec = self.access.authenticators.get(name)
            if spec is not None and spec.kind not in _OF_OTHERS:
                self.source.report(
                    "E127",
                    (*path, index),
                    f"callers that {quoted(name)} knows have their roles in the database",
                    "name authenticators of kind jwt or mtls",
                )


def _route_names(source: SourceFile, drafts: list[RouteDraft]) -> Names:
    known = frozenset(draft.route.id for draft in drafts)
    root = source.root
    partial = root is not None and bool(node_at(root, ("routes",)).lost) and "routes" in (root.fields or {})
    return Names(known, knows_all=partial or source.is_lost(("routes",)))
