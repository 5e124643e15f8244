"""Form bodies are read in one way or not at all."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import FormFlaw, read_form
from gateway.accounts.oauth_form import MOST_PARAMETERS

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
NAMES = TEXT.filter(lambda name: name not in {"resource", "audience"})


@given(st.dictionaries(NAMES, TEXT, max_size=MOST_PARAMETERS))
def test_what_a_client_encodes_is_what_is_read(parameters: dict[str, str]) -> None:
    form = read_form(urlencode(parameters).encode())
    assert {name: form.one(name) for name in parameters} == parameters


def test_plus_is_a_blank_and_percent_an_escape() -> None:
    form = read_form(b"scope=a+b%20c&x=%2B%26%3D")
    assert (form.one("scope"), form.one("x")) == ("a b c", "+&=")


@pytest.mark.parametrize("body", [b"", b"&", b"scope", b"scope=", b"&scope=&", b"=value"])
def test_what_has_no_value_was_not_sent(body: bytes) -> None:
    form = read_form(body)
    assert form.one("scope") is None
    assert form.all("scope") == ()


@pytest.mark.parametrize(
    "body",
    [
        b"scope=a&scope=a",
        b"scope=a&scope=",
        b"scope=&scope=a",
        b"scope=a&%73cope=b",
        b"unknown=1&unknown=2",
        b"a=%",
        b"a=%1",
        b"a=%zz",
        b"%=a",
        b"a=%ff",
        b"a=\xff",
        b"%c3=a",
        b"a=%c0%af",
        b"a=%ed%a0%80",
        b"&".join(b"p%d=1" % number for number in range(MOST_PARAMETERS + 1)),
    ],
)
def test_what_two_readers_could_read_in_two_ways_is_refused(body: bytes) -> None:
    with pytest.raises(FormFlaw) as flaw:
        read_form(body)
    assert "zz" not in str(flaw.value)


def test_resources_may_be_several() -> None:
    form = read_form(b"resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb&resource=")
    assert form.all("resource") == ("https://a", "https://b")


def test_a_form_does_not_show_what_is_in_it() -> None:
    assert "gws_" not in repr(read_form(b"client_secret=gws_1"))


@given(st.binary(max_size=200))
def test_no_body_is_a_bug(body: bytes) -> None:
    try:
        read_form(body)
    except FormFlaw:
        return
