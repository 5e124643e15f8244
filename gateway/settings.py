"""Process settings: `GATEWAY_*` variables and the flags of the same names.

One table, the model below, is the source of the flags, of the messages and of the reference. An unknown
name or a value that does not parse stops the start: a typo must not silently mean the default.
"""

import difflib
import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gateway.formats import FORMATS
from gateway.model.address import read_network
from gateway.outlets import OutletFlaw, checkpoint_outlets_from, outlets_from

PREFIX = "GATEWAY_"
FROM_FILES = frozenset(
    {"secret", "database_url", "redis_url", "smtp_url", "audit_sinks", "audit_checkpoints"}
)
"""Settings that may be read from the file that `GATEWAY_..._FILE` names."""
IGNORED = re.compile(r"GATEWAY_(TEST_.*|SERVICE_.*|PORT|PORT_.*)")
"""The suite's own variables, and what Kubernetes injects into every container of a service `gateway`."""
NOT_YET = {
    "https_redirect_listen": "the redirect listener",
    "hsts": "Strict-Transport-Security",
}
"""Settings of the contract that this version does not enforce: refused, never accepted and ignored."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB)?")
_BYTES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


class SettingsError(Exception):
    """The settings do not hold together. The text names the setting, its origin and what to write."""


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        message = f"{value!r} is not a duration; write a number with a unit, as in 500ms, 10s or 5min"
        raise ValueError(message)
    return float(match[1]) * _SECONDS[match[2]]


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        message = f"{value!r} is not a size; write a number with a unit, as in 8KiB or 1MiB"
        raise ValueError(message)
    return int(match[1]) * _BYTES[match[2]]


def _processes(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value == "auto":
        from gateway.workers import usable_cores  # noqa: PLC0415 - commands have no processes to start

        return usable_cores()
    if not re.fullmatch(r"[0-9]{1,4}", value):
        message = f"{value!r} is not a number of processes; write a number, or auto"
        raise ValueError(message)
    return int(value)


def _words(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


class Listen(BaseModel):
    """Where a listener listens: a TCP address, or a unix socket."""

    model_config = ConfigDict(frozen=True)

    host: str | None = None
    port: int | None = None
    path: str | None = None

    @classmethod
    def parse(cls, value: object) -> object:
        """Read `127.0.0.1:8000`, `[::]:8000` or `unix:/path`."""
        if not isinstance(value, str):
            return value
        if value.startswith("unix:") and value.removeprefix("unix:").startswith("/"):
            return cls(path=value.removeprefix("unix:"))
        match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/]+):(\d{1,5})", value)
        if match is None or int(match[2]) > 65535:  # noqa: PLR2004 - the largest port
            message = f"{value!r} is not an address; write HOST:PORT, [IPV6]:PORT or unix:/path"
            raise ValueError(message)
        return cls(host=match[1].strip("[]"), port=int(match[2]))

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in (self.host or "") else f"{self.host}:{self.port}"


class TrustedProxies(BaseModel):
    """Peers whose forwarding fields are believed."""

    model_config = ConfigDict(frozen=True)

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    unix: bool = False

    @classmethod
    def parse(cls, value: object) -> object:
        """Read CIDRs and the word `unix`, separated by commas or spaces."""
        if not isinstance(value, str):
            return value
        networks: list[IPv4Network | IPv6Network] = []
        words = value.replace(",", " ").split()
        for word in words:
            if word == "unix":
                continue
            try:
                networks.append(read_network(word))
            except ValueError as error:
                message = f"{word!r} is not a network ({error}); write CIDRs as in 10.0.0.0/8, or unix"
                raise ValueError(message) from None
        return cls(networks=tuple(networks), unix="unix" in words)


Duration = Annotated[float, BeforeValidator(_seconds)]
Size = Annotated[int, BeforeValidator(_size)]
Urls = Annotated[tuple[str, ...], BeforeValidator(_words)]
Address = Annotated[Listen, BeforeValidator(Listen.parse)]


class Settings(BaseModel):
    """Everything that a process is told from outside its two files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upstreams: Path = Field(Path("upstreams.yaml"), description="The file that says where services are.")
    policies: Path = Field(Path("policies.yaml"), description="The file that says who may, and how often.")
    listen: Address = Field(
        Listen(host="127.0.0.1", port=8000),
        description="Clients' listener: HOST:PORT, [IPV6]:PORT or unix:/path (mode 0660).",
    )
    admin_listen: Address = Field(
        Listen(host="127.0.0.1", port=8001), description="Operators' listener: health and readiness."
    )
    data_dir: Path = Field(
        Path("data"), description="Audit spool, SQLite file, generated secret; created with mode 0700."
    )
    database_url: str = Field(
        "",
        repr=False,
        description=(
            "`sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST/NAME` with the parameters of libpq as in "
            "`?sslmode=verify-full`; default: `gateway.db` in the data directory."
        ),
    )
    redis_url: str = Field(
        "memory://",
        repr=False,
        description=(
            "Counters: `memory://` keeps them in this process; `redis://`, `rediss://` (TLS) or `unix://` "
            "shares them between processes."
        ),
    )
    smtp_url: str = Field(
        "outbox:",
        repr=False,
        description=(
            "Who sends mails: `smtp://NAME:PASSWORD@HOST:PORT` (STARTTLS) or `smtps://...` (TLS), with "
            "`?from=ADDRESS`; `outbox:` writes them as `.eml` files into `outbox` in the data directory."
        ),
    )
    secret: str | None = Field(
        None,
        repr=False,
        description="Master secret, at least 32 characters; default: generated once into the data directory.",
    )
    workers: Annotated[int, BeforeValidator(_processes)] = Field(
        1, ge=1, le=1024, description="Processes, or `auto`: one for each core that may be used."
    )
    public_url: str = Field(
        "http://localhost:8000", description="Issuer of tokens; never taken from a request."
    )
    trusted_proxies: Annotated[TrustedProxies, BeforeValidator(TrustedProxies.parse)] = Field(
        TrustedProxies(), description="CIDRs, and the word `unix`, whose forwarding fields are believed."
    )
    tls_cert: Path | None = Field(
        None,
        description=(
            "Certificate of the clients' listener, PEM with its chain behind it: then it speaks TLS alone. "
            "Read again when it changes."
        ),
    )
    tls_key: Path | None = Field(
        None, description="Private key of that certificate, PEM, without a password."
    )
    tls_client_ca: Path | None = Field(
        None,
        description="Authorities that vouch for certificates of clients, which are then asked for one.",
    )
    audit_durability: Literal["process", "power", "off"] = Field(
        "process",
        description=(
            "`process` survives kill -9, `power` also a power cut; with `off`, for benchmarks only, "
            "no request is recorded."
        ),
    )
    audit_sinks: Urls = Field(
        (),
        repr=False,
        description=(
            "Where records are sent besides the database, separated by blanks: `stdout:`, `file:/PATH`, "
            "`syslog://HOST:PORT`, `syslog+tls://HOST:PORT`, `https://HOST/PATH`; each with `?as=FORMAT`."
        ),
    )
    audit_checkpoints: Urls = Field(
        (),
        repr=False,
        description=(
            "Where signed checkpoints of the audit trail are sent, out of reach of whoever could change it: "
            "`stdout:`, `file:/PATH`, `https://HOST/PATH`."
        ),
    )
    audit_keep: Duration | None = Field(
        None,
        ge=86400,
        description="How long audit records are kept, in whole days of UTC, as in `400d`. Default: for ever.",
    )
    audit_spool_limit: Size = Field(
        10 * 1024**3,
        # Below, what a process ships within a second or two is a large part of it.
        ge=64 * 1024**2,
        description=(
            "How large the audit spool may grow while the database is away: at 85 % completions are left "
            "out, at 95 % requests are refused."
        ),
    )
    max_target_bytes: Size = Field(8 * 1024, ge=256, le=1024**2, description="Longest request target.")
    max_header_bytes: Size = Field(
        32 * 1024, ge=1024, le=1024**2, description="Largest sum of all header lines of one request."
    )
    header_timeout: Duration = Field(
        10.0, ge=0.1, le=600, description="How long a client may take to send the head of a request."
    )
    keepalive_timeout: Duration = Field(75.0, ge=1, description="How long an idle client connection is kept.")
    max_connections: int = Field(
        10_000,
        ge=1,
        le=10_000_000,
        description="Connections of clients at the same time; several workers have equal shares of it.",
    )
    max_connections_per_address: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description=(
            "Connections at the same time from one address (IPv6: from one /64) that is no trusted proxy; "
            "several workers have equal shares of it. Default: any number."
        ),
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least log level.")
    log_format: Literal["json", "text", "auto"] = Field(
        "auto", description="`auto`: text on a terminal, else json."
    )
    drain_timeout: Duration = Field(
        30.0, ge=0, description="After SIGTERM: how long running exchanges may take to end."
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.workers > 1 and not self.is_shared:
            message = (
                f"workers: {self.workers} processes would each count limits for themselves, and let "
                f"{self.workers} times as much through: name a Redis with GATEWAY_REDIS_URL, or run 1"
            )
            raise ValueError(message)
        for name, made in (
            ("audit_sinks", lambda: outlets_from(self.audit_sinks, FORMATS)),
            ("audit_checkpoints", lambda: checkpoint_outlets_from(self.audit_checkpoints)),
        ):
            try:
                made()
            except OutletFlaw as flaw:
                message = f"{name}: {flaw}"
                raise ValueError(message) from None
        self._check_tls()
        parts = urlsplit(self.public_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = f"public_url: {self.public_url!r} is not a URL; write it as in https://api.example.com"
            raise ValueError(message)
        if parts.query or parts.fragment:
            message = (
                f"public_url: {self.public_url!r} has a query or a fragment, and paths are added to it: "
                "leave out what begins with ? or #"
            )
            raise ValueError(message)
        return self

    def _check_tls(self) -> None:
        for name, other in (
            ("tls_cert", "tls_key"),
            ("tls_key", "tls_cert"),
            ("tls_client_ca", "tls_cert"),
        ):
            if getattr(self, name) is not None and getattr(self, other) is None:
                message = f"{name}: is of no use without GATEWAY_{other.upper()}: set both"
                raise ValueError(message)
        if self.tls_cert is not None and self.listen.path is not None:
            message = (
                "tls_cert: the clients' listener is a unix socket, which nobody listens in on: unset it, or "
                "listen on HOST:PORT"
            )
            raise ValueError(message)

    @property
    def is_shared(self) -> bool:
        """Whether the counters are shared between processes."""
        return self.redis_url != "memory://"

    @property
    def is_embedded(self) -> bool:
        """Whether the database is a file of this host."""
        return self.database.startswith("sqlite:")

    @property
    def database(self) -> str:
        """The database URL in force."""
        # What is special in a URL may well be in a path.
        return self.database_url or f"sqlite:///{quote(os.fsencode(self.data_dir / 'gateway.db'))}"

    @property
    def issuer(self) -> str:
        """The issuer of tokens: the public URL without a trailing slash."""
        return self.public_url.rstrip("/")


def load_settings(environ: Mapping[str, str], flags: Mapping[str, str | None] | None = None) -> Settings:
    """Return the settings in force: flags before variables before defaults. Raise `SettingsError`."""
    values: dict[str, str] = {}
    origin: dict[str, str] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or IGNORED.fullmatch(name):
            continue
        field = name.removeprefix(PREFIX).lower()
        text = environ[name]
        if field.endswith("_file") and field.removesuffix("_file") in FROM_FILES:
            field, text = field.removesuffix("_file"), _read(name, text)
        if field in NOT_YET and field not in Settings.model_fields:
            message = f"{name} is set, but {NOT_YET[field]} is not supported yet: unset it"
            raise SettingsError(message)
        if field not in Settings.model_fields:
            raise SettingsError(_unknown(name))
        if not text.strip():
            message = f"{name} is set and empty: give it a value, or unset it"
            raise SettingsError(message)
        if field in values:
            message = f"{origin[field]} and {name} are both set: keep one"
            raise SettingsError(message)
        values[field], origin[field] = text, name
    for field, flag in (flags or {}).items():
        if flag is not None:
            values[field], origin[field] = flag, f"--{field.replace('_', '-')}"
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(error, origin, values)) from None


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{name}: cannot read {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}"
        raise SettingsError(message) from None


def _unknown(name: str) -> str:
    known = [PREFIX + field.upper() for field in Settings.model_fields]
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "")


def _explain(error: ValidationError, origin: Mapping[str, str], values: Mapping[str, str]) -> str:
    messages = []
    for item in error.errors(include_input=False, include_url=False):
        text = item["msg"].removeprefix("Value error, ")
        field = str(item["loc"][0]) if item["loc"] else text.partition(":")[0]
        bounds = item.get("ctx", {})
        # Only numbers and words come here, which are no secrets.
        match item["type"]:
            case "int_parsing":
                text = f"{values[field]!r} is not a whole number"
            case "greater_than_equal":
                text = f"{values[field]!r} is too little; the least is {_measured(field, bounds['ge'])}"
            case "less_than_equal":
                text = f"{values[field]!r} is too much; the most is {_measured(field, bounds['le'])}"
            case "literal_error":
                text = f"{values[field]!r} is not possible; write {bounds['expected']}"
            case _:
                pass
        text = text if item["loc"] else text.partition(": ")[2]
        messages.append(f"{origin.get(field, field)}: {text}")
    return "; ".join(messages)


def _measured(field: str, bound: float) -> str:
    """Return a bound with the unit that the setting is written in."""
    if field.endswith("_timeout"):
        return f"{bound:g}s"
    return f"{int(bound)}B" if field.endswith("_bytes") else f"{int(bound)}"
