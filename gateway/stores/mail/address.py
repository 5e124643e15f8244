"""Where mails go, as `GATEWAY_SMTP_URL` says it.

    outbox:[?from=ADDRESS]
    smtp://[NAME:PASSWORD@]HOST[:PORT][?OPTIONS]        STARTTLS, port 587
    smtps://[NAME:PASSWORD@]HOST[:PORT][?OPTIONS]       TLS from the start, port 465

Options are `from=ADDRESS`, `ca=/PATH` and, for `smtp:`, `starttls=never`, joined with `&`.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self
from urllib.parse import unquote, urlsplit

_PORTS: Final = {"smtp": 587, "smtps": 465}
"""RFC 6409 section 3.1 and RFC 8314 section 7.3: submission."""
_OPTIONS: Final = {
    "outbox": frozenset({"from"}),
    "smtp": frozenset({"from", "ca", "starttls"}),
    "smtps": frozenset({"from", "ca"}),
}
_FORMS: Final = "write outbox:, smtp://NAME:PASSWORD@HOST or smtps://NAME:PASSWORD@HOST"


class MailUnusable(ValueError):
    """Mails cannot be sent as the settings say. The text says what to write, and never repeats a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAddress:
    """What the URL says."""

    scheme: str
    host: str = ""
    port: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""
    """Who the mails are from; empty: not said."""
    ca: Path | None = None
    """Authorities that vouch for the server, in place of the system's."""
    starttls: bool | None = True
    """Whether TLS is begun before anything is said; None: if the server offers it."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read the URL. Raise `MailUnusable`."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise MailUnusable(f"the URL cannot be read; {_FORMS}") from None
        scheme = parts.scheme
        if scheme not in _OPTIONS or not url.isascii():
            raise MailUnusable(f"the URL names no way to send mail; {_FORMS}")
        options = _options(scheme, parts.query)
        if scheme == "outbox":
            if parts.netloc or parts.path or parts.fragment:
                raise MailUnusable("the outbox is a directory of its own; write outbox: and nothing behind")
            return cls(scheme=scheme, sender=options.get("from", ""))
        host = parts.hostname or ""
        if not _is_host(host) or parts.path not in {"", "/"} or parts.fragment:
            raise MailUnusable(f"the URL names no server; {_FORMS}")
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        if bool(username) != bool(password):
            raise MailUnusable(f"a name and its password come together; {_FORMS}")
        is_here = _is_this_machine(host)
        never = _never(options.get("starttls"))
        if never and password and not is_here:
            raise MailUnusable("the password would be sent in the clear: remove starttls=never")
        return cls(
            scheme=scheme,
            host=host,
            port=port or _PORTS[scheme],
            username=username,
            password=password,
            sender=options.get("from", ""),
            ca=Path(options["ca"]) if "ca" in options else None,
            starttls=False if never else None if is_here else True,
        )


def _options(scheme: str, query: str) -> Mapping[str, str]:
    options: dict[str, str] = {}
    known = sorted(_OPTIONS[scheme])
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise MailUnusable(f"the URL has an option that {scheme}: does not have; {hint}")
        if not value or name in options:
            raise MailUnusable(f"the option {name} has no value, or two; write it once, as {name}=VALUE")
        options[name] = unquote(value)
    return options


def _never(value: str | None) -> bool:
    if value not in {None, "never"}:
        raise MailUnusable("starttls is begun without asking for it; write starttls=never to do without")
    return value is not None


def _is_host(text: str) -> bool:
    """Say whether a text may be a host's name: one that has no form for the network is never looked up."""
    try:
        return bool(text.encode("idna"))
    except UnicodeError:
        return False


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
