"""The keys that requests count under."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.limits import charges_for, times
from gateway.model import ANONYMOUS, Charge, Principal, PrincipalKind

ALICE = Principal(
    id="usr_1",
    kind=PrincipalKind.USER,
    name="alice",
    authn="gateway",
    authn_kind="gateway_jwt",
    claims={"tenant": "red", "org": {"id": 7}, "nothing": None, "list": ["b", "a"]},
)
KEY = Principal(id="key_1", kind=PrincipalKind.API_KEY, name="ci", authn="keys", authn_kind="api_key")


@pytest.fixture
def key(limit: Any, head: Any) -> Any:
    def key_of(
        *per: str, principal: Principal = ALICE, client: str = "192.0.2.1", lines: tuple[Any, ...] = ()
    ) -> tuple[str, ...] | None:
        charges = charges_for(
            [limit("x", per=per)], principal=principal, client=client, route="orders", head=head(*lines)
        )
        return charges[0].key if charges else None

    return key_of


def test_a_key_begins_with_the_limit_and_has_a_part_for_each_dimension(key: Any) -> None:
    assert key("principal") == ("x", "usr_1")
    assert key("client_ip") == ("x", "192.0.2.1")
    assert key("route") == ("x", "orders")
    assert key("all") == ("x", "")
    assert key("principal", "route") == ("x", "5:usr_16:orders")
    assert key("claims.tenant", "all", "client_ip") == ("x", '5:"red"9:192.0.2.1')


def test_charges_keep_the_order_of_the_limits(limit: Any, head: Any) -> None:
    limits = [limit("b"), limit("a", per=("api_key",)), limit("c", per=("all",))]
    charges = charges_for(limits, principal=ALICE, client="192.0.2.1", route="r", head=head())
    assert [charge.limit.id for charge in charges] == ["b", "c"]


def test_nobody_counts_by_address(key: Any) -> None:
    assert key("principal", principal=ANONYMOUS) == ("x", "address 192.0.2.1")
    assert key("principal", principal=ANONYMOUS, client="2001:db8::1") == ("x", "address 2001:db8::/64")


def test_a_limit_per_api_key_applies_to_api_keys_only(key: Any) -> None:
    assert key("api_key", principal=KEY) == ("x", "key_1")
    assert key("api_key", principal=ALICE) is None
    assert key("api_key", principal=ANONYMOUS) is None
    assert key("route", "api_key", principal=ALICE) is None


def test_leaving_a_value_out_gains_nothing(key: Any) -> None:
    by_address = ("x", "address 192.0.2.1")
    assert key("claims.absent") == by_address
    assert key("claims.nothing") == by_address
    assert key("claims.tenant", principal=KEY) == by_address
    assert key("header.x-tenant") == by_address
    assert key("header.x-tenant", lines=((b"X-Tenant", b"a"), (b"X-Tenant", b"b"))) == by_address


def test_claims_and_fields_are_values_that_no_other_can_be_taken_for(key: Any) -> None:
    assert key("claims.org.id") == ("x", "7")
    assert key("claims.org") == ("x", '{"id":7}')
    assert key("claims.list") == ("x", '["b","a"]')
    assert key("header.X-Tenant", lines=((b"x-tenant", b"r\xe9d"),)) == ("x", "=réd")
    assert key("header.x-tenant", lines=((b"x-tenant", b"address 192.0.2.1"),)) != key("header.x-tenant")


def test_parts_cannot_be_joined_differently(key: Any) -> None:
    one = key("header.a", "header.b", lines=((b"a", b"1,2"), (b"b", b"3")))
    two = key("header.a", "header.b", lines=((b"a", b"1"), (b"b", b"2,3")))
    assert one != two


def test_a_long_value_is_counted_under_its_digest(key: Any) -> None:
    long = key("header.a", lines=((b"a", b"x" * 10_000),))
    other = key("header.a", lines=((b"a", b"x" * 10_001),))
    assert len(long[1]) == len(other[1]) == 32
    assert long != other


def test_what_is_charged_several_times_costs_as_much_under_the_same_key(limit: Any) -> None:
    cheap, dear = limit("a"), replace(limit("b"), cost=3)
    charges = (Charge(cheap, ("a", "usr_1")), Charge(dear, ("b", "usr_1")))
    for charge, written in zip(times(charges, 7), charges, strict=True):
        assert charge.key == written.key
        assert charge.limit == replace(written.limit, cost=7 * written.limit.cost)
    # Counters tell limits apart by which object they are.
    assert [charge.limit for charge in times(charges, 1)] == [cheap, dear]
    assert times(charges, 1)[0].limit is cheap
    assert times(charges, 7)[1].limit is times(charges, 7)[1].limit
