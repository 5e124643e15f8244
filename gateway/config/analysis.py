"""What is allowed and yet probably not meant. Every warning is exact: it says what is so, not what may be."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from gateway.config.compile import Compiled
from gateway.config.compile_access import Access
from gateway.config.compile_routes import RouteDraft
from gateway.config.documents import PoliciesDocument
from gateway.config.source import SourceFile
from gateway.config.words import listed, printable, quoted
from gateway.policy import BUILT_IN_SCOPES, expand_scope, is_wildcard

_SOON = timedelta(days=14)


def analyse(compiled: Compiled, policies: SourceFile, upstreams: SourceFile, now: float) -> None:
    """Report warnings and notes. They rest on the whole of both files: nothing else may be wrong with them.

    `now` is in seconds since the epoch.
    """
    document, access, drafts = compiled.document, compiled.access, compiled.drafts
    _scopes(policies, access, drafts)
    _roles(document, policies, access)
    _routes(document, policies, access, drafts, now)
    _keys(policies, drafts)
    used = {draft.route.upstream for draft in drafts}
    for name in sorted(upstreams.names("upstreams").known - used):
        upstreams.report(
            "W305",
            ("upstreams", name),
            f"no route leads to the upstream {quoted(name)}",
            "remove it, or add a route",
            key=True,
        )


def _scopes(source: SourceFile, access: Access, drafts: Sequence[RouteDraft]) -> None:
    required: dict[str, RouteDraft] = {}
    for draft in drafts:
        for scopes in draft.require.values():
            for scope in scopes:
                required.setdefault(scope, draft)
    for scope in sorted(access.scopes.known - BUILT_IN_SCOPES - required.keys()):
        source.report("W301", ("scopes", scope), f"no route requires the scope {quoted(scope)}", key=True)
    held = access.roles.scopes_of(access.role_names.known)
    for scope in sorted(required.keys() - held):
        draft = required[scope]
        source.report(
            "W302",
            ("routes", draft.index, "require"),
            f"no role holds the scope {quoted(scope)}: nobody can call the route {quoted(draft.route.id)}",
            "add the scope to a role",
        )


def _roles(document: PoliciesDocument, source: SourceFile, access: Access) -> None:
    vocabulary = access.scopes.known
    for name, role in document.roles.items():
        if not access.roles.scopes_of(frozenset({name})):
            source.report(
                "W303",
                ("roles", name),
                f"the role {quoted(name)} grants nothing",
                "give it scopes, or remove it",
                key=True,
            )
        for index, scope in enumerate(role.scopes):
            if is_wildcard(scope):
                count = len(expand_scope(scope, vocabulary))
                source.report(
                    "W310",
                    ("roles", name, "scopes", index),
                    f"the role {quoted(name)} holds {quoted(scope)}, "
                    f"{count} scope{'s' * (count != 1)} now, and those to come",
                )
    if document.accounts is None or document.accounts.registration != "open":
        return
    for index, name in enumerate(document.accounts.default_roles):
        powers = sorted(access.roles.scopes_of(frozenset({name})) & BUILT_IN_SCOPES)
        if powers:
            source.report(
                "W309",
                ("accounts", "default_roles", index),
                f"whoever registers gets the role {quoted(name)}, and with it {listed(powers)}",
                "give new accounts a role without gateway: scopes",
            )


def _routes(
    document: PoliciesDocument,
    source: SourceFile,
    access: Access,
    drafts: Sequence[RouteDraft],
    now: float,
) -> None:
    today = datetime.fromtimestamp(now, UTC).date()
    for draft in drafts:
        if draft.is_public:
            source.report(
                "W311",
                ("routes", draft.index, "authn"),
                f"public: {listed(sorted(draft.route.methods))} {draft.route.host or ''}{draft.route.path}: "
                f"{printable(draft.because or '')}",
            )
        mode = document.routes[draft.index].mode
        if mode is not None and mode.shadow_until - today <= _SOON:
            state = (
                "is over"
                if mode.shadow_until <= today
                else f"ends in {(mode.shadow_until - today).days} days"
            )
            source.report(
                "W306",
                ("routes", draft.index, "mode", "shadow_until"),
                f"the trial of the route {quoted(draft.route.id)} {state}",
                "from that day on its rules are enforced",
            )
        _condition(source, access, draft)


def _keys(source: SourceFile, drafts: Sequence[RouteDraft]) -> None:
    """Warn of requests that may be encrypted with what encrypts responses: a ciphertext does not say which of
    the two it is."""
    encrypting = {
        draft.encryption.response.key: draft
        for draft in reversed(drafts)
        if draft.encryption.response is not None
    }
    for draft in drafts:
        key = draft.encryption.request
        if key is not None and (other := encrypting.get(key)) is not None:
            source.report(
                "W312",
                ("routes", draft.index, "decrypt_request", "key"),
                f"{quoted(key)} encrypts the responses of the route {quoted(other.route.id)} too: whoever "
                "may call both can send such a response here, and has the service read what they cannot",
                "use a key of its own for requests",
            )


def _condition(source: SourceFile, access: Access, draft: RouteDraft) -> None:
    """Warn of a condition on claims where no caller can have any: keys have no claims."""
    kinds = [access.authenticators[name].kind for name in draft.authn if name in access.authenticators]
    if len(kinds) < len(draft.authn) or set(kinds) != {"api_key"}:
        return
    for attribute, question in (draft.document.when or {}).items():
        if attribute.startswith("claims.") and isinstance(question, dict) and question.keys() != {"present"}:
            source.report(
                "W307",
                ("routes", draft.index, "when", attribute),
                f"callers of this route have API keys, and keys have no claims: {printable(attribute)} "
                "is always missing",
                "add another authenticator, or remove the condition",
                key=True,
            )
