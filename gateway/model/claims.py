"""Reading one claim of a token by the name that a policy uses for it."""

from collections.abc import Mapping


def read_claim(claims: Mapping[str, object] | None, name: str) -> object:
    """Return a claim's value, None when there is none (JSON `null` is none).

    `name` is the claim's whole name first (`https://example.com/roles`); only when there is no such claim
    are its dots steps into nested objects (`realm_access.roles`).
    """
    if claims is None:
        return None
    if name in claims or "." not in name:
        return claims.get(name)
    found: object = claims
    for step in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found
