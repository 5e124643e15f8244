"""Parts of a record that are the same for many requests, encoded once: what a route says, and who asks.

A fragment is a run of JSON members that begins with a comma; a record is an object without its closing brace,
fragments, and the brace.
"""

from collections.abc import Mapping
from typing import Final

from gateway.audit.record import encode
from gateway.model import Principal, Route

_Kept = dict[tuple[object, ...], str]
_Identity = tuple[Principal, str, str]
"""Somebody, and what decisions and completions say of them."""
_KEPT: Final = 4096
"""Fragments of one kind that are kept; beyond that all are made anew."""


class Fragments:
    """Fragments, kept so that a changed role or policy never meets an old one: what a route says by what it
    is made of, who asks by the principal, which never changes."""

    def __init__(self) -> None:
        self._permits: _Kept = {}
        self._routes: _Kept = {}
        self._identities: dict[int, _Identity] = {}

    def permit(self, method: str, route: Route, revision: str) -> str:
        """Return the members that follow from a route's having let a request pass."""
        key = (method, route.id, revision)
        found = self._permits.get(key)
        if found is None:
            members = {
                **_destined(method, route),
                "decision": "allow",
                "reason": "ok",
                "rule": route.rule,
                "revision": revision,
            }
            found = _keep(self._permits, key, members)
        return found

    def route(self, method: str, route: Route) -> str:
        """Return the members that name a route and its upstream."""
        key = (method, route.id, route.path, route.upstream)
        found = self._routes.get(key)
        if found is None:
            found = _keep(self._routes, key, _destined(method, route))
        return found

    def identity(self, principal: Principal) -> str:
        """Return the members that say who asks and how that was proved; nothing for an anonymous caller."""
        found = self._identities.get(id(principal))
        if found is None or found[0] is not principal:
            found = self._introduced(principal)
        return found[1]

    def actor(self, principal: Principal) -> str:
        """Return the member that says who asks; nothing for an anonymous caller."""
        found = self._identities.get(id(principal))
        if found is None or found[0] is not principal:
            found = self._introduced(principal)
        return found[2]

    def _introduced(self, principal: Principal) -> _Identity:
        # Who asks again is the same object again, for authenticators remember whom they have verified; and
        # an object that is kept here shares its `id` with no other.
        if not principal.id:
            found = principal, "", ""
        else:
            members: dict[str, object] = {"authn": principal.authn}
            if principal.session is not None:
                members["session"] = principal.session
            if principal.roles:
                members["roles"] = sorted(principal.roles)
            # The actor comes last: the store looks for it at the end.
            actor = _members({"actor": _named(principal)})
            found = principal, _members(members) + actor, actor
        if len(self._identities) >= _KEPT:
            self._identities.clear()
        self._identities[id(principal)] = found
        return found


def _destined(method: str, route: Route) -> dict[str, str]:
    """Return the members that say what was asked for; no upstream where the gateway answers itself."""
    members = {"action": f"{method} {route.path}", "route": route.id}
    return {**members, "upstream": route.upstream} if route.upstream else members


def _named(principal: Principal) -> dict[str, str]:
    return {"id": principal.id, "kind": principal.kind.value, "name": principal.name}


def _members(members: Mapping[str, object]) -> str:
    return "," + encode(members)[1:-1].decode()


def _keep(kept: _Kept, key: tuple[object, ...], members: Mapping[str, object]) -> str:
    if len(kept) >= _KEPT:
        kept.clear()
    fragment = kept[key] = _members(members)
    return fragment
