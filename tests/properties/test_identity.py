"""Whatever is sent as a credential, the answer is one of the three, and only what was issued gets in."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import (
    binary,
    booleans,
    dictionaries,
    floats,
    integers,
    just,
    lists,
    none,
    one_of,
    recursive,
    sampled_from,
    text,
    tuples,
)
from unit.identity.world import (
    KeyTable,
    KnownRevocations,
    World,
    bearer,
    claims_of,
    head_with,
    open_world,
    signed,
)

from gateway.crypto import encode_base64url
from gateway.identity import ABSENT, Answer, ApiKeyAuthenticator, Foreign, KeyUses, Rejected
from gateway.model import Principal


def at_once(answer: Coroutine[Any, Any, Answer]) -> Answer:
    """Run what has nothing to wait for, without a loop."""
    try:
        answer.send(None)
    except StopIteration as finished:
        result: Answer = finished.value
        return result
    raise AssertionError("it waited")


WORLD: World = asyncio.run(open_world())
KEY = WORLD.keyring.active
TOKEN = WORLD.token()
HEADER = {"alg": "ES256", "kid": KEY.kid, "typ": "at+jwt"}

json_values = recursive(
    none() | booleans() | integers() | floats(allow_nan=False) | text(max_size=8),
    lambda inner: lists(inner, max_size=3) | dictionaries(text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
odd_members = dictionaries(
    sampled_from(["alg", "kid", "typ", "crit", "jwk", "jku", "x5u", "zip", "b64"]),
    json_values | text(),
    max_size=4,
)
odd_claims = dictionaries(sampled_from([*claims_of(), "nbf"]), json_values, min_size=1, max_size=3)


@given(binary(max_size=300))
def test_any_bytes_get_an_answer(value: bytes) -> None:
    answer = at_once(WORLD.authenticator.identify(head_with((b"authorization", value))))
    assert answer is ABSENT or isinstance(answer, Rejected)


@given(
    one_of(
        binary(max_size=300),
        text(max_size=100),
        lists(binary(max_size=60), min_size=3, max_size=3).map(b".".join),
    )
)
def test_any_text_after_bearer_is_rejected(value: bytes | str) -> None:
    assert isinstance(at_once(WORLD.authenticator.identify(bearer(value))), Rejected)


@given(
    lists(
        tuples(integers(0, len(TOKEN) - 1), sampled_from(["delete", "insert", "replace"]), integers(0, 255)),
        min_size=1,
        max_size=4,
    )
)
def test_no_mutation_of_a_token_gets_in(mutations: list[tuple[int, str, int]]) -> None:
    token = bytearray(TOKEN.encode())
    for place, how, byte in mutations:
        at = place % len(token)
        match how:
            case "delete":
                del token[at]
            case "insert":
                token.insert(at, byte)
            case _:
                token[at] = byte
    answer = at_once(WORLD.authenticator.identify(bearer(bytes(token))))
    assert isinstance(answer, Principal if bytes(token) == TOKEN.encode() else Rejected)


@given(odd_members)
def test_no_header_but_the_gateways_own_gets_in(changes: dict[str, object]) -> None:
    header = {**HEADER, **changes}
    answer = at_once(WORLD.authenticator.identify(bearer(signed(KEY, header, claims_of()))))
    assert isinstance(answer, Principal if header == HEADER else Rejected)


@given(odd_claims)
def test_a_signed_token_with_odd_claims_never_breaks_anything(changes: dict[str, object]) -> None:
    answer = at_once(WORLD.authenticator.identify(bearer(signed(KEY, HEADER, {**claims_of(), **changes}))))
    assert isinstance(answer, Principal | Rejected | Foreign)
    if isinstance(answer, Principal):
        assert answer.claims is not None
        assert (answer.claims["iss"], answer.claims["aud"]) == (claims_of()["iss"], claims_of()["aud"])
        assert all(isinstance(role, str) for role in answer.roles)
        json.dumps([answer.id, answer.name, answer.session]).encode()


@given(one_of(binary(max_size=200), json_values.map(lambda value: json.dumps(value).encode())))
def test_any_signed_payload_gets_an_answer(payload: bytes) -> None:
    assert isinstance(at_once(WORLD.authenticator.identify(bearer(signed(KEY, HEADER, payload)))), Rejected)


@given(integers(1, 4000), sampled_from([b"[", b'{"a":', b"9", b"[[", b'"']))
@settings(max_examples=40)
def test_depth_and_length_end_in_a_refusal(times: int, piece: bytes) -> None:
    segment = encode_base64url(piece * times)
    assert isinstance(
        at_once(WORLD.authenticator.identify(bearer(f"{segment}.{segment}.{segment}"))), Rejected
    )


@given(one_of(just(b""), binary(max_size=100), text(max_size=80).map(lambda value: b"gwk_" + value.encode())))
def test_any_bytes_in_the_key_field_get_an_answer(value: bytes) -> None:
    table = KeyTable()
    authenticator = ApiKeyAuthenticator(
        "keys",
        header="x-api-key",
        store=table,
        uses=KeyUses(table),
        revocations=KnownRevocations(),
        clock=WORLD.clock,
    )
    assert isinstance(at_once(authenticator.identify(head_with((b"x-api-key", value)))), Rejected)
    assert table.asked == []
