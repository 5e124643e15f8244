"""From routes as they are written to what each of them demands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from gateway.config.compile_access import Access
from gateway.config.compile_conditions import ConditionCompiler
from gateway.config.compile_encryption import Encryption, compile_encryption
from gateway.config.compile_limits import LimitCompiler
from gateway.config.compile_needs import NeedsCompiler
from gateway.config.compile_pages import check_pages, compile_cors, compile_websocket
from gateway.config.compile_respond import compile_respond
from gateway.config.documents import PoliciesDocument, RouteDocument
from gateway.config.names_check import split_advice
from gateway.config.places import Path
from gateway.config.snapshot import CorsRules, Respond, WebsocketRules
from gateway.config.source import Names, SourceFile
from gateway.config.words import did_you_mean, listed, quoted
from gateway.model import Limit, Route
from gateway.policy import Condition
from gateway.routing import RouteClash, RouteTrie, template_params


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDraft:
    """A route with everything that the policies file says about it."""

    index: int
    route: Route
    params: frozenset[str]
    authn: tuple[str, ...]
    also: tuple[str, ...]
    because: str | None
    require: Mapping[str, frozenset[str]]
    when: Condition | None
    limits: tuple[Limit, ...]
    respond: Respond | None
    """An answer of the gateway itself; None: the upstream's."""
    websocket: WebsocketRules | None
    cors: CorsRules | None
    encryption: Encryption
    document: RouteDocument

    @property
    def is_public(self) -> bool:
        """Whether nobody has to prove anything."""
        return self.document.authn == "public"


@dataclass(slots=True)
class RouteCompiler:
    """Compiles all routes of one policy, and sees to it that no two mean the same requests."""

    document: PoliciesDocument
    source: SourceFile
    access: Access
    upstreams: Names
    limits: LimitCompiler
    conditions: ConditionCompiler
    needs: NeedsCompiler
    _seen: RouteTrie[RouteDraft] = field(default_factory=RouteTrie)
    _ids: dict[str, str] = field(default_factory=dict)

    def compile(self) -> list[RouteDraft]:
        """Return the routes in the order of the file; what is wrong with them is reported."""
        return [self._route(document, index) for index, document in enumerate(self.document.routes)]

    def _route(self, document: RouteDocument, index: int) -> RouteDraft:
        path: Path = ("routes", index)
        place = self.source.place(path)
        if document.id in self._ids:
            self.source.report(
                "E118",
                (*path, "id"),
                f"the route at {self._ids[document.id]} has the id {quoted(document.id)} already",
                "give each route an id of its own",
            )
            limits_of = f"route:{document.id}:{index}"
        else:
            self._ids[document.id] = place
            limits_of = f"route:{document.id}"
        params = self._params(document, path)
        self._check_destination(document, path)
        authn = self.needs.authn(document, path)
        self.needs.check_factor(document, path, authn)
        is_public = document.authn == "public"
        draft = RouteDraft(
            index=index,
            route=Route(
                id=document.id,
                host=document.match.host,
                methods=frozenset(document.match.methods),
                path=document.match.path,
                upstream="" if document.respond else document.upstream or "",
                place=place,
            ),
            params=params or frozenset(),
            authn=authn,
            also=self.needs.also(document, path, authn),
            because=document.because if is_public else None,
            require=self.needs.require(document, path, is_public=is_public),
            when=self._when(document, path, params, is_public=is_public),
            limits=self.limits.compile(document.limits, limits_of, (*path, "limits")),
            respond=compile_respond(document, path, self.source),
            websocket=compile_websocket(document),
            cors=compile_cors(document.cors or self.document.defaults.cors),
            encryption=compile_encryption(document, path, self.source, self._kinds(authn)),
            document=document,
        )
        check_pages(document, path, self.source)
        if params is not None:
            self._check_clash(draft, path)
        return draft

    def _kinds(self, authn: tuple[str, ...]) -> frozenset[str]:
        """Return the kinds of authenticators; none where one of them could not be read."""
        known = self.access.authenticators
        return frozenset(known[name].kind for name in authn) if known.keys() >= set(authn) else frozenset()

    def _params(self, document: RouteDocument, path: Path) -> frozenset[str] | None:
        """Return the parameters of the path; None when the template is wrong."""
        template = document.match.path
        at = (*path, "match", "path")
        try:
            params = frozenset(template_params(template))
        except ValueError as flaw:
            self.source.report("E203", at, *split_advice(str(flaw)))
            return None
        first, slash, _ = template.removeprefix("/").partition("/")
        if unquote(first) == "gateway" and slash:
            self.source.report(
                "E202", at, "paths under /gateway/ belong to the gateway itself", "choose another path"
            )
        return params

    def _check_clash(self, draft: RouteDraft, path: Path) -> None:
        route = draft.route
        try:
            self._seen.add(route.host, route.methods, route.path, draft)
        except RouteClash as clash:
            methods = [each for each in clash.methods if each != "HEAD" or "GET" not in clash.methods]
            other = clash.existing
            name = (
                f"{quoted(other.route.id)} ({other.route.place})"
                if isinstance(other, RouteDraft)
                else "another"
            )
            self.source.report(
                "E201",
                (*path, "match", "path"),
                f"the route {name} matches the same {listed(methods)} requests",
                "change the host, the path or the methods of one of them",
            )
        except ValueError as flaw:
            self.source.report("E204", (*path, "match", "host"), *split_advice(str(flaw)))

    def _check_destination(self, document: RouteDocument, path: Path) -> None:
        if document.upstream is None:
            if document.respond is None and not any(
                self.source.is_lost((*path, key)) for key in ("upstream", "respond")
            ):
                known = sorted(self.upstreams.known)
                self.source.report(
                    "E102",
                    path,
                    'a route lacks "upstream"',
                    f"add upstream: {known[0] if known else 'orders'}",
                )
            return
        if document.upstream not in self.upstreams:
            self.source.report(
                "E115",
                (*path, "upstream"),
                f"unknown upstream {quoted(document.upstream)}",
                did_you_mean(
                    document.upstream, self.upstreams.known, otherwise="declare it in the upstreams file"
                ),
            )
        if document.respond is not None:
            self.source.report(
                "E127",
                (*path, "respond"),
                'a route with "respond" asks no upstream',
                'remove "upstream"',
                key=True,
            )

    def _when(
        self, document: RouteDocument, path: Path, params: frozenset[str] | None, *, is_public: bool
    ) -> Condition | None:
        if document.when is None or is_public:
            return None
        # Where the template is wrong nothing can be said about its parameters.
        quiet = frozenset({"E107"}) if params is None else frozenset()
        return self.conditions.compile(
            document.when, (*path, "when"), params=params or frozenset(), quiet=quiet
        )
