"""Parts of a record that are the same for many requests, encoded once: what a route says, and who asks.

A fragment is a run of JSON members that begins with a comma; a record is an object without its closing brace,
fragments, and the brace.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.audit.record import encode
from gateway.model import Principal, Route

_Kept = dict[tuple[object, ...], str]
_KEPT: Final = 4096
"""Fragments of one kind that are kept; beyond that all are made anew."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Introduction:
    """Who asks, as records say it."""

    principal: Principal
    subject: str | None
    """The person whose personal data it is when the caller is named; None: nobody's."""
    credentials: str
    """How that was proved, and with which roles; nothing for an anonymous caller."""
    confined: Mapping[str, object]
    """Attributes that say what the credential is confined to."""
    actor: str
    """The actor, without the name when that is somebody's personal data."""
    decided: str
    """All members that a decision without other attributes has of the caller."""


class Fragments:
    """Fragments, kept so that a changed role or policy never meets an old one: what a route says by what it
    is made of, who asks by the principal, which never changes."""

    def __init__(self) -> None:
        self._permits: _Kept = {}
        self._routes: _Kept = {}
        self._introductions: dict[int, Introduction] = {}

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

    def introduction(self, principal: Principal) -> Introduction:
        """Return who asks, as records say it."""
        found = self._introductions.get(id(principal))
        if found is None or found.principal is not principal:
            # Who asks again is the same object again, for authenticators remember whom they have verified;
            # and an object that is kept here shares its `id` with no other.
            found = introduced(principal)
            if len(self._introductions) >= _KEPT:
                self._introductions.clear()
            self._introductions[id(principal)] = found
        return found


def introduced(principal: Principal) -> Introduction:
    """Return who asks, as records say it, without keeping it."""
    if not principal.id:
        return Introduction(
            principal=principal, subject=None, credentials="", confined={}, actor="", decided=""
        )
    credentials: dict[str, object] = {"authn": principal.authn}
    if principal.session is not None:
        credentials["session"] = principal.session
    if principal.roles:
        credentials["roles"] = sorted(principal.roles)
    actor = {"id": principal.id, "kind": principal.kind.value}
    if principal.subject is None:
        actor["name"] = principal.name
    limit = principal.scope_limit
    confined = {} if limit is None else {"credential.scopes": sorted(limit)}
    # The actor comes last, but for what says of persons: the store looks for it at the end.
    texts = members(credentials), attributes_member(confined), members({"actor": actor})
    return Introduction(
        principal=principal,
        subject=principal.subject,
        credentials=texts[0],
        confined=confined,
        actor=texts[2],
        decided="".join(texts),
    )


def members(named: Mapping[str, object]) -> str:
    """Return members as a fragment."""
    return "," + encode(named)[1:-1].decode()


def attributes_member(attributes: Mapping[str, object]) -> str:
    """Return the member that holds attributes; nothing when there are none."""
    return members({"attributes": attributes}) if attributes else ""


def _destined(method: str, route: Route) -> dict[str, str]:
    """Return the members that say what was asked for; no upstream where the gateway answers itself."""
    destined = {"action": f"{method} {route.path}", "route": route.id}
    return {**destined, "upstream": route.upstream} if route.upstream else destined


def _keep(kept: _Kept, key: tuple[object, ...], named: Mapping[str, object]) -> str:
    if len(kept) >= _KEPT:
        kept.clear()
    fragment = kept[key] = members(named)
    return fragment
