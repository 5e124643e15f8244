"""DPoP proofs, point by point of RFC 9449 section 4.3."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dpop import ProofKey, ath
from support.heads import head_for
from unit.crypto.rows import START, StandingClock

from gateway.crypto import PROOF_ALGORITHMS, ProofRefused, Proofs, encode_base64url
from gateway.crypto.dpop import MAX_PROOF_BYTES, PROOF_SECONDS, read_proof
from gateway.model import Fields, RequestHead
from gateway.stores.memory import MemoryCounters

URL = "https://api.example.com/orders"
KEY = ProofKey()
# RFC 9449 section 5, figure 4, and section 7.1, figure 14.
PRINTED = (
    b"eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0Rs"
    b"cEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2"
    b"In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2V"
    b"uIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37x"
    b"RZT3Lg"
)
PRINTED_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"


def why(text: str | bytes, **changes: object) -> str:
    wanted: dict[str, object] = {"method": "GET", "urls": [URL], "now": START, **changes}
    with pytest.raises(ProofRefused) as refused:
        read_proof(text.encode() if isinstance(text, str) else text, **wanted)  # type: ignore[arg-type]
    return str(refused.value)


def proof(**changes: object) -> str:
    return KEY.proof("GET", URL, at=START, **changes)  # type: ignore[arg-type]


def test_the_proof_that_the_standard_prints_is_good_for_its_request() -> None:
    said = read_proof(PRINTED, method="POST", urls=["https://server.example.com/token"], now=1562262616)
    assert said.thumbprint == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    assert said.id == "-BwC3ESc6acc2lTc"
    assert ath(PRINTED_TOKEN) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


@pytest.mark.parametrize("algorithm", PROOF_ALGORITHMS)
def test_every_algorithm_that_is_promised_works(algorithm: str) -> None:
    key = ProofKey(algorithm)
    text = key.proof("GET", URL, at=START, token="t")
    said = read_proof(text.encode(), method="GET", urls=[URL], now=START, token="t", key=key.thumbprint)
    assert said.thumbprint == key.thumbprint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be decoded"),
        ("a.b", "cannot be decoded"),
        ("...", "cannot be decoded"),
        (proof() + "=", "cannot be decoded"),
        ("x" * (MAX_PROOF_BYTES + 1), "too long"),
        (b"\xff.\xff.\xff", "cannot be decoded"),
        (proof(header={"typ": "JWT"}), "typ"),
        (proof(header={"typ": "at+jwt"}), "typ"),
        (proof(header={"alg": "none"}), "alg"),
        (proof(header={"alg": "HS256"}), "alg"),
        (proof(header={"alg": "ES512"}), "alg"),
        (proof(header={"alg": ["ES256"]}), "alg"),
        (proof(header={"alg": "ES384"}), "is not wanted"),
        (proof(header={"crit": ["exp"]}), "extensions"),
        (proof(header={"jwk": None}), "jwk"),
        (proof(header={"jwk": "key"}), "jwk"),
        (proof(header={"jwk": {**KEY.jwk, "d": "AA"}}), "private"),
        (proof(header={"jwk": {"kty": "oct", "k": "AA"}}), "private"),
        (proof(header={"jwk": ProofKey().jwk}), "signature"),
        (proof(jti=None), "jti"),
        (proof(jti=7), "jti"),
        (proof(jti="j" * 257), "jti"),
        (proof(htm=None), "htm"),
        (proof(htm="POST"), "htm"),
        (proof(htm="get"), "htm"),
        (proof(htu=None), "htu"),
        (proof(iat=None), "iat"),
        (proof(iat=str(START)), "iat"),
        (proof(iat=True), "iat"),
        (proof(iat=START + PROOF_SECONDS + 1), "iat"),
        (proof(iat=START - PROOF_SECONDS - 1), "iat"),
        (proof(iat=10**400), "iat"),
        (proof(iat=float("inf")), "not JSON"),
    ],
)
def test_what_lacks_a_point_is_refused(text: str | bytes, words: str) -> None:
    assert words in why(text)


def test_the_payload_must_be_what_was_signed() -> None:
    header, _, signature = proof().split(".")
    payload = encode_base64url(json.dumps({"jti": "1", "htm": "GET", "htu": URL, "iat": START}).encode())
    assert "signature" in why(f"{header}.{payload}.{signature}")


def test_a_proof_is_for_one_token_and_for_one_key() -> None:
    assert "ath" in why(proof(), token="t")
    assert "ath" in why(proof(token="other"), token="t")
    assert "another key" in why(proof(token="t"), token="t", key=ProofKey().thumbprint)


def test_a_time_with_a_fraction_and_a_clock_that_is_a_little_off_are_taken() -> None:
    for at in (START - 59.5, START + 59.5):
        assert read_proof(proof(iat=at).encode(), method="GET", urls=[URL], now=START).id


@pytest.mark.parametrize(
    "htu",
    [
        URL,
        "HTTPS://API.example.COM/orders",
        "https://api.example.com:443/orders",
        "https://api.example.com:/orders",
        "https://api.example.com/orders?page=2",
        "https://api.example.com/orders#top",
        "https://api.example.com/%6Frders",
    ],
)
def test_one_url_has_many_spellings(htu: str) -> None:
    assert read_proof(proof(htu=htu).encode(), method="GET", urls=["https://other/", URL], now=START).id


@pytest.mark.parametrize(
    "htu",
    [
        "http://api.example.com/orders",
        "https://api.example.com:8443/orders",
        "https://api.example.com.evil.example/orders",
        "https://api.example.com@evil.example/orders",
        "https://u@api.example.com/orders",
        "https://api.example.com\\@evil.example/orders",
        "https://api.example.com/orders/",
        "https://api.example.com/Orders",
        "https://api.example.com/orders%2F",
        "https://api.example.com",
        "//api.example.com/orders",
        "/orders",
        "ftp://api.example.com/orders",
        "https:///orders",
        "orders",
    ],
)
def test_another_url_is_another_url(htu: str) -> None:
    assert "htu" in why(proof(htu=htu))


def test_an_empty_path_is_the_root() -> None:
    root = proof(htu="https://api.example.com")
    assert read_proof(root.encode(), method="GET", urls=["https://api.example.com/"], now=START).id


@given(st.binary(max_size=200))
def test_whatever_the_text_is_nothing_but_a_refusal_comes_of_it(text: bytes) -> None:
    why(text)


@given(
    st.dictionaries(
        st.sampled_from(["jti", "htm", "htu", "iat", "ath"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=20)
        | st.lists(st.integers(), max_size=2),
        min_size=1,
    )
)
def test_whatever_the_claims_are_a_proof_is_read_or_refused(claims: dict[str, object]) -> None:
    try:
        said = read_proof(proof(**claims).encode(), method="GET", urls=[URL], now=START)
    except ProofRefused:
        return
    assert said.thumbprint == KEY.thumbprint


class World:
    """Two processes that share their counters."""

    def __init__(self) -> None:
        self.clock = StandingClock()
        self.counters = MemoryCounters(self.clock)
        self.here, self.there = (
            Proofs(public_url="https://public.example", counters=self.counters, clock=self.clock)
            for _ in range(2)
        )


def head(*proofs: str) -> RequestHead:
    fields = Fields([(b"DPoP", each.encode()) for each in proofs])
    return replace(head_for("/orders?page=2"), scheme="https", fields=fields)


async def refusal(proofs: Proofs, asked: RequestHead) -> str:
    with pytest.raises(ProofRefused) as refused:
        await proofs.prove(asked)
    return str(refused.value)


async def test_a_request_without_the_field_proves_nothing() -> None:
    assert await World().here.prove(head()) is None


async def test_a_proof_is_good_once_in_all_processes() -> None:
    world = World()
    text = proof()
    assert await world.here.prove(head(text)) == KEY.thumbprint
    assert await refusal(world.here, head(text)) == "the proof was used before"
    assert await refusal(world.there, head(text)) == "the proof was used before"
    assert await world.there.prove(head(proof())) == KEY.thumbprint


async def test_it_is_remembered_for_as_long_as_it_could_be_used() -> None:
    world = World()
    text = proof(iat=START + PROOF_SECONDS)
    assert await world.here.prove(head(text)) == KEY.thumbprint
    world.clock.time = START + 2 * PROOF_SECONDS - 0.1
    assert await refusal(world.here, head(text)) == "the proof was used before"
    world.clock.time = START + 2 * PROOF_SECONDS + 0.1
    assert await refusal(world.here, head(text)) == "iat is not of this moment"


async def test_two_clients_may_choose_the_same_id() -> None:
    world = World()
    assert await world.here.prove(head(proof(jti="1"))) == KEY.thumbprint
    other = ProofKey()
    assert await world.here.prove(head(other.proof("GET", URL, at=START, jti="1"))) == other.thumbprint


async def test_good_proofs_make_no_work_for_other_requests() -> None:
    world = World()
    for _ in range(3):
        await world.here.prove(head(proof()))
    assert not world.counters.is_refusing


async def test_two_proofs_are_none() -> None:
    assert await refusal(World().here, head(proof(), proof())) == "DPoP occurs more than once"


async def test_a_client_may_know_the_gateway_by_its_public_address() -> None:
    world = World()
    for url in ("https://public.example/orders", URL):
        text = KEY.proof("GET", url, at=START)
        assert await world.here.prove(head(text)) == KEY.thumbprint
    assert await refusal(world.here, head(KEY.proof("GET", "https://evil.example/orders", at=START)))


async def test_without_a_host_the_public_address_is_all_there_is() -> None:
    world = World()
    text = KEY.proof("GET", "https://public.example/orders", at=START)
    assert await world.here.prove(replace(head(text), authority=None)) == KEY.thumbprint
