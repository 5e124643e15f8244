"""What an authenticator needs around it, small and in memory: clock, keys, feed, requests."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from unit.crypto.rows import START, KeptEvents, KeyRows, StandingClock

from gateway.crypto import Keyring, MasterSecret, Proofs, Sealer, SigningKey, encode_base64url
from gateway.identity import GatewayJwt
from gateway.model import Fields, Framing, RequestHead
from gateway.ports import ApiKey, StoreUnavailable
from gateway.stores.memory import MemoryCounters

ISSUER = "https://gateway.example"
AUDIENCE = "gateway"
LONGEST = 3600.0


@dataclass
class KnownRevocations:
    """Revocations as a test states them."""

    sessions: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    epochs: dict[str, int] = field(default_factory=dict)
    fresh: bool = True
    key_changes: int = 0

    def session_revoked(self, session_id: str) -> bool:
        return session_id in self.sessions

    def token_revoked(self, jti: str) -> bool:
        return jti in self.tokens

    def user_epoch(self, user_id: str) -> int:
        return self.epochs.get(user_id, 0)

    def check_fresh(self) -> None:
        if not self.fresh:
            raise StoreUnavailable("the feed is silent")


class KeyTable:
    """A table of API keys that counts how often it is asked."""

    def __init__(self) -> None:
        self.rows: dict[str, ApiKey] = {}
        self.asked: list[str] = []
        self.used: list[Mapping[str, float]] = []
        self.broken = False

    async def add(self, key: ApiKey, *, before_commit: Callable[[], Awaitable[None]] | None = None) -> None:
        self.rows[key.id] = key

    async def find(self, id: str) -> ApiKey | None:
        self.asked.append(id)
        if self.broken:
            raise StoreUnavailable("the table is gone")
        return self.rows.get(id)

    async def list(self) -> Sequence[ApiKey]:
        return list(self.rows.values())

    async def revoke(self, id: str, *, at: float) -> bool:
        self.rows[id] = replace(self.rows[id], revoked_at=at)
        return True

    async def rotate(
        self,
        id: str,
        secret_hash: bytes,
        *,
        at: float,
        old_until: float,
        before_commit: Callable[[], Awaitable[None]] | None = None,
    ) -> ApiKey | None:
        raise NotImplementedError

    async def note_used(self, used: Mapping[str, float]) -> None:
        if self.broken:
            raise StoreUnavailable("the table is gone")
        self.used.append(dict(used))


async def open_keyring(rows: KeyRows | None = None, clock: StandingClock | None = None) -> Keyring:
    sealer = Sealer(MasterSecret(b"s" * 32))
    return await Keyring.open(rows or KeyRows(), sealer, clock or StandingClock(), KeptEvents())


def claims_of(**changes: object) -> dict[str, object]:
    """Claims of a good token; a change to None leaves the claim out."""
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "usr_1",
        "client_id": "gateway",
        "iat": int(START),
        "exp": int(START) + 600,
        "jti": "jti_1",
        "sid": "ses_1",
        "rg": 0,
        "ep": 3,
        "roles": ["customer", "support"],
        "scope": "orders:read",
        "name": "anna",
        "auth_time": int(START),
        "amr": ["pwd"],
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def client_claims_of(**changes: object) -> dict[str, object]:
    """Claims of a good token of a client that acts for itself."""
    own: dict[str, object] = {"sub": "cli_1", "client_id": "cli_1", "name": "billing"}
    none = dict.fromkeys(("sid", "rg", "auth_time", "amr"))
    return claims_of(**{**own, **none, **changes})


def head_with(*lines: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(
        id="00000000-0000-0000-0000-000000000000",
        received=START,
        method="GET",
        target="/orders",
        path="/orders",
        query=None,
        segments=("orders",),
        host="api.example.com",
        authority="api.example.com",
        scheme="http",
        version=(1, 1),
        fields=Fields(lines),
        framing=Framing.NONE,
        content_length=None,
        peer="127.0.0.1",
        client="127.0.0.1",
        peer_trusted=False,
    )


def bearer(token: str | bytes) -> RequestHead:
    value = token.encode("utf-8", "surrogatepass") if isinstance(token, str) else token
    return head_with((b"Host", b"api.example.com"), (b"Authorization", b"Bearer " + value))


def signed(key: SigningKey, header: object, payload: object) -> str:
    """Return a token of any header and payload (values, or bytes as they are) with a good signature."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    text = ".".join(encode_base64url(part) for part in parts)
    r, s = decode_dss_signature(key.private.sign(text.encode(), ECDSA(SHA256())))
    return f"{text}.{encode_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class World:
    """A `GatewayJwt` with everything around it."""

    def __init__(self, rows: KeyRows, keyring: Keyring, clock: StandingClock) -> None:
        self.clock = clock
        self.rows = rows
        self.keyring = keyring
        self.revocations = KnownRevocations()
        self.seen: list[tuple[str, int]] = []
        self.authenticator = self.another("gateway")

    def another(self, name: str) -> GatewayJwt:
        return GatewayJwt(
            name,
            keyring=self.keyring,
            issuer=ISSUER,
            audience=AUDIENCE,
            longest=LONGEST,
            revocations=self.revocations,
            proofs=Proofs(public_url=ISSUER, counters=MemoryCounters(self.clock), clock=self.clock),
            clock=self.clock,
            seen=lambda session, generation: self.seen.append((session, generation)),
        )

    def token(self, **changes: object) -> str:
        return self.keyring.active.sign(claims_of(**changes), typ="at+jwt")


async def open_world() -> World:
    rows, clock = KeyRows(), StandingClock()
    return World(rows, await open_keyring(rows, clock), clock)
