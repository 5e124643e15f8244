"""The URL of a PostgreSQL database: checked, named without its secrets, and handed whole to the driver.

asyncpg reads it as libpq does (PostgreSQL manual, 34.1.1 "Connection Strings"): several hosts, sockets,
`sslmode`, `passfile`, `service`; what is no parameter of a connection is a setting of the session.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from gateway.stores.sql.faults import DatabaseUnusable

_SYNTAX: Final = "write postgresql://USER:PASSWORD@HOST:PORT/NAME"
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:@\[\]]*)(?::(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORT: Final = "5432"
_UNSUPPORTED: Final = {
    "client_encoding": "the gateway speaks UTF-8",
    "connect_timeout": "the gateway waits 4 s",
    "keepalives": "the gateway keeps connections alive",
    "default_transaction_isolation": "the gateway's transactions name theirs",
    "default_transaction_read_only": "the gateway writes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresAddress:
    """Where a PostgreSQL database is."""

    place: str
    """Its name in messages: `database postgresql HOST:PORT/NAME`."""
    url: str = field(repr=False)
    parameters: frozenset[str]
    """Names of the parameters behind the question mark."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL. Raise `DatabaseUnusable`, which never repeats it.

        A password with a character that ends it (`/`, `?`, `#`, `@`) would be read as host, port or name, and
        be shown as such; so whatever looks odd is refused.
        """
        parts = _split(url)
        if parts.fragment or url.count("@") > 1 or "@" in parts.path + parts.query:
            raise DatabaseUnusable(
                f"the database URL is ambiguous: {_SYNTAX}, and within these %40 for @, %2F for /, "
                "%3F for ?, %23 for #, %25 for %"
            )
        parameters = _parameters(parts.query)
        for unsupported in sorted(parameters.keys() & _UNSUPPORTED.keys()):
            raise DatabaseUnusable(
                f"the database URL has a parameter {unsupported}: leave it out, {_UNSUPPORTED[unsupported]}"
            )
        name = unquote(parts.path.removeprefix("/")) or parameters.get("dbname") or parameters.get("database")
        service = parameters.get("service")
        if not name and not service:
            raise DatabaseUnusable(f"the database URL names no database: {_SYNTAX}")
        hosts = _hosts(parts.netloc.rpartition("@")[2], parameters)
        where = f"{','.join(hosts)}/{name}" if name else f"service {service}"
        return cls(place=f"database postgresql {where}", url=url, parameters=frozenset(parameters))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise DatabaseUnusable(f"the database URL is not a URL: {_SYNTAX}") from None


def _parameters(query: str) -> dict[str, str]:
    try:
        found = parse_qsl(query, strict_parsing=True) if query else []
    except ValueError:
        raise DatabaseUnusable(
            "the database URL has parameters that cannot be read: write ?NAME=VALUE&NAME=VALUE"
        ) from None
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        raise DatabaseUnusable("the database URL has a parameter twice: write several hosts as HOST,HOST")
    return dict(found)


def _hosts(authority: str, parameters: dict[str, str]) -> list[str]:
    """Return `HOST:PORT` of every host, none when the driver is to find the server of this machine."""
    written = unquote(authority) or parameters.get("host", "")
    port = parameters.get("port", _DEFAULT_PORT)
    ports = port.split(",")
    if not all(re.fullmatch(r"[0-9]{1,5}", one) for one in ports):
        raise DatabaseUnusable(
            "the database URL has a port that is no number: write HOST:PORT, or ?port=PORT"
        )
    if not written:
        return []
    hosts = written.split(",")
    if len(ports) not in {1, len(hosts)}:
        raise DatabaseUnusable("the database URL has not as many ports as hosts")
    found = []
    for number, host in enumerate(hosts):
        match = _HOST.fullmatch(host)
        if match is None or not match["host"]:
            raise DatabaseUnusable(f"the database URL has no readable host: {_SYNTAX}")
        found.append(f"{match['host']}:{match['port'] or ports[number % len(ports)]}")
    return found
