"""How a connection begins: who we are, which database, and the scripts that later commands name."""

from collections.abc import Sequence
from typing import Final

from gateway.ports import StoreUnavailable
from gateway.stores.redis.address import RedisAddress
from gateway.stores.redis.encoding import encode
from gateway.stores.redis.faults import RedisUnusable, Refused, Reply

PING: Final = encode(b"PING")

_TRANSIENT: Final = frozenset(
    {"LOADING", "BUSY", "MASTERDOWN", "MAXCLIENTS", "CLUSTERDOWN", "OOM", "MISCONF"}
)
_REPLICA: Final = (b"replica", b"slave")
_MODES: Final = {b"cluster": "part of a cluster", b"sentinel": "a sentinel"}


def commands(address: RedisAddress, scripts: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """Return the first commands of a connection, each with the name that `check` knows it by."""
    first: list[tuple[str, bytes]] = []
    if address.password is not None:
        user = () if address.username is None else (address.username.encode(),)
        first.append(("AUTH", encode(b"AUTH", *user, address.password.encode())))
    if address.db:
        first.append(("SELECT", encode(b"SELECT", b"%d" % address.db)))
    first.append(("CLIENT", encode(b"CLIENT", b"SETNAME", b"gateway")))
    first.append(("HELLO", encode(b"HELLO")))
    first.extend(("SCRIPT LOAD", encode(b"SCRIPT", b"LOAD", script)) for script in scripts)
    first.append(("PING", PING))
    return first


def check(
    address: RedisAddress, names: Sequence[str], outcomes: Sequence[Reply | BaseException], *, hung_up: bool
) -> None:
    """Look at how the first commands ended. Raises `RedisUnusable` or another `StoreUnavailable`.

    `hung_up`: the connection has ended meanwhile.
    """
    first = outcomes[0]
    if hung_up and isinstance(first, StoreUnavailable) and not isinstance(first, Refused):
        raise StoreUnavailable(f"{first}; {_hint(address)}")
    for name, outcome in zip(names, outcomes, strict=True):
        _check(address, name, outcome)


def _hint(address: RedisAddress) -> str:
    """Say what hanging up without a word may mean: with TLS 1.3, a client is refused after the handshake."""
    if address.tls is None:
        return "if this port is for TLS, write rediss://"
    return "does it want a certificate (ssl_certfile)?" if address.tls.certfile is None else "is it Redis?"


def _check(address: RedisAddress, name: str, outcome: Reply | BaseException) -> None:
    if name == "HELLO" and isinstance(outcome, list):
        _check_server(address, outcome)
    if not isinstance(outcome, BaseException):
        return
    if not isinstance(outcome, Refused):
        raise outcome
    code = outcome.code
    if code in _TRANSIENT:
        raise StoreUnavailable(f"{address}: it answers {code}")
    # A server may be too old for these, or keep them from us; both are of no consequence.
    if name in {"CLIENT", "HELLO"} and code in {"ERR", "NOPERM", "NOAUTH"}:
        return
    raise RedisUnusable(f"{address}: {_advice(address, name, code)}")


def _check_server(address: RedisAddress, hello: list[Reply]) -> None:
    for name, value in zip(hello[::2], hello[1::2], strict=False):
        if name == b"role" and value in _REPLICA:
            raise StoreUnavailable(f"{address}: it is a replica, which takes no writes; name the primary")
        if name == b"mode" and isinstance(value, bytes) and value in _MODES:
            raise RedisUnusable(f"{address}: it is {_MODES[value]}, not supported yet: name a single server")


def _advice(address: RedisAddress, name: str, code: str) -> str:
    match code:
        case "WRONGPASS":
            return "the user name or the password is wrong"
        case "NOAUTH":
            return "it wants a password: write USER:PASSWORD@ or :PASSWORD@ before the host"
        case "NOPERM":
            return (
                f"the user may not {name}: grant it PING, SELECT, SCRIPT LOAD, EVALSHA and what scripts call"
            )
        case "DENIED":
            return "it runs in protected mode, which takes only local clients: give it a password"
        case _:
            pass
    match name:
        case "AUTH":
            return f"it takes no such password ({code}): perhaps it has none"
        case "SELECT":
            return f"it has no database {address.db} ({code})"
        case _:
            return f"it refused {name} with {code}"
