"""Where tokens may be obtained from."""

from gateway.accounts.origin import Origin
from gateway.accounts.outcome import AccountRefusal
from gateway.accounts.rules import AccountRules
from gateway.model import Reason
from gateway.model.address import is_within


def outside_networks(rules: AccountRules, origin: Origin) -> AccountRefusal | None:
    """Return the refusal of a caller who is in none of the networks from which tokens may be obtained; None
    when it is in one, or any will do. Whoever has no address is in none."""
    networks = rules.login_networks
    if networks is None:
        return None
    if is_within(origin.source_ip or "", networks):
        return None
    return AccountRefusal(
        reason=Reason.DENIED,
        diagnosis="outside of accounts.login.networks",
        detail="Tokens cannot be obtained from here.",
    )
