"""The URL of an outlet, taken apart.

    stdout:[?OPTIONS]
    file:/PATH[?OPTIONS]
    syslog://HOST:PORT[?OPTIONS]
    syslog+tls://HOST[:PORT][?OPTIONS]
    https://HOST[:PORT]/PATH[?OPTIONS]         (or http:)

Options are `name=value`, joined with `&`; `%XX` stands for a byte, and nothing else has a second meaning.
A URL may hold secrets although it should not, so no message repeats more of it than scheme, host and path.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

SYSLOG_TLS_PORT: Final = 6514
"""RFC 5425 section 4.1."""
OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "stdout": frozenset({"as"}),
    "file": frozenset({"as"}),
    "syslog": frozenset({"as"}),
    "syslog+tls": frozenset({"as", "ca", "cert", "key"}),
    "http": frozenset({"as", "token", "query"}),
    "https": frozenset({"as", "token", "query", "ca", "cert", "key"}),
}
"""What may be said of an outlet, by scheme."""
_FORMS: Final = "stdout:, file:/PATH, syslog://HOST:PORT, syslog+tls://HOST:PORT or https://HOST/PATH"


class OutletFlaw(ValueError):
    """A URL that names no outlet. The text says what is wrong and what to write, without any secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutletAddress:
    """What a URL says."""

    scheme: str
    host: str = ""
    port: int | None = None
    path: str = ""
    """As written for the web; with `%XX` replaced for a file."""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> str:
        """The URL without its options."""
        if not self.host:
            return f"{self.scheme}:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port is None else f':{self.port}'}{self.path}"

    def flaw(self, problem: str) -> OutletFlaw:
        """Return a flaw of this URL."""
        return OutletFlaw(f"{self.place}: {problem}")

    def file(self, option: str) -> Path | None:
        """Return the absolute path that an option names, None when it is not there. Raise `OutletFlaw`."""
        text = self.options.get(option)
        if text is None:
            return None
        if not text.startswith("/"):
            raise self.flaw(f"{option} is no absolute path; write {option}=/etc/gateway/{option}.pem")
        return Path(text)

    def secret_file(self, option: str) -> Path | None:
        """Return the file that an option names as the place of a secret, None when it is not there. Raise
        `OutletFlaw`."""
        text = self.options.get(option)
        if text is None:
            return None
        if not text.startswith("file:/"):
            # The text itself is not repeated: most likely it is the secret.
            raise self.flaw(f"{option} names no file; write {option}=file:/run/secrets/{option}")
        return Path(text.removeprefix("file:"))

    @property
    def is_on_this_machine(self) -> bool:
        """Whether what is sent there stays on this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(url: str) -> OutletAddress:
    """Return what a URL says. Raise `OutletFlaw`."""
    if not (url.isascii() and url.isprintable()):
        raise OutletFlaw("the URL of an outlet has characters that no URL has; write %XX for them")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise OutletFlaw(f"the URL of an outlet cannot be read; write {_FORMS}") from None
    if parts.scheme not in OPTIONS or ":" not in url:
        # Not repeated, not even in part: without a known scheme nobody knows which part is the secret.
        near = difflib.get_close_matches(url.partition(":")[0].lower(), OPTIONS, n=1)
        meant = f"did you mean {near[0]}:?" if near else f"write {_FORMS}"
        raise OutletFlaw(f"the URL of an outlet begins with no kind of outlet; {meant}")
    address = OutletAddress(
        scheme=parts.scheme, host=parts.hostname or "", port=port, path=_path(parts.scheme, parts.path)
    )
    if parts.username is not None or parts.password is not None:
        raise address.flaw("no name and password stand in the URL; write token=file:/PATH, and it is sent")
    if parts.fragment or "#" in url:
        raise address.flaw("a URL of an outlet has no fragment; write %23 for #")
    _check_place(address, has_authority=url.startswith(f"{parts.scheme}://"))
    return OutletAddress(
        scheme=address.scheme,
        host=address.host,
        port=address.port or (SYSLOG_TLS_PORT if address.scheme == "syslog+tls" else None),
        path=address.path or ("/" if address.scheme in {"http", "https"} else ""),
        options=_options(address, parts.query),
    )


def _path(scheme: str, path: str) -> str:
    """Return a path as its outlet needs it: replaced for a file, as written for the web."""
    return unquote(path) if scheme == "file" else path


def _check_place(address: OutletAddress, *, has_authority: bool) -> None:
    match address.scheme:
        case "stdout":
            if address.host or address.path or has_authority:
                raise address.flaw("standard output has no host and no path; write stdout:")
        case "file":
            if address.host or not address.path.startswith("/") or address.path.endswith("/"):
                raise address.flaw("is no absolute path of a file; write file:/var/log/gateway/audit.jsonl")
        case "syslog" | "syslog+tls":
            if not address.host or address.path not in {"", "/"}:
                raise address.flaw("names no server; write syslog+tls://HOST:PORT")
            if address.scheme == "syslog" and address.port is None:
                raise address.flaw("has no port; write syslog://HOST:514, or what the receiver listens on")
        case _:
            if not address.host:
                raise address.flaw("names no server; write https://HOST/PATH")


def _options(address: OutletAddress, query: str) -> Mapping[str, str]:
    known: frozenset[str] = OPTIONS[address.scheme]
    options: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, separator, value = part.partition("=")
        if name not in known:
            raise address.flaw(_unknown(name, known))
        if not separator or not value:
            raise address.flaw(f"{name} has no value; write {name}=VALUE, or leave it out")
        if name in options:
            raise address.flaw(f"{name} is given twice; keep one")
        options[name] = unquote(value)
    return options


def _unknown(name: str, known: frozenset[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    if near:
        return f"there is no option {name!r}; did you mean {near[0]!r}?"
    listed = ", ".join(sorted(known))
    hint = "; what the receiver itself wants goes into query=, percent-encoded" if "query" in known else ""
    # A part without a known name may be anything, a secret too.
    return f"has an option that is none of {listed}{hint}"
