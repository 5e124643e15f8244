"""Where an issuer publishes its keys, by its own metadata (OpenID Connect Discovery 1.0, RFC 8414)."""

from urllib.parse import urlsplit, urlunsplit

from gateway.crypto import JwsMalformed, read_json_object
from gateway.model import is_secure_url
from gateway.ports import Pages, PageUnavailable

_OPENID = "/.well-known/openid-configuration"
_OAUTH = "/.well-known/oauth-authorization-server"


async def discover_keys(issuer: str, pages: Pages) -> str:
    """Return the address of an issuer's keys. Raise `PageUnavailable` when neither of its documents says it.

    A document counts only when its `issuer` is this one, to the letter (RFC 8414 section 3.3): else whoever
    may publish one page there could name keys for all of it.
    """
    first, second = metadata_addresses(issuer)
    try:
        return await _keys_of(issuer, first, pages)
    except PageUnavailable as fault:
        try:
            return await _keys_of(issuer, second, pages)
        except PageUnavailable as other:
            raise PageUnavailable(f"{fault}; {other}") from None


def metadata_addresses(issuer: str) -> tuple[str, str]:
    """Return where the metadata of an issuer is: first by OpenID, which appends the document's name to the
    issuer's path; then by RFC 8414 section 3.1, which puts it before the path."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    openid = urlunsplit((parts.scheme, parts.netloc, f"{path}{_OPENID}", "", ""))
    return openid, urlunsplit((parts.scheme, parts.netloc, f"{_OAUTH}{path}", "", ""))


async def _keys_of(issuer: str, address: str, pages: Pages) -> str:
    page = await pages.fetch(address)
    try:
        document = read_json_object(page.body)
    except JwsMalformed as flaw:
        raise PageUnavailable(f"{address} cannot be read: {flaw}") from None
    if document.get("issuer") != issuer:
        raise PageUnavailable(f"{address} is about another issuer")
    found = document.get("jwks_uri")
    if not isinstance(found, str) or not is_secure_url(found):
        raise PageUnavailable(f"{address} has no jwks_uri that is a safe address")
    if urlsplit(issuer).scheme == "https" and urlsplit(found).scheme != "https":
        raise PageUnavailable(f"{address} has a jwks_uri without https")
    return found
