"""Where machines are, as the files write it: networks, hosts, targets and files."""

import os
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import urlsplit

from pydantic_core import PydanticCustomError

from gateway.config.problem import text_of, wrong
from gateway.model import address

_LONGEST_NAME = 253
"""Characters of a domain name (RFC 1035 section 2.3.4)."""
Network = IPv4Network | IPv6Network
_LONGEST_SOCKET = 107
"""Bytes of the path of a unix socket (unix(7): `sun_path`, without the zero at its end)."""
_COLONS_OF_A_URL = 2
USUAL_PORTS = {"http": 80, "https": 443}
"""Ports that need not be written."""
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetUrl:
    """Where one instance of an upstream listens; for `unix:` the host is the path of the socket."""

    scheme: str
    host: str
    port: int


def read_network(value: object) -> Network:
    """Return a range of addresses; one address is a range of its own."""
    text = text_of(value, "203.0.113.0/24")
    try:
        return address.read_network(text)
    except ValueError:
        pass
    try:
        loose = ip_network(text, strict=False)
    except ValueError:
        raise wrong(
            "is not a range of addresses", "write an address and the length of its prefix: 203.0.113.0/24"
        ) from None
    raise wrong("has bits set after its prefix", f"did you mean {loose}?")


def read_host_pattern(value: object) -> str:
    """Return an exact host or `*.suffix`, lower-case, without a trailing dot."""
    text = text_of(value, "api.example.com")
    name = text.removeprefix("*.")
    if "://" in text or "/" in text:
        raise wrong("is not a host", "write the name alone: api.example.com", code="E204")
    if "*" in name:
        raise wrong("is not a host", 'a * stands only at the beginning: "*.example.com"', code="E204")
    if name.startswith("[") and name.endswith("]") and name == text:
        return f"[{_address(name[1:-1], IPv6Address)}]"
    if ":" in name:
        raise wrong("is not a host", "leave out the port: it is not compared", code="E204")
    if not is_host_name(name.removesuffix(".")):
        raise wrong("is not a host", 'write api.example.com or "*.example.com"', code="E204")
    return text.lower().removesuffix(".")


def is_host_name(text: str) -> bool:
    """Say whether a text can be looked up: a name of labels, or an IPv4 address in its one usual form."""
    labels = text.split(".")
    if len(text) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    if not labels[-1].isdigit():
        return True
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def is_ipv6(text: str) -> bool:
    """Say whether a text is an IPv6 address, without brackets."""
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def read_file_reference(value: object) -> str:
    """Return the path after `file:`."""
    text = text_of(value, "file:/etc/gateway/ca.pem")
    if not text.startswith("file:/"):
        raise wrong("does not name a file", "write file: and an absolute path: file:/etc/gateway/ca.pem")
    return text.removeprefix("file:")


def read_target_url(value: object) -> TargetUrl:
    """Return where an instance listens."""
    text = text_of(value, "http://orders.internal:8080")
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise wrong(
                "is not a socket", "write unix: and an absolute path: unix:/run/orders.sock", code="E205"
            )
        if len(os.fsencode(path)) > _LONGEST_SOCKET or not path.isprintable():
            raise wrong(
                "cannot be the path of a socket",
                f"use at most {_LONGEST_SOCKET} printable bytes",
                code="E205",
            )
        return TargetUrl(scheme="unix", host=path, port=0)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        if "[" not in text and text.count(":") > _COLONS_OF_A_URL:
            raise _no_brackets() from None
        raise _bad_target("has no valid host or port") from None
    if parts.scheme not in {"http", "https"} or not text.startswith(f"{parts.scheme}://"):
        if "://" not in text and is_host_name(text.partition(":")[0]):
            raise wrong("has no scheme", "write http:// in front of it", code="E205")
        raise _bad_target("is not a target")
    for problem, is_there in (
        ("holds a name or password", "@" in parts.netloc),
        ("holds a path; the path of the request is what is sent", bool(parts.path)),
        ("holds a query", "?" in text),
        ("holds a fragment", "#" in text),
    ):
        if is_there:
            raise _bad_target(problem)
    if port == 0 or parts.netloc.endswith(":"):
        raise _bad_target("has no port after its colon")
    return TargetUrl(
        scheme=parts.scheme,
        host=_target_host(parts.netloc),
        port=port or USUAL_PORTS[parts.scheme],
    )


def _target_host(netloc: str) -> str:
    if netloc.startswith("["):
        return _address(netloc[1:].partition("]")[0], IPv6Address)
    host = netloc.partition(":")[0]
    if netloc.count(":") > 1:
        raise _no_brackets()
    if not is_host_name(host.removesuffix(".")):
        raise _bad_target("has no valid host")
    return host.lower()


def _address(text: str, kind: type[IPv6Address]) -> str:
    try:
        return str(kind(text))
    except ValueError:
        raise wrong(
            "holds something in brackets that is not an IPv6 address", "write [2001:db8::1]", code="E204"
        ) from None


def _no_brackets() -> PydanticCustomError:
    return wrong("holds an IPv6 address without brackets", "write http://[2001:db8::1]:8080", code="E205")


def _bad_target(problem: str) -> PydanticCustomError:
    return wrong(problem, "write scheme, host and port: http://orders.internal:8080", code="E205")
