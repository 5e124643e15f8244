"""What a route asks of its callers: who they are, and which scopes they hold. Absence is a finding."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config.compile_access import Access
from gateway.config.documents import PoliciesDocument, RouteDocument
from gateway.config.names_check import check_names
from gateway.config.places import Path
from gateway.config.source import Names, SourceFile
from gateway.config.words import did_you_mean, listed, quoted

_WITHOUT_FACTOR = frozenset({"api_key", "mtls"})
"""Kinds of authenticators that vouch for machines."""


@dataclass(frozen=True, slots=True)
class NeedsCompiler:
    """Compiles `authn`, `because` and `require` of all routes of one policy."""

    document: PoliciesDocument
    source: SourceFile
    access: Access

    def authn(self, document: RouteDocument, path: Path) -> tuple[str, ...]:
        """Return the authenticators of a route; none on a public one."""
        report = self.source.report
        authn = document.authn
        if authn == "public":
            if document.because is None and not self.source.is_lost((*path, "because")):
                report(
                    "E110",
                    (*path, "authn"),
                    'a public route lacks "because": why may anybody call it?',
                    'add because: "..." with the reason',
                )
            for key, value, why in (
                ("require", document.require, "has no caller to check scopes for"),
                ("when", document.when, "does not check conditions; a deny rule with routes does"),
                ("also", document.also, "asks for no credential"),
                ("mfa", document.mfa, "has no caller to ask for a second factor"),
                ("streams", document.streams, "asks for no credential that could expire"),
            ):
                if value is not None:
                    report(
                        "E111",
                        (*path, key),
                        f"a public route {why}",
                        f'remove "{key}", or "authn: public"',
                        key=True,
                    )
            return ()
        if document.because is not None and not self.source.is_lost((*path, "authn")):
            report(
                "E127",
                (*path, "because"),
                '"because" says why a route is public, and this one is not',
                'add authn: public, or remove "because"',
                key=True,
            )
        if isinstance(authn, list):
            self.check_authn(authn, (*path, "authn"))
            return tuple(authn)
        default = self.document.defaults.authn
        if isinstance(default, list):
            return tuple(default)
        known_absent = default is None and not self.source.is_lost(("defaults", "authn"))
        if known_absent and not self.source.is_lost((*path, "authn")):
            names = sorted(self.access.authenticator_names.known)
            report(
                "E123",
                (*path, "id"),
                'neither this route nor "defaults" says by which authenticators callers are known',
                f"add authn: [{names[0] if names else 'gateway'}]",
            )
        return ()

    def also(self, document: RouteDocument, path: Path, authn: tuple[str, ...]) -> tuple[str, ...]:
        """Return the authenticators whose credentials a route asks for in addition."""
        names = document.also
        if names is None or document.authn == "public":
            return ()
        at: Path = (*path, "also")
        declared = self.access.authenticator_names
        check_names(declared, names, at, self.source, code="E116", noun="authenticator")
        for index, name in enumerate(names):
            spec = self.access.authenticators.get(name)
            if spec is not None and spec.kind != "mtls":
                self.source.report(
                    "E127",
                    (*at, index),
                    f'"also" asks for a certificate, and {quoted(name)} knows none',
                    'name an authenticator of kind mtls, or write this one in "authn"',
                )
            elif name in authn:
                self.source.report(
                    "E127",
                    (*at, index),
                    f'{quoted(name)} is in "authn", too: the certificate would name a second caller',
                    "keep it in one of the two lists",
                )
        return tuple(names)

    def check_factor(self, document: RouteDocument, path: Path, authn: tuple[str, ...]) -> None:
        """Report a second factor that is asked of callers who can have none: nobody would ever pass."""
        specs = [self.access.authenticators.get(name) for name in authn]
        # Of one that could not be read, something is said already.
        useless = all(spec is not None and spec.kind in _WITHOUT_FACTOR for spec in specs)
        if document.mfa is not None and specs and useless:
            self.source.report(
                "E127",
                (*path, "mfa"),
                "none of the callers that this route accepts can have a second factor",
                'add an authenticator of users to its "authn", or remove "mfa"',
                key=True,
            )

    def check_authn(self, names: list[str], path: Path) -> None:
        """Report names in a list of authenticators that are not known."""
        if "public" in names:
            self.source.report(
                "E126",
                (*path, names.index("public")),
                '"public" stands alone',
                "write authn: public, or remove it here",
            )
        declared = self.access.authenticator_names
        check_names(
            Names(declared.known | {"public"}, declared.knows_all),
            names,
            path,
            self.source,
            code="E116",
            noun="authenticator",
        )

    def require(
        self, document: RouteDocument, path: Path, *, is_public: bool
    ) -> Mapping[str, frozenset[str]]:
        """Return the scopes by method; none on a public route."""
        require, methods = document.require, document.match.methods
        at: Path = (*path, "require")
        if is_public:
            return {}
        if require is None:
            if not any(self.source.is_lost((*path, key)) for key in ("require", "authn")):
                self.source.report(
                    "E112",
                    (*path, "id"),
                    "this route is neither public nor says what it requires",
                    "add require: [a scope], require: authenticated, or authn: public with because",
                )
            return {}
        if not isinstance(require, dict):
            scopes = self._scopes(require, at)
            return dict.fromkeys(methods, scopes)
        self._check_coverage(require, methods, path)
        return {method: self._scopes(each, (*at, method)) for method, each in require.items()}

    def _check_coverage(self, require: Mapping[str, object], methods: list[str], path: Path) -> None:
        at: Path = (*path, "require")
        listed_ = {*methods, "HEAD"} if "GET" in methods else set(methods)
        if self.source.is_whole((*path, "match")):
            for method in require:
                if method not in listed_:
                    self.source.report(
                        "E114",
                        (*at, method),
                        f"the route does not list {method}",
                        f"add {method} to its methods, or remove it here",
                        key=True,
                    )
        missing = [
            each for each in methods if each not in require and not (each == "HEAD" and "GET" in require)
        ]
        if missing and self.source.is_whole(at):
            self.source.report(
                "E114",
                at,
                f'"require" says nothing about {listed(missing)}',
                f"add {missing[0]}: [a scope]",
                key=True,
            )

    def _scopes(self, written: object, path: Path) -> frozenset[str]:
        if not isinstance(written, list):
            return frozenset()
        for index, scope in enumerate(written):
            if scope not in self.access.scopes:
                self.source.report(
                    "E103",
                    (*path, index),
                    f"unknown scope {quoted(scope)}",
                    did_you_mean(scope, self.access.scopes.known),
                )
        return frozenset(written)
