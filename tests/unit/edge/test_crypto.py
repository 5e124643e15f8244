"""The endpoints that encrypt and decrypt: in which order a call is looked at, and what its answer says."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from support.heads import HEAD
from unit.crypto.rows import CryptoKeyRows, KeptEvents, StandingClock
from unit.edge.sides import sending

from gateway.config import Snapshot
from gateway.crypto import CryptoKeys, MasterSecret, Sealer
from gateway.edge.crypto import Crypto
from gateway.edge.own import Call, Endpoint
from gateway.model import (
    Algorithm,
    Limit,
    Principal,
    PrincipalKind,
    Reason,
    Refusal,
    RequestHead,
    Tally,
)
from gateway.web import Answer

WALT = Principal(id="usr_1", kind=PrincipalKind.USER, name="walt", authn="gateway", authn_kind="gateway_jwt")
LIMIT = Limit(
    id="crypto:0",
    place="policies.yaml:1",
    algorithm=Algorithm.WINDOW,
    per=("principal",),
    quota=5,
    window_us=60_000_000,
    burst=5,
)
ONE = {"plaintext": "eA=="}
SENDING = sending(b"application/json")


@dataclass
class Till:
    """Charges whatever is asked for, or refuses."""

    refuses: bool = False
    charged: list[tuple[str, str, int]] = field(default_factory=list)

    async def __call__(
        self, head: RequestHead, _snapshot: Snapshot, *, principal: Principal, route: str, count: int
    ) -> tuple[Tally, ...] | Refusal:
        self.charged.append((principal.id, route, count))
        if self.refuses:
            return Refusal(head=head, reason=Reason.RATE_EXCEEDED, principal=principal)
        return (Tally(LIMIT, 0, 5 - count, 60_000_000),)


class Desk:
    """The endpoints with a key, a till, and what is written down."""

    def __init__(self, keys: CryptoKeys) -> None:
        self.till = Till()
        self.events = KeptEvents()
        crypto = Crypto(keys=keys, events=self.events, charge=self.till)
        self.endpoints = {each.name: each for each in crypto.endpoints()}

    def endpoint(self, verb: str) -> Endpoint:
        return self.endpoints[f"gateway:crypto.{verb}"]

    async def answer(
        self,
        verb: str,
        body: Mapping[str, object],
        *,
        key: str = "reports",
        head: RequestHead = SENDING,
    ) -> Answer | Refusal:
        """Return the answer to a call that has come this far."""
        none: Any = None
        call = Call(head=head, principal=WALT, snapshot=none, body=body, params={"key": key})
        answer = await self.endpoint(verb).answer(call)
        assert isinstance(answer, Answer | Refusal)
        return answer

    async def told(self, verb: str, body: Mapping[str, object], **more: Any) -> Any:
        answer = await self.answer(verb, body, **more)
        assert isinstance(answer, Answer)
        assert answer.status == 200
        return json.loads(answer.body)


@pytest.fixture
async def desk() -> Desk:
    sealer = Sealer(MasterSecret(b"a master secret of a test, which is long enough"))
    rows = CryptoKeyRows(sealer)
    rows.put("reports")
    return Desk(await CryptoKeys.open(rows, sealer, StandingClock()))


def test_each_endpoint_asks_for_the_scope_and_takes_keys_and_large_bodies(desk: Desk) -> None:
    assert [each.path for each in desk.endpoints.values()] == [
        f"/gateway/v1/crypto/{verb}/{{key}}" for verb in ("encrypt", "decrypt", "rewrap")
    ]
    for endpoint in desk.endpoints.values():
        assert (endpoint.method, endpoint.takes_keys, endpoint.largest_body) == ("POST", True, 4 << 20)
        assert (endpoint.route.needs_principal, endpoint.route.scope) == (True, "gateway:crypto")


@pytest.mark.parametrize("length", [20, 3_000_000, None])
async def test_a_call_is_answered_in_the_form_in_which_it_is_asked(desk: Desk, length: int | None) -> None:
    head = replace(SENDING, content_length=length)
    one = await desk.told("encrypt", ONE, head=head)
    many = await desk.told("encrypt", {"batch": [ONE, ONE]}, head=head)
    assert await desk.told("decrypt", one, head=head) == ONE
    assert await desk.told("decrypt", many, head=head) == {"batch": [ONE, ONE]}
    assert list(await desk.told("rewrap", one, head=head)) == ["ciphertext"]
    assert desk.till.charged == [
        ("usr_1", "gateway:crypto.encrypt", 1),
        ("usr_1", "gateway:crypto.encrypt", 2),
        ("usr_1", "gateway:crypto.decrypt", 1),
        ("usr_1", "gateway:crypto.decrypt", 2),
        ("usr_1", "gateway:crypto.rewrap", 1),
    ]


async def test_an_answer_is_not_stored_and_says_what_is_left(desk: Desk) -> None:
    answer = await desk.answer("encrypt", ONE)
    assert isinstance(answer, Answer)
    assert dict(answer.lines) == {
        b"Content-Type": b"application/json",
        b"Cache-Control": b"no-store",
        b"RateLimit-Policy": b'"crypto:0";q=5;w=60',
        b"RateLimit": b'"crypto:0";r=4;t=60',
    }


async def test_nothing_is_charged_for_a_wrong_body_or_a_wrong_name_and_nothing_is_done(desk: Desk) -> None:
    for body, key, reason in (
        ({}, "nowhere", Reason.INVALID_REQUEST),
        (ONE, "nowhere", Reason.NOT_FOUND),
    ):
        refused = await desk.answer("encrypt", body, key=key)
        assert isinstance(refused, Refusal)
        assert (refused.reason, refused.principal) == (reason, WALT)
    assert (desk.till.charged, desk.events.kept) == ([], [])


async def test_what_a_limit_refuses_is_not_done(desk: Desk) -> None:
    desk.till.refuses = True
    refused = await desk.answer("encrypt", ONE)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.RATE_EXCEEDED
    assert desk.events.kept == []


async def test_what_does_not_open_was_charged_all_the_same_and_says_no_more(desk: Desk) -> None:
    refused = await desk.answer("decrypt", {"ciphertext": base64.b64encode(b"x").decode()})
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.DECRYPTION_FAILED
    assert (refused.detail, refused.errors, refused.challenges) == (None, (), ())
    assert refused.diagnosis
    assert [tally.remaining for tally in refused.tallies] == [4]
    (event,) = desk.events.kept
    assert (event.request_id, event.source_ip, event.reason) == (
        HEAD.id,
        HEAD.client,
        Reason.DECRYPTION_FAILED,
    )
