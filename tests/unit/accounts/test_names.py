"""Which names an account may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import fault_in_email, fault_in_username
from gateway.model import canonical_name


@pytest.mark.parametrize(
    "name", ["a", "ada", "Ada.Lovelace", "ada-99", "アダ", "straße", "x" * 64, "';--", "o'neil"]
)
def test_ordinary_names_are_fine(name: str) -> None:
    assert fault_in_username(name) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "1 to 64"),
        ("x" * 65, "1 to 64"),
        ("\ufdfa" * 5, "1 to 64"),
        ("ada lovelace", "spaces"),
        ("ada\u00a0", "spaces"),
        ("ada\n", "control"),
        ("ada\x00", "control"),
        ("ad\u200ba", "invisible"),
        ("ad\u202ea", "invisible"),
        ("ad\u00ada", "invisible"),
        ("ad\ud800a", "invisible"),
        ("ada@example.com", "@"),
        ("ada\uff20example.com", "@"),
        ("https://issuer|sub", "|"),
        ("usr_0123", "begin with"),
        ("KEY_0123", "begin with"),
        ("ＵＳＲ_1", "begin with"),
    ],
)
def test_what_is_wrong_with_a_name_is_said(name: str, said: str) -> None:
    fault = fault_in_username(name)
    assert fault is not None
    assert said in fault


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com",
        "a.b+c@sub.example.co.uk",
        "root@localhost",
        "Ada@Example.COM",
        "ü@exämple.de",
        "o'neil@x.ie",
    ],
)
def test_ordinary_addresses_are_fine(address: str) -> None:
    assert fault_in_email(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@@example.com",
        "ada@a@b",
        "ada＠b@c.de",
        "ada@example..com",
        "ada@-example.com",
        "ada@example.com.",
        ".ada@example.com",
        "ada.@example.com",
        "a..b@example.com",
        "ada lovelace@example.com",
        "ada@exam ple.com",
        "ada@example.com\n",
        "ada@example.com\r\nBcc: all@example.com",
        "<ada@example.com>",
        "ada,bob@example.com",
        '"ada"@example.com',
        "ada@[127.0.0.1]",
        "a" * 65 + "@example.com",
        "ada@" + "a" * 260,
        "ad\u200ba@example.com",
        "ada@under_score.com"[:4] + "_x.com",
        # Readers of headers take it for another address (RFC 2047).
        "=?utf-8?q?ada?=@example.com",
        "x=?utf-8?q?=40?=y@example.com",
    ],
)
def test_addresses_that_are_none_are_refused(address: str) -> None:
    assert fault_in_email(address) is not None


@given(st.text(max_size=80))
def test_no_name_is_an_address_and_no_address_is_a_name(text: str) -> None:
    assert fault_in_username(text) is not None or fault_in_email(text) is not None


@given(st.text(max_size=80))
def test_the_canonical_form_is_its_own_canonical_form(text: str) -> None:
    assert canonical_name(canonical_name(text)) == canonical_name(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "ADA"),
        ("straße", "STRASSE"),
        ("ａｄａ", "Ada"),
        ("e\u0301", "É"),
        ("ﬁn", "FIN"),
        ("Å", "\u212b"),
    ],
)
def test_names_that_look_alike_by_compatibility_are_one(one: str, other: str) -> None:
    assert canonical_name(one) == canonical_name(other)
