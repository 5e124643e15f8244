"""Invariants of what upstreams got: how often, of whom, and whether a strict reader reads it to its end."""

import re
from urllib.parse import unquote_to_bytes

from hostile.case import EVIL, Case
from hostile.evidence import Evidence
from hostile.recorder import Asked

_LONGEST_PATH = 2048
_NAMED = (b"/guarded", b"/named", b"/blue", b"/keyed", b"/paged-guarded", b"/socket-guarded")
"""Where requests may go on with an identity."""
_CLAIMS = re.compile(
    rb"x-gateway-.*|x-request-id|forwarded|x-forwarded-.*|x-real-ip|x-client-ip|true-client-ip|cf-connecting-ip"
    rb"|x-cluster-client-ip|x-original-url|x-rewrite-url|x-original-method|x-http-method(-override)?"
    rb"|x-method-override|x-envoy-.*|x-user|x-user-.*|x-remote-user|x-internal-.*|x-api-key"
)
_OURS = frozenset({b"x-request-id", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})
_IDENTITY = frozenset(
    {
        b"x-gateway-assertion",
        b"x-gateway-subject",
        b"x-gateway-roles",
        b"x-gateway-scopes",
        b"x-gateway-auth-kind",
    }
)
_HOP = frozenset({b"keep-alive", b"proxy-connection", b"upgrade", b"expect", b"http2-settings", b"trailer"})
_NEVER = (b"/admin", b"/open/after/")
_HARMLESS = (b"/open/before", b"/open/after")
_PLAIN = _OURS | frozenset({b"host", b"via", b"traceparent"})
"""What upstreams get of the harmless request. More than that is somebody else's."""


def found_upstream(case: Case, evidence: Evidence) -> list[str]:
    """Return what does not hold of the requests that upstreams got."""
    found = [f"I4 upstream: {wrong}" for wrong in evidence.wrongs if not _is_cut_short(case, wrong)]
    found += _counts(evidence)
    found += _targets(case, evidence)
    for asked in evidence.asked:
        found += _claims(asked, evidence)
    return found + _wanted(case, evidence)


def _is_cut_short(case: Case, wrong: str) -> bool:
    return case.may_begin and wrong.startswith("left over")


def _counts(evidence: Evidence) -> list[str]:
    allowed = [one["request_id"] for one in evidence.decisions if one["decision"] == "allow"]
    ids = [asked.request_id for asked in evidence.asked]
    found = [f"I1: {one} was not allowed, and reached an upstream" for one in ids if one not in allowed]
    if len(ids) > len(set(ids)):
        found.append(f"I1: upstreams were asked {len(ids)} times for {len(set(ids))} requests")
    return found


def _targets(case: Case, evidence: Evidence) -> list[str]:
    found = []
    paths = {one["request_id"]: one["path"] or "" for one in evidence.decisions}
    for asked in evidence.asked:
        path = asked.target.partition(b"?")[0].decode("ascii")
        recorded = paths.get(asked.request_id, "").partition("?")[0]
        if path[:_LONGEST_PATH] != recorded[:_LONGEST_PATH] and asked.target not in case.targets:
            found.append(f"I2: asked for {path[:200]!r}, recorded {recorded[:200]!r}")
        if b" " + asked.target + b" " not in evidence.shot.sent and asked.target not in case.targets:
            found.append(f"I2: asked for {asked.target[:200]!r}, which nobody sent")
        if any(_simplest(asked.target).startswith(never) for never in _NEVER):
            found.append(f"I2: {asked.target!r} reached an upstream that may read it as protected")
    return found


def _simplest(target: bytes) -> bytes:
    """Return a path as the most careless of upstreams would read it."""
    path = target.partition(b"?")[0]
    for _ in range(3):
        path = unquote_to_bytes(path)
    path = path.replace(b"\\", b"/").replace(b"\x00", b"").lower()
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        name = segment.partition(b";")[0].strip()
        if name == b"..":
            del kept[-1:]
        elif name not in (b"", b"."):
            kept.append(name)
    return b"/" + b"/".join(kept)


def _claims(asked: Asked, evidence: Evidence) -> list[str]:
    found = []
    if EVIL in asked.head.partition(b"\r\n")[2].lower():
        found.append(f"I3: the upstream got what only the gateway may say: {_lines_with(EVIL, asked)}")
    seen: dict[bytes, int] = {}
    for name, value in asked.lines:
        folded = name.lower().replace(b"_", b"-").replace(b".", b"-")
        seen[folded] = seen.get(folded, 0) + 1
        if _CLAIMS.fullmatch(folded) and name.lower() not in _OURS | _IDENTITY:
            found.append(f"I3: the upstream got {name!r}: {value!r}")
        if folded in _HOP and not (folded == b"upgrade" and asked.target.startswith(b"/socket")):
            found.append(f"I4: the upstream got {name!r}: {value!r}")
    found += [
        f"I3: the upstream got {name!r} {seen.get(name, 0)} times"
        for name in _OURS
        if seen.get(name) != 1 and not (name == b"x-forwarded-host" and name not in seen)
    ]
    found += [f"I3: the upstream got {name!r} twice" for name in _IDENTITY if seen.get(name, 0) > 1]
    came_from = [evidence.shot.source.encode()]
    if evidence.by_proxy is not None:
        came_from = [b", ".join((*evidence.by_proxy, *came_from))]
    if asked.values(b"x-forwarded-for") != came_from:
        found.append(f"I3: X-Forwarded-For is {asked.values(b'x-forwarded-for')}")
    if not asked.target.startswith(_NAMED) and seen.keys() & _IDENTITY:
        found.append(f"I3: an identity for nobody: {sorted(seen.keys() & _IDENTITY)}")
    return found


def _lines_with(mark: bytes, asked: Asked) -> list[bytes]:
    return [line for line in asked.head.split(b"\r\n") if mark in line.lower()]


def _wanted(case: Case, evidence: Evidence) -> list[str]:
    found = []
    whole = [asked for asked in evidence.asked if asked.complete]
    after = sum(asked.target == b"/open/after" for asked in whole)
    before = [asked for asked in whole if asked.target not in _HARMLESS]
    if case.may_begin and before:
        found.append(f"I4: an upstream got a whole request where there was none: {before[0]}")
    bodies = tuple(asked.body for asked in before)
    if case.bodies is not None and bodies not in _fine_bodies(case):
        got = [asked.body[:200] for asked in before]
        found.append(f"I4: upstreams got the bodies {got}")
    if before:
        head = before[0].head
        found += [f"upstream lacks {line!r}" for line in case.has if line + b"\r\n" not in head]
        names = {name.lower() for name, _ in before[0].lines}
        found += [f"upstream got {name!r}" for name in case.lacks if name in names]
    elif case.has or case.lacks:
        found.append("no upstream was asked")
    if after > 1:
        found.append("I5: what follows was asked for twice")
    for asked in whole:
        strange = [line for line in asked.lines if line[0].lower() not in _PLAIN]
        if asked.target in _HARMLESS and strange:
            found.append(f"I5: a part of the attack is in another request: {strange}")
    return found


def _fine_bodies(case: Case) -> list[tuple[bytes, ...]]:
    fine = [case.bodies or ()]
    if case.ends and len(case.verdicts) > 1:
        # A flaw behind a flawless request takes that along when both came in one segment.
        fine.append(())
    if case.may_stop:
        fine.append(fine[0][:1])
    return fine
