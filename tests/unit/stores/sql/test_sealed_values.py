"""That nothing sealed is forgotten when the master secret changes."""

from pathlib import Path
from typing import Final

from databases import data_dir_below
from sqlalchemy import LargeBinary
from unit.accounts.house import RULES

from gateway.accounts import Errand, ErrandKind, Origin, Sessions
from gateway.accounts.second_factor import key_context
from gateway.assembly import Stores, at_the_command_line, open_stores
from gateway.crypto import Keyring, new_version
from gateway.model import EventKind
from gateway.ports import StoredCryptoKey, Totp, User
from gateway.settings import Settings
from gateway.stores.sql.sealed_values import SEALED
from gateway.stores.sql.tables import metadata

NOT_SEALED: Final = {
    "api_key_secrets.hash": "a hash",
    "audit_chunks.chain": "hashes",
    "audit_chunks.records": "compressed records, whose personal parts are elsewhere",
    "audit_personal.sealed": "sealed with the person's own key, which audit_subjects has",
    "audit_writers.head": "a hash",
    "client_secrets.hash": "a hash",
    "invites.code_hash": "a hash",
    "links.token_hash": "a hash",
    "recovery_codes.hash": "a hash",
    "root_keys.check_value": "tells a master secret, and nothing of it",
    "root_keys.sealed": "sealed with the master secret itself",
    "settings.value": "check values and times",
    "signing_keys.public_pem": "public",
}


def test_every_column_of_bytes_is_sealed_anew_or_is_not_sealed() -> None:
    binary = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.c
        if isinstance(column.type, LargeBinary)
    }
    sealed = {f"{one.table.name}.{one.column.name}" for one in SEALED}
    assert sealed & NOT_SEALED.keys() == set()
    assert binary == sealed | NOT_SEALED.keys()


async def test_every_value_is_sealed_for_what_the_rooms_seal_it_for(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": data_dir_below(tmp_path)})
    async with at_the_command_line(settings) as stores:
        await _seal_one_of_each(stores)
    opened: set[str] = set()
    async with open_stores(settings) as stores:

        def look(sealed: bytes, context: str) -> None:
            stores.sealer.open(sealed, context=context)
            opened.add(context.partition(":")[0])

        done = await stores.sealed_values.renew(look)
    assert done.damaged == ()
    assert opened == {one.context.partition(":")[0] for one in SEALED}


async def _seal_one_of_each(stores: Stores) -> None:
    clock, sealer = stores.clock, stores.sealer
    # What the record says of the new account is kept with a key of the person's own.
    user = await stores.registrar.add(
        username="ada",
        email="ada@example.com",
        password="correct horse battery",
        roles=frozenset(),
        min_length=12,
        verified=True,
        kind=EventKind.USER_CREATED,
        actor=None,
        origin=Origin(),
    )
    assert isinstance(user, User)
    assert await Sessions(stores.sessions, sealer, clock).begin(user, RULES, Origin())
    await stores.factors.begin(
        Totp(
            user_id=user.id,
            sealed=sealer.seal(b"key", context=key_context(user.id)),
            created_at=clock.now(),
            confirmed_at=None,
            last_step=0,
        )
    )
    await Keyring.open(stores.signing_keys, sealer, clock, stores.events)
    version = new_version(sealer, name="cards", version=1, created_at=1.0)
    await stores.crypto_keys.add(
        StoredCryptoKey(name="cards", created_at=1.0, min_decryption_version=1, versions=(version,))
    )
    await stores.mailing.ask(Errand(kind=ErrandKind.RESET, email="ada@example.com"))
