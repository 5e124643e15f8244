"""The nine invariants, checked for one attack that was sent once.

1. Upstreams were asked no more often than requests were allowed.
2. What upstreams were asked for is what was recorded, and what the client sent, byte for byte.
3. No field with which a client claims an identity or an address reached an upstream.
4. What upstreams got is read to its last byte by a strict reader, and so is what the client got.
5. After a framing error the connection ends, and what follows was never a request.
6. Every request left a record.
7. No status but those that were meant, and nothing hung.
8. No secret was written anywhere.
9. The gateway serves a plain request right after.
"""

from hostile.case import SECRET, Case
from hostile.client_side import found_by_client
from hostile.evidence import Evidence
from hostile.upstream_side import found_upstream


def breaches(case: Case, evidence: Evidence) -> list[str]:
    """Return what does not hold."""
    found = found_upstream(case, evidence) + found_by_client(case, evidence) + _secrets(evidence)
    if not evidence.shot.alive.startswith(b"HTTP/1.1 200 "):
        found.append(f"I9: a plain request was answered {evidence.shot.alive[:100]!r}")
    return found


def _secrets(evidence: Evidence) -> list[str]:
    found = []
    for secret in (SECRET, *evidence.secrets):
        if secret in evidence.shot.got:
            found.append("I8: a secret in an answer")
        if any(secret in asked.head for asked in evidence.asked if secret != SECRET):
            found.append("I8: a credential of the gateway's went to an upstream")
    return found
