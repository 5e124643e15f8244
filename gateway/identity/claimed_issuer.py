"""Which issuer a token claims to come from: by that, and nothing else of it, its authenticator is chosen."""

from gateway.crypto import JwsMalformed, decode_base64url, read_json_object
from gateway.identity.access_token import MAX_TOKEN_CHARACTERS


def claimed_issuer(token: str) -> str | None:
    """Return `iss` of a token whose signature nobody has checked; None when it has none that is text, and
    when it is too long for everybody."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        # Whoever knows nobody here must not have a whole head full of JSON read.
        return None
    _, _, rest = token.partition(".")
    payload, _, _ = rest.partition(".")
    try:
        issuer = read_json_object(decode_base64url(payload.encode("ascii"))).get("iss")
    except (JwsMalformed, ValueError):
        return None
    return issuer if isinstance(issuer, str) else None
