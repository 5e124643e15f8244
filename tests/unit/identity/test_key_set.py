import json

import pytest
from support.issuer import IssuerKey

from gateway.identity.key_set import MOST_KEYS, KeySet, KeySetRefused, read_key_set

ONE, TWO, RSA = IssuerKey(kid="one"), IssuerKey(kid="two"), IssuerKey("RS256", kid="one")
USUAL = ("RS256", "ES256")


def key_set(*jwks: object) -> KeySet:
    return read_key_set(json.dumps({"keys": jwks}).encode(), algorithms=USUAL)


def test_a_key_is_found_by_its_name_and_its_algorithm() -> None:
    keys = key_set(ONE.jwk(), TWO.jwk(), RSA.jwk())
    one, rsa = keys.find("one", "ES256"), keys.find("one", "RS256")
    assert one is not None
    assert rsa is not None
    assert (one.kid, one.algorithm) == ("one", "ES256")
    assert (rsa.kid, rsa.algorithm) == ("one", "RS256")
    assert keys.find("two", "RS256") is None
    assert keys.find("three", "ES256") is None
    assert (keys.knows("two"), keys.knows("three")) == (True, False)
    assert keys.holds(one.thumbprint)
    assert not keys.holds("")


def test_a_token_that_names_no_key_is_checked_with_the_only_one_it_can_mean() -> None:
    assert key_set(ONE.jwk(), RSA.jwk()).find(None, "ES256") is not None
    assert key_set(ONE.jwk(), TWO.jwk()).find(None, "ES256") is None
    assert key_set(ONE.jwk(kid=None)).find(None, "ES256") is not None
    assert key_set(ONE.jwk(kid=None)).find("one", "ES256") is None


def test_of_two_keys_by_one_name_the_first_counts() -> None:
    keys = key_set(ONE.jwk(), TWO.jwk(kid="one"))
    assert keys == key_set(ONE.jwk(), TWO.jwk(kid="one"))
    assert keys.find("one", "ES256") is not None
    assert keys.find(None, "ES256") is None


def test_sets_are_equal_when_they_verify_the_same() -> None:
    first = key_set(ONE.jwk(), RSA.jwk())
    same = key_set(RSA.jwk(), ONE.jwk(), {"kty": "oct"}, ONE.jwk(use="enc"))
    assert first == same
    assert hash(first) == hash(same)
    assert first != key_set(ONE.jwk())
    assert first != key_set(ONE.jwk(kid="other"), RSA.jwk())
    assert first != "keys"
    assert repr(first) == "KeySet(['one'])"


def test_keys_that_nobody_understands_are_passed_over() -> None:
    keys = key_set({"kty": "AKP", "kid": "pq"}, "text", None, ONE.jwk(), {"kty": "EC"})
    assert keys.knows("one")
    assert not keys.knows("pq")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "cannot be read"),
        (b"<html>", "cannot be read"),
        (b"[]", "not a JSON object"),
        (b'{"keys":[],"keys":[]}', "occurs twice"),
        (b"{}", "no list of keys"),
        (b'{"keys":{}}', "no list of keys"),
        (b'{"keys":[]}', "no key for RS256, ES256: it is empty"),
        (b'{"keys":[{"kty":"oct"}]}', "no key for RS256, ES256: of the first, its kty is not known"),
        (json.dumps({"keys": [ONE.private_jwk()]}).encode(), "private members"),
        (json.dumps({"keys": [{}] * (MOST_KEYS + 1)}).encode(), "more than 100 keys"),
    ],
)
def test_a_set_without_a_key_that_verifies_anything_is_none(body: bytes, why: str) -> None:
    with pytest.raises(KeySetRefused, match=why):
        read_key_set(body, algorithms=USUAL)
