"""Parts of URLs, as the files write them: web origins, addresses on the web, paths and their beginnings."""

import re
from urllib.parse import urlsplit

from gateway.config.addresses import USUAL_PORTS, is_host_name, is_ipv6
from gateway.config.problem import text_of, wrong

# Nothing that two parsers could read in two ways: no empty and no dot segment, nothing that hides one.
_SEGMENT = r"(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%(?!2[5EeFf]|5[Cc]|7[Ff]|[01])[0-9A-Fa-f]{2})+"
_PREFIX = re.compile(rf"(?:/(?!\.\.?(?:/|\Z)){_SEGMENT})+")
_ORIGIN_FORM = re.compile(r"/[!-\"$-~]*")


def read_origin(value: object) -> str:
    """Return a web origin as browsers write it (RFC 6454 section 6.2): scheme, host and port, lower-case."""
    text = text_of(value, "https://app.example.com")
    if "*" in text:
        raise wrong("holds a wildcard; pages are let in one by one", "name each origin")
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        scheme, host, port = "", "", None
    if not text.startswith(("http://", "https://")) or not _is_netloc(text.partition("//")[2], host):
        raise wrong("is not an origin", "write scheme and host, nothing after them: https://app.example.com")
    if port == USUAL_PORTS[scheme]:
        raise wrong(f"names the port {port}, which browsers leave out", "leave it out")
    return text.lower()


def _is_netloc(text: str, host: str) -> bool:
    """Say whether a text is a host, with a port or without."""
    is_host = is_ipv6(host) if text.startswith("[") else is_host_name(host)
    shown = f"[{host}]" if text.startswith("[") else host
    return is_host and re.fullmatch(rf"{re.escape(shown)}(?::[1-9][0-9]*)?", text.lower()) is not None


def read_prefix(value: object) -> str:
    """Return the beginning of a path: `/reports`."""
    text = text_of(value, "/reports")
    if _PREFIX.fullmatch(text) is None:
        raise wrong(
            "is not the beginning of a path", "write it with a slash in front and none behind: /reports"
        )
    return text


def read_request_target(value: object) -> str:
    """Return what a request of the gateway's own asks for: a path, with a query or without."""
    text = text_of(value, "/healthz")
    if _ORIGIN_FORM.fullmatch(text) is None:
        raise wrong("is not a path", "write it with a slash in front and without spaces: /healthz")
    return text


def read_server_name(value: object) -> str:
    """Return the name in a certificate: a host, or an IP address without brackets; lower-case."""
    text = text_of(value, "orders.internal")
    if not is_host_name(text.removesuffix(".")) and not is_ipv6(text):
        raise wrong("is not the name of a server", "write the name alone: orders.internal")
    return text.removesuffix(".").lower()
