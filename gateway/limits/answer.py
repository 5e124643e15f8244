"""What a caller is told about limits: the RateLimit fields, and when to come back."""

from collections.abc import Sequence
from urllib.parse import quote

from gateway.model import Limit, Tally, Verdict

_SECOND = 1_000_000
_SAID: dict[str, tuple[Limit, str, str | None]] = {}
"""What is said of each limit, by id; made anew when a reload has changed the limit."""
# Everything that a Structured Fields string may hold as it is (RFC 9651 section 3.3.3).
_AS_IT_IS = " !#$&'()*+,-./:;<=>?@[]^_`{|}~"


def rate_fields(tallies: Sequence[Tally]) -> tuple[bytes, bytes] | None:
    """Return the values of `RateLimit-Policy` and `RateLimit`, None when there is nothing to say.

    Written as draft-ietf-httpapi-ratelimit-headers-10 says. What is left of a limit that is shared by all
    callers (`per: all`, `per: route`) is nobody's business: such a limit shows only its policy, and nothing
    when it is alone.
    """
    policies = []
    states = []
    for limit, wait_us, remaining, reset_us in tallies:
        said = _SAID.get(limit.id)
        if said is None or said[0] is not limit:
            said = _say(limit)
        _, policy, name = said
        policies.append(policy)
        if name is not None:
            states.append(f"{name};r={remaining};t={-(-(wait_us or reset_us) // _SECOND)}")
    if not states:
        return None
    return ", ".join(policies).encode("ascii"), ", ".join(states).encode("ascii")


def retry_after(verdict: Verdict) -> float:
    """Return the seconds until every limit that refused would admit; 0 when none refused."""
    return max((tally.wait_us for tally in verdict.tallies), default=0) / _SECOND


def is_shared(limit: Limit) -> bool:
    """Say whether all callers spend the same quota."""
    return not set(limit.per) - {"all", "route"}


def _say(limit: Limit) -> tuple[Limit, str, str | None]:
    """Work out a limit's item in `RateLimit-Policy`, and its name in `RateLimit`, None when it is shared."""
    name = f'"{quote(limit.id, safe=_AS_IT_IS)}"'
    policy = f"{name};q={limit.quota};w={limit.window_us // _SECOND}"
    said = _SAID[limit.id] = (limit, policy, None if is_shared(limit) else name)
    return said
