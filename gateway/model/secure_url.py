"""Which addresses of the web nobody on the way can answer for."""

from urllib.parse import urlsplit

from gateway.model.address import read_address


def is_secure_url(url: str) -> bool:
    """Say whether a URL is `https`, or `http` to this machine itself, and holds nobody's name or password."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    address = read_address(host)
    return address is not None and address.is_loopback
