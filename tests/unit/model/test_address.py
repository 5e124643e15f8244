"""Addresses in the form in which they are compared."""

from ipaddress import ip_address

import pytest

from gateway.model.address import read_address


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
