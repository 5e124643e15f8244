"""What the policy says of tokens of other issuers, word by word."""

import re
from urllib.parse import urlsplit

from gateway.config.problem import text_of, wrong
from gateway.config.words import did_you_mean, printable
from gateway.crypto import ALGORITHMS, HMAC_ALGORITHM
from gateway.model import is_secure_url

AUTO = "auto"
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+/_-]{0,126}")
_MAX_ISSUER = 512


def read_issuer(value: object) -> str:
    """Return what `iss` must be: mostly a URL, but some issuers have called themselves otherwise."""
    text = text_of(value, "https://login.example.com")
    if not text or not text.isascii() or not text.isprintable() or " " in text or "|" in text:
        raise wrong("cannot be an issuer", "write it as its tokens do: https://login.example.com")
    if len(text) > _MAX_ISSUER:
        raise wrong(f"has more than {_MAX_ISSUER} characters")
    return text


def read_keys_address(value: object) -> str:
    """Return `auto`, or where an issuer's keys are."""
    text = text_of(value, "auto, or https://login.example.com/keys.json")
    if text == AUTO:
        return text
    if not is_secure_url(text) or urlsplit(text).fragment:
        raise wrong(
            "is neither auto nor an address that nobody on the way can answer for",
            "write auto, or the address of the keys with https://",
        )
    return text


def read_token_type(value: object) -> str:
    """Return a value of `typ` as types are compared: lower-case, without `application/`."""
    text = text_of(value, "at+jwt")
    if _TYPE.fullmatch(text) is None:
        raise wrong("is no type of token", "write at+jwt, or JWT")
    return text.lower().removeprefix("application/")


def read_signature_algorithm(value: object) -> str:
    """Return the name of an algorithm by which tokens can be verified."""
    text = text_of(value, "ES256")
    known = [*ALGORITHMS, HMAC_ALGORITHM]
    if text not in known:
        raise wrong(
            "is no algorithm that tokens are verified by",
            did_you_mean(printable(text), known, otherwise=f"there are {', '.join(known)}"),
        )
    return text
