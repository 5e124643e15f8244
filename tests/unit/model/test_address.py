"""Addresses in the form in which they are compared."""

from ipaddress import ip_address, ip_network

import pytest

from gateway.model.address import client_key, is_within, read_address, read_network


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:201%1", "192.0.2.1"),
    ],
)
def test_an_address_has_one_form(text: str, address: str) -> None:
    assert read_address(text) == ip_address(address)


@pytest.mark.parametrize(
    "text", ["", "192.0.2", "192.0.2.01", "0x7f.0.0.1", "2130706433", "[::1]", "a", "::1/64", "1.2.3.4 "]
)
def test_what_is_no_address_is_nothing(text: str) -> None:
    assert read_address(text) is None


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("2001:DB8:1:2:0:0:0:1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("64:ff9b::192.0.2.1", "192.0.2.1"),
        ("2002:c000:0201:5::1", "192.0.2.1"),
        ("", ""),
        ("not an address", "not an address"),
    ],
)
def test_an_address_counts_with_those_that_one_client_can_choose_among(address: str, counted: str) -> None:
    assert client_key(address) == counted


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        # Of more than mapped addresses, IPv6 is what is left.
        ("::/0", "::/0"),
    ],
)
def test_a_range_has_the_form_of_the_addresses_in_it(text: str, network: str) -> None:
    assert read_network(text) == ip_network(network)


@pytest.mark.parametrize("text", ["", "a", "192.0.2.1/24", "::ffff:192.0.2.1/120", "192.0.2.0/33"])
def test_what_is_no_range_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|has host bits|not permitted"):
        read_network(text)


@pytest.mark.parametrize(
    ("address", "is_in"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("192.0.3.7", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
        ("unix", False),
    ],
)
def test_an_address_is_within_ranges_in_whatever_form_it_comes(address: str, is_in: bool) -> None:
    assert is_within(address, [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")]) is is_in
    assert not is_within(address, [])
