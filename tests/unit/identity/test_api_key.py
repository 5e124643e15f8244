import asyncio
import hmac
from dataclasses import replace

import pytest
from unit.crypto.rows import START, StandingClock
from unit.identity.world import KeyTable, KnownRevocations, head_with

from gateway.identity import (
    ABSENT,
    Answer,
    ApiKeyAuthenticator,
    IssuedKey,
    KeyUses,
    Rejected,
    issue_api_key,
)
from gateway.identity.api_key import LOOKUPS_AT_ONCE
from gateway.model import Principal, PrincipalKind, RequestHead
from gateway.ports import ApiKey, KeySecret, StoreUnavailable

OTHER_SECRET = (KeySecret(hash=b"\x00" * 32),)


class Desk:
    """An authenticator for API keys, its table, and one key in it."""

    def __init__(self, table: KeyTable | None = None) -> None:
        self.table = table or KeyTable()
        self.clock = StandingClock()
        self.revocations = KnownRevocations()
        self.uses = KeyUses(self.table)
        self.issued = self.issue()
        self.head = asking(self.issued.text)
        self.authenticator = self.another("x-api-key")

    def another(self, header: str) -> ApiKeyAuthenticator:
        return ApiKeyAuthenticator(
            "keys",
            header=header,
            store=self.table,
            uses=self.uses,
            revocations=self.revocations,
            clock=self.clock,
        )

    def issue(self, **changes: object) -> IssuedKey:
        issued = issue_api_key()
        key = ApiKey(
            id=issued.id,
            name="nightly report",
            owner_id="usr_1",
            owner_name="anna",
            owner_roles=frozenset({"customer"}),
            owner_active=True,
            secrets=(KeySecret(hash=issued.secret_hash),),
            scopes=frozenset({"orders:read"}),
            created_at=START,
            expires_at=None,
            revoked_at=None,
        )
        self.table.rows[issued.id] = replace(key, **changes)  # type: ignore[arg-type] # fields of a key
        return issued

    def change(self, **changes: object) -> None:
        self.table.rows[self.issued.id] = replace(self.table.rows[self.issued.id], **changes)  # type: ignore[arg-type]

    async def ask(self, text: str | None = None) -> Answer:
        return await self.authenticator.identify(self.head if text is None else asking(text))


def asking(text: str) -> RequestHead:
    return head_with((b"X-Api-Key", text.encode()))


def why(answer: Answer) -> str:
    assert isinstance(answer, Rejected)
    return answer.diagnosis


async def test_a_good_key_says_who_is_asking() -> None:
    desk = Desk()
    principal = await desk.ask()
    assert isinstance(principal, Principal)
    assert (principal.id, principal.kind, principal.name) == (
        desk.issued.id,
        PrincipalKind.API_KEY,
        "nightly report",
    )
    assert (principal.authn, principal.authn_kind) == ("keys", "api_key")
    assert principal.roles == {"customer"}
    assert principal.scope_limit == frozenset({"orders:read"})
    assert principal.claims is None
    assert principal.session is None
    assert principal.expires_at is None


async def test_only_its_own_field_is_read() -> None:
    desk = Desk()
    value = desk.issued.text.encode()
    for name in (b"authorization", b"x-api-keys", b"x_api_key", b"cookie"):
        assert await desk.authenticator.identify(head_with((name, value))) is ABSENT
    assert desk.authenticator.fields == {b"x-api-key"}


async def test_the_field_may_be_named_in_any_case() -> None:
    desk = Desk()
    other = desk.another("X-Service-Key")
    assert isinstance(
        await other.identify(head_with((b"x-SERVICE-key", desk.issued.text.encode()))), Principal
    )
    assert other.fields == {b"x-service-key"}


async def test_a_repeated_field_is_malformed() -> None:
    desk = Desk()
    line = (b"x-api-key", desk.issued.text.encode())
    answer = await desk.authenticator.identify(head_with(line, line))
    assert isinstance(answer, Rejected)
    assert answer.malformed
    assert desk.table.asked == []


@pytest.mark.parametrize(
    "text", ["", "abc", "gwk_", "Bearer abc", "gwk_" + "a" * 16 + "_" + "b" * 43 + "_00000000", "\xff"]
)
async def test_garbage_is_rejected_without_the_store(text: str) -> None:
    desk = Desk()
    answer = await desk.ask(text)
    assert why(answer) == "not the form of a key"
    assert not answer.malformed if isinstance(answer, Rejected) else False
    assert desk.table.asked == []


async def test_an_unknown_key_is_rejected_and_asked_for_once() -> None:
    desk = Desk()
    unknown = issue_api_key().text
    assert why(await desk.ask(unknown)) == "no such key"
    assert why(await desk.ask(unknown)) == "no such key"
    assert len(desk.table.asked) == 1
    desk.clock.time += 1.0
    assert why(await desk.ask(unknown)) == "no such key"
    assert len(desk.table.asked) == 2


@pytest.mark.parametrize("known", [False, True])
async def test_the_secret_of_another_key_does_not_fit(known: bool) -> None:
    desk = Desk()
    if known:
        await desk.ask()
    text = _with_id(issue_api_key().text, desk.issued)
    answer = await desk.ask(text)
    assert why(answer) == f"the secret of {desk.issued.id} is wrong"
    assert text[21:64] not in repr(answer)


def _with_id(text: str, issued: IssuedKey) -> str:
    import zlib

    body = f"gwk_{issued.id.removeprefix('key_')}_{text[21:64]}"
    return f"{body}_{zlib.crc32(body.encode()):08x}"


async def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    real = hmac.compare_digest
    monkeypatch.setattr("gateway.identity.api_key.hmac.compare_digest", compare)
    await desk.ask()
    await desk.ask()
    assert compared == [(desk.issued.secret_hash, desk.issued.secret_hash)] * 2


async def test_the_store_is_asked_at_most_once_a_second() -> None:
    desk = Desk()
    for _ in range(5):
        assert isinstance(await desk.ask(), Principal)
    assert len(desk.table.asked) == 1
    desk.clock.time += 0.99
    await desk.ask()
    assert len(desk.table.asked) == 1
    desk.clock.time += 0.01
    await desk.ask()
    assert len(desk.table.asked) == 2


@pytest.mark.parametrize(
    ("changes", "diagnosis"),
    [
        ({"revoked_at": START}, "is revoked"),
        ({"owner_active": False}, "is disabled"),
        ({"secrets": OTHER_SECRET}, "is wrong"),
    ],
)
async def test_a_change_is_seen_at_once_when_announced_and_else_within_a_second(
    changes: dict[str, object], diagnosis: str
) -> None:
    desk = Desk()
    assert isinstance(await desk.ask(), Principal)
    desk.change(**changes)
    assert isinstance(await desk.ask(), Principal)
    desk.revocations.key_changes += 1
    assert diagnosis in why(await desk.ask())

    desk = Desk()
    assert isinstance(await desk.ask(), Principal)
    desk.change(**changes)
    desk.clock.time += 1.0
    assert diagnosis in why(await desk.ask())


async def test_the_owners_present_roles_count() -> None:
    desk = Desk()
    desk.change(owner_roles=frozenset({"finance"}), scopes=None)
    principal = await desk.ask()
    assert isinstance(principal, Principal)
    assert principal.roles == {"finance"}
    assert principal.scope_limit is None


async def test_a_known_key_still_expires() -> None:
    desk = Desk()
    desk.change(expires_at=START + 0.5)
    principal = await desk.ask()
    assert isinstance(principal, Principal)
    assert principal.expires_at == START + 0.5
    desk.clock.time += 0.5
    answer = await desk.ask()
    assert "has expired" in why(answer)
    assert isinstance(answer, Rejected)
    assert answer.subject == principal.subject
    assert len(desk.table.asked) == 1


@pytest.mark.parametrize(
    ("changes", "is_proved"),
    [({"revoked_at": START}, True), ({"owner_active": False}, True), ({"secrets": OTHER_SECRET}, False)],
)
async def test_whose_a_bad_key_is_counts_only_when_it_is_that_key(
    changes: dict[str, object], is_proved: bool
) -> None:
    desk = Desk()
    desk.change(**changes)
    answer = await desk.ask()
    assert isinstance(answer, Rejected)
    assert (answer.subject is not None) is is_proved


async def test_a_store_that_is_down_is_not_a_bad_key() -> None:
    desk = Desk()
    desk.table.broken = True
    with pytest.raises(StoreUnavailable):
        await desk.ask()
    desk.table.broken = False
    assert isinstance(await desk.ask(), Principal)


class Gated(KeyTable):
    """A table that answers only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.inside = 0
        self.most = 0

    async def find(self, id: str) -> ApiKey | None:
        row = await super().find(id)
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.gate.wait()
        self.inside -= 1
        return row


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_requests_that_come_together_ask_the_store_once() -> None:
    table = Gated()
    desk = Desk(table)
    async with asyncio.TaskGroup() as tasks:
        asking_all = [tasks.create_task(desk.ask()) for _ in range(50)]
        await _settle()
        table.gate.set()
    assert all(isinstance(task.result(), Principal) for task in asking_all)
    assert len(table.asked) == 1


async def test_a_flood_of_unknown_keys_asks_the_store_for_few_at_a_time() -> None:
    table = Gated()
    desk = Desk(table)
    async with asyncio.TaskGroup() as tasks:
        flood = [tasks.create_task(desk.ask(issue_api_key().text)) for _ in range(300)]
        await _settle()
        assert table.inside <= LOOKUPS_AT_ONCE
        table.gate.set()
    assert table.most <= LOOKUPS_AT_ONCE
    assert {why(task.result()) for task in flood} == {"no such key"}


async def test_a_flood_of_unknown_keys_pushes_no_good_one_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.identity.api_key.CACHED_UNKNOWN", 5)
    desk = Desk()
    await desk.ask()
    for _ in range(20):
        await desk.ask(issue_api_key().text)
    asked = len(desk.table.asked)
    assert isinstance(await desk.ask(), Principal)
    assert len(desk.table.asked) == asked
    assert len(desk.authenticator._unknown) == 5


async def test_the_cache_of_good_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.identity.api_key.CACHED_KEYS", 3)
    desk = Desk()
    for _ in range(6):
        assert isinstance(await desk.ask(desk.issue().text), Principal)
    assert len(desk.authenticator._good) == 3


async def test_an_answer_overtaken_by_a_revocation_is_not_remembered() -> None:
    table = Gated()
    desk = Desk(table)
    async with asyncio.TaskGroup() as tasks:
        early = tasks.create_task(desk.ask())
        await _settle()
        desk.change(revoked_at=START)
        desk.revocations.key_changes += 1
        table.gate.set()
    assert isinstance(early.result(), Principal)
    assert "is revoked" in why(await desk.ask())


async def test_a_store_that_hangs_is_unavailable_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.identity.api_key.LOOKUP_SECONDS", 0.02)
    desk = Desk(Gated())
    answers = await asyncio.gather(*(desk.ask() for _ in range(20)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreUnavailable}


async def test_neither_key_nor_secret_is_kept_in_what_it_shows() -> None:
    desk = Desk()
    principal = await desk.ask()
    shown = repr(principal) + repr(vars(desk.authenticator))
    assert desk.issued.text not in shown
    assert desk.issued.text[21:64] not in shown
    assert repr(desk.issued.secret_hash) not in shown


async def test_the_challenge_names_the_field() -> None:
    authenticator = Desk().authenticator
    for rejected in (False, True):
        assert authenticator.challenge(rejected=rejected) == 'ApiKey realm="gateway", header="x-api-key"'


async def test_a_key_is_reconsidered_by_what_the_store_says_of_it_by_now() -> None:
    desk = Desk()
    principal = await desk.ask()
    assert isinstance(principal, Principal)
    assert await desk.authenticator.reconsider(principal) == principal
    desk.change(owner_roles=frozenset({"support"}), expires_at=START - 1)
    desk.clock.time += 1
    by_now = await desk.authenticator.reconsider(principal)
    # Whether it has expired is not asked here.
    assert isinstance(by_now, Principal)
    assert (by_now.roles, by_now.expires_at) == (frozenset({"support"}), START - 1)


@pytest.mark.parametrize(
    ("changes", "diagnosis"),
    [({"revoked_at": START}, "is revoked"), ({"owner_active": False}, "the owner of")],
)
async def test_a_revoked_key_is_rejected_when_it_is_reconsidered(
    changes: dict[str, object], diagnosis: str
) -> None:
    desk = Desk()
    principal = await desk.ask()
    assert isinstance(principal, Principal)
    desk.change(**changes)
    desk.revocations.key_changes += 1
    assert diagnosis in why(await desk.authenticator.reconsider(principal))
    desk.table.rows.clear()
    desk.revocations.key_changes += 1
    assert why(await desk.authenticator.reconsider(principal)) == "no such key"


async def test_both_secrets_are_good_while_a_rotation_overlaps() -> None:
    desk = Desk()
    newer = issue_api_key(instead_of=desk.issued.id)
    old = KeySecret(hash=desk.issued.secret_hash, expires_at=START + 60)
    desk.change(secrets=(KeySecret(hash=newer.secret_hash), old))
    first, second = await desk.ask(), await desk.ask(newer.text)
    assert isinstance(first, Principal)
    assert isinstance(second, Principal)
    assert (first.id, first.roles) == (second.id, second.roles)
    assert await desk.authenticator.reconsider(first) == first
    desk.clock.time += 60
    assert why(await desk.authenticator.reconsider(first)) == why(await desk.ask())
    assert await desk.authenticator.reconsider(second) == second
    answer = await desk.ask()
    assert why(answer) == f"this secret of {desk.issued.id} was replaced and has ended"
    # Whoever sends it has been its holder.
    assert isinstance(answer, Rejected)
    assert answer.subject == "usr_1"
    assert isinstance(await desk.ask(newer.text), Principal)


@pytest.mark.parametrize(
    ("client", "is_good"),
    [
        ("203.0.113.7", True),
        ("203.0.114.7", False),
        ("::ffff:203.0.113.7", True),
        ("2001:db8:10::1", True),
        ("2001:db8:11::1", False),
        ("", False),
        ("unknown", False),
    ],
)
async def test_a_key_is_good_only_in_its_networks(client: str, is_good: bool) -> None:
    desk = Desk()
    desk.change(networks=("203.0.113.0/24", "2001:db8:10::/48"))
    answer = await desk.authenticator.identify(replace(desk.head, client=client))
    if is_good:
        assert isinstance(answer, Principal)
        return
    assert why(answer) == f"{desk.issued.id} may not be used from this address"
    await desk.uses.flush()
    assert desk.table.used == []


async def test_a_wrong_secret_is_told_nothing_of_networks() -> None:
    desk = Desk()
    desk.change(networks=("203.0.113.0/24",), secrets=OTHER_SECRET)
    assert why(await desk.ask()) == f"the secret of {desk.issued.id} is wrong"


async def test_only_a_good_use_is_noted() -> None:
    desk = Desk()
    await desk.ask()
    desk.clock.time += 0.5
    await desk.ask()
    await desk.uses.flush()
    assert desk.table.used == [{desk.issued.id: START + 0.5}]
    await desk.ask(issue_api_key().text)
    await desk.ask(_with_id(issue_api_key().text, desk.issued))
    desk.change(revoked_at=START)
    desk.revocations.key_changes += 1
    await desk.ask()
    await desk.uses.flush()
    assert len(desk.table.used) == 1
