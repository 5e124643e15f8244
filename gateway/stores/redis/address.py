"""Where Redis is, and how to get in."""

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.stores.redis.faults import RedisUnusable

_PORT: Final = 6379
_DB_DIGITS: Final = 6
_SCHEMES: Final = "write redis://HOST, rediss://HOST (TLS) or unix:///PATH"
_ENCODED: Final = "in a password, : / ? # and @ are written %3A %2F %3F %23 and %40"
_TLS_PARAMETERS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

P = TypeVar("P", bound=asyncio.BaseProtocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTls:
    """How the server is verified, and how the gateway shows itself. No path means the system's CAs."""

    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    check_hostname: bool = True

    def context(self) -> ssl.SSLContext:
        """Read the files. Blocks; raises `RedisUnusable`."""
        try:
            context = ssl.create_default_context(cafile=self.ca_certs)
        except (OSError, ssl.SSLError) as error:
            raise RedisUnusable(f"ssl_ca_certs: {self.ca_certs}: {_reason(error)}") from None
        context.check_hostname = self.check_hostname
        if self.certfile is not None:
            try:
                context.load_cert_chain(self.certfile, self.keyfile, password=_no_password)
            except (OSError, ssl.SSLError) as error:
                files = self.certfile if self.keyfile is None else f"{self.certfile}, {self.keyfile}"
                raise RedisUnusable(f"ssl_certfile, ssl_keyfile: {files}: {_reason(error)}") from None
        return context


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RedisAddress:
    """One Redis server: over TCP, TLS or a Unix socket."""

    host: str = ""
    port: int = _PORT
    path: str | None = None
    """The Unix socket; `host` and `port` mean nothing then."""
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls: RedisTls | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the address that a URL names: `redis://`, `rediss://` or `unix://`.

        `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `unix://[USER:PASSWORD@]/PATH[?db=DB]`; parameters are
        `db` and, with `rediss://`, `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile` and `ssl_check_hostname`.
        Raises `RedisUnusable`, which never repeats the URL: it may hold a password.
        """
        parts = _split(url)
        parameters = _parameters(parts)
        username, password = _credentials(parts)
        db = _db(parts, parameters)
        if parts.scheme == "unix":
            return cls(path=_socket(parts), db=db, username=username, password=password)
        host, port = _host(parts)
        tls = _tls(parameters) if parts.scheme == "rediss" else None
        return cls(host=host, port=port, db=db, username=username, password=password, tls=tls)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix://{self.path}?db={self.db}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'redis' if self.tls is None else 'rediss'}://{host}:{self.port}/{self.db}"

    def __repr__(self) -> str:
        return f"RedisAddress({str(self)!r})"

    async def connect(self, protocol: Callable[[], P]) -> P:
        """Open a connection. Raises `OSError` (of which TLS faults are a kind) or `RedisUnusable`."""
        loop = asyncio.get_running_loop()
        if self.path is not None:
            return (await loop.create_unix_connection(protocol, self.path))[1]
        # Read for every connection, so that renewed certificates are taken up without a restart.
        context = None if self.tls is None else await asyncio.to_thread(self.tls.context)
        try:
            return (await loop.create_connection(protocol, self.host, self.port, ssl=context))[1]
        except UnicodeError:
            raise RedisUnusable(f"{self}: the host is not a name that DNS can look up") from None

    def client(
        self,
        *,
        socket_timeout: float = 1.0,
        socket_connect_timeout: float = 1.0,
        max_connections: int = 4,
    ) -> Redis:
        """Return a client of redis-py, for what does not happen per request. Times are in seconds.

        It never retries by itself: after a timeout nobody knows whether a command was executed. A command
        that blocks on the server needs a `socket_timeout` above the time that it blocks.
        """
        tls = self.tls
        return Redis(
            host=self.host,
            port=self.port,
            unix_socket_path=self.path,
            db=self.db,
            username=self.username,
            password=self.password,
            socket_timeout=socket_timeout,
            socket_connect_timeout=socket_connect_timeout,
            socket_keepalive=True,
            max_connections=max_connections,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            ssl=tls is not None,
            ssl_ca_certs=None if tls is None else tls.ca_certs,
            ssl_certfile=None if tls is None else tls.certfile,
            ssl_keyfile=None if tls is None else tls.keyfile,
            ssl_check_hostname=tls is None or tls.check_hostname,
        )


def _split(url: str) -> SplitResult:
    if "://" not in url:
        raise RedisUnusable(f"the Redis URL is not a URL: {_SCHEMES}")
    if not url.isprintable() or " " in url or _BAD_PERCENT.search(url):
        raise RedisUnusable(
            "the Redis URL holds a character that must be percent-encoded (a space %20, a percent sign %25)"
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        raise RedisUnusable("the Redis URL has no valid host: an IPv6 address is written [::1]") from None
    if parts.scheme in {"redis+sentinel", "redis+cluster"}:
        kind = parts.scheme.removeprefix("redis+").title()
        raise RedisUnusable(f"Redis {kind} is not supported yet: name one primary, {_SCHEMES}")
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise RedisUnusable(f"a Redis URL cannot begin with {parts.scheme}://: {_SCHEMES}")
    if "#" in url:
        raise RedisUnusable("the Redis URL holds a #: write %23 when it belongs to the password")
    if parts.scheme != "unix" and "@" in parts.path + parts.query and "@" not in parts.netloc:
        raise RedisUnusable(f"the Redis URL ends before its @: {_ENCODED}")
    return parts


def _parameters(parts: SplitResult) -> dict[str, str]:
    known = ("db", *_TLS_PARAMETERS) if parts.scheme == "rediss" else ("db",)
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise RedisUnusable("the Redis URL's parameters are written ?NAME=VALUE&NAME=VALUE") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            # What follows a ? that nobody encoded may be the rest of a password.
            hint = "it belongs to rediss://" if name in _TLS_PARAMETERS else f"known: {', '.join(known)}"
            shown = repr(name) if name in _TLS_PARAMETERS else "an unknown parameter"
            raise RedisUnusable(f"the Redis URL has {shown}; {hint}")
        if name in found or not value:
            raise RedisUnusable(f"the Redis URL needs one value for {name!r}, or none of it")
        found[name] = value
    return found


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    userinfo, at, _ = parts.netloc.rpartition("@")
    if not at:
        return None, None
    username, colon, password = userinfo.partition(":")
    if not colon:
        raise RedisUnusable("the Redis URL has a user without password: write USER:PASSWORD@ or :PASSWORD@")
    return _decoded(username, "user") or None, _decoded(password, "password")


def _host(parts: SplitResult) -> tuple[str, int]:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise RedisUnusable(f"the Redis URL's port is not a number from 1 to 65535; {_ENCODED}")
    if not parts.hostname:
        raise RedisUnusable(f"the Redis URL names no host: {_SCHEMES}")
    return _decoded(parts.hostname, "host"), port or _PORT


def _socket(parts: SplitResult) -> str:
    if parts.netloc.rpartition("@")[2] or len(parts.path) < 2:  # noqa: PLR2004 - more than the slash
        raise RedisUnusable("a Unix socket is named by its full path: unix:///PATH/TO/redis.sock")
    return _decoded(parts.path, "path")


def _db(parts: SplitResult, parameters: dict[str, str]) -> int:
    named = {parameters["db"]} if "db" in parameters else set()
    if parts.scheme != "unix" and parts.path not in {"", "/"}:
        named.add(parts.path[1:])
    if not named:
        return 0
    number = named.pop()
    if named:
        raise RedisUnusable("the Redis URL names two databases: write /DB or ?db=DB")
    if not (number.isascii() and number.isdecimal() and len(number) <= _DB_DIGITS):
        raise RedisUnusable("the Redis URL's database is not a number: write redis://HOST:PORT/0")
    return int(number)


def _tls(parameters: dict[str, str]) -> RedisTls:
    check = parameters.get("ssl_check_hostname", "true").lower()
    if check not in _TRUTH:
        raise RedisUnusable("ssl_check_hostname in the Redis URL is true or false")
    certfile, keyfile = parameters.get("ssl_certfile"), parameters.get("ssl_keyfile")
    if keyfile is not None and certfile is None:
        raise RedisUnusable("ssl_keyfile in the Redis URL needs ssl_certfile")
    return RedisTls(
        ca_certs=parameters.get("ssl_ca_certs"),
        certfile=certfile,
        keyfile=keyfile,
        check_hostname=_TRUTH[check],
    )


def _decoded(text: str, what: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise RedisUnusable(f"the Redis URL's {what} is not UTF-8") from None
    if "\0" in decoded:
        raise RedisUnusable(f"the Redis URL's {what} holds a NUL")
    return decoded


def _no_password() -> str:
    # Without this, OpenSSL would ask at the terminal.
    raise RedisUnusable("ssl_keyfile: the key has a password; store it without one, readable by the gateway")


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "holds no usable PEM"
    return error.strerror or type(error).__name__
