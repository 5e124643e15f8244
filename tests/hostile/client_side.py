"""Invariants of what the client got, and whether the trail says the same."""

from collections.abc import Mapping

from hostile.answers import Answer, Unreadable, read_answers
from hostile.case import OK, PAGE, Case
from hostile.evidence import Evidence, Record

HANGS = 2.0
"""Seconds in which a verdict must come."""
LINGERS = 2.5
"""Seconds for which the gateway may read on after a verdict, so that the client sees it."""
_UNTRAILED = frozenset(
    {
        b"authorization",
        b"connection",
        b"content-length",
        b"host",
        b"set-cookie",
        b"transfer-encoding",
        b"www-authenticate",
        b"x-gateway-subject",
        b"x-request-id",
    }
)
"""What may not come in trailers: whoever merges them would believe it."""


def found_by_client(case: Case, evidence: Evidence) -> list[str]:
    """Return what does not hold of the answers and their records."""
    shot = evidence.shot
    found = []
    if not shot.ended:
        found.append(f"I7: the connection was still open after {shot.ended_after:.1f} s")
    elif shot.answered_after > HANGS + case.lasts or shot.ended_after > HANGS + LINGERS + case.lasts:
        found.append(f"I7: answered after {shot.answered_after:.1f} s, ended after {shot.ended_after:.1f} s")
    decisions = evidence.decisions[int(evidence.preceded) :]
    judged = [_status_of(one, evidence.completions) for one in decisions]
    wanted = list(case.verdicts)
    has_after = any(one["path"] == "/open/after" for one in decisions)
    if case.ends and has_after:
        found.append("I5: what follows was taken for a request")
    if case.ends is False and not (has_after or case.may_stop):
        found.append("what follows was not taken for a request")
    if has_after:
        wanted.append(OK)
    if case.ends and len(judged) == 1 < len(wanted):
        # A flaw takes requests along that came in the same segment before it: the connection ends all the same.
        wanted = wanted[-1:]
    if case.may_stop and judged:
        wanted = wanted[: len(judged)]
    if len(judged) != len(wanted) or any(
        status not in allowed for status, allowed in zip(judged, wanted, strict=False)
    ):
        shown = [sorted(allowed) for allowed in wanted]
        found.append(f"I6: the trail has {judged} where {shown} is right")
    try:
        answers = read_answers(
            shot.got,
            heads={int(evidence.preceded)} if case.to_head else (),
            version_1_0=b" HTTP/1.0\r\n" in case.data[:9000],
        )
    except Unreadable as problem:
        return [*found, f"I4 client: {problem}"]
    final = [answer for answer in answers if not answer.is_interim][int(evidence.preceded) :]
    got = [answer.status for answer in final]
    # Nobody has to answer a client that has hung up.
    lost = shot.reset or case.hangs_up or (case.may_begin and 0 in judged)
    if got != judged[: len(got)] or (len(got) != len(judged) and not lost):
        found.append(f"I6: the client got {got}, the trail has {judged}")
    if final:
        names = {name.lower() for name, _ in final[0].lines}
        found += [f"the answer has {name!r}" for name in case.hides if name in names]
        told = {name + b": " + value for name, value in final[0].lines}
        found += [f"the answer lacks {line!r}" for line in case.tells if line not in told]
    return found + [wrong for answer in final for wrong in _answer(answer, case)]


def _answer(answer: Answer, case: Case) -> list[str]:
    """Return what is wrong with an answer that the gateway made, or with an honest one that it passed on."""
    found = []
    if not answer.whole and case.group != "lie":
        found.append(f"I4 client: an answer that ends early: {answer}")
    if answer.values(b"access-control-allow-origin") not in ([], [PAGE]):
        found.append("an origin was allowed that nobody listed")
    if any(name.lower() in _UNTRAILED for name, _ in answer.trailers):
        found.append(f"trailers that a reader may believe: {answer.trailers}")
    if len(answer.values(b"x-request-id")) != 1:
        found.append("I6: an answer without an id of its own")
    if answer.body.startswith(b"honest ") and answer.body != b"honest " + answer.request_id.encode():
        found.append(f"an answer to somebody else: {answer}")
    if answer.status >= 400 and case.group != "reply" and (answer.status >= 500 or case.group != "lie"):
        if answer.values(b"content-type") != [b"application/problem+json"]:
            found.append(f"a refusal that is no problem: {answer}")
        if answer.values(b"cache-control") != [b"no-store"]:
            found.append(f"a refusal that caches may keep: {answer.values(b'cache-control')}")
        if b"Traceback" in answer.body or b"aiohttp" in answer.body.lower():
            found.append(f"a refusal that tells of what is inside: {answer.body!r}")
    if answer.values(b"server"):
        found.append(f"an answer that names its server: {answer.values(b'server')}")
    return found


def _status_of(decision: Record, completions: Mapping[str, Record]) -> int:
    """Return the status that the trail says a request was answered with, 0 when it was cut off."""
    status = decision["status"]
    if status is None:
        completion = completions.get(decision["request_id"])
        status = None if completion is None else completion["status"]
    return status or 0
