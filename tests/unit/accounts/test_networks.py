"""Where tokens may be obtained from."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from unit.accounts.deeds import ORIGIN, register, try_to_log_in
from unit.accounts.house import RULES, House

from gateway.accounts import AccountRefusal, outside_networks
from gateway.model import Reason

OFFICE = replace(RULES, login_networks=(ip_network("203.0.113.0/24"), ip_network("2001:db8:10::/48")))


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8:10:1::2", "::ffff:203.0.113.9"])
def test_whoever_is_inside_may_go_on(address: str) -> None:
    assert outside_networks(OFFICE, replace(ORIGIN, source_ip=address)) is None


@pytest.mark.parametrize("address", ["203.0.114.7", "2001:db8:11::1", "no address", "", None])
def test_whoever_is_outside_or_has_no_address_is_refused(address: str | None) -> None:
    refusal = outside_networks(OFFICE, replace(ORIGIN, source_ip=address))
    assert refusal is not None
    assert refusal.reason is Reason.DENIED


def test_no_networks_are_any_network_and_an_empty_list_is_none() -> None:
    assert outside_networks(RULES, replace(ORIGIN, source_ip=None)) is None
    assert outside_networks(replace(RULES, login_networks=()), ORIGIN) is not None


async def test_from_outside_nothing_is_said_about_the_password(house: House) -> None:
    await register(house)
    before = len(house.events.kept)
    for password in ("wrong", "correct horse battery"):
        refused = await try_to_log_in(
            house, password=password, rules=OFFICE, origin=replace(ORIGIN, source_ip="198.51.100.1")
        )
        assert isinstance(refused, AccountRefusal)
        assert refused.reason is Reason.DENIED
    assert len(house.events.kept) == before
