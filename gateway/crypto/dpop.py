"""DPoP proofs (RFC 9449): showing, with each request, possession of the key that a token is bound to.

`read_proof` is the check of one text against one request, without memory; `Proofs` takes the text out of a
request's head and sees to it that nobody uses it twice.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.crypto.base64url import encode_base64url
from gateway.crypto.jwk import JwkRefused, VerifyingKey, read_jwk
from gateway.crypto.jws import JwsMalformed, read_jws
from gateway.model import Algorithm, Charge, Limit, OnStoreError, RequestHead
from gateway.ports import Clock, CounterStore

PROOF_ALGORITHMS: Final = ("ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256")
"""What proofs may be signed by."""
PROOF_SECONDS: Final = 60
"""A proof is good for so long after it was made; a client's clock may be ahead by as much."""
MAX_PROOF_BYTES: Final = 4096
TYPE: Final = "dpop+jwt"
_MAX_ID: Final = 256
_MAX_URL: Final = 9216
_FIELD: Final = b"dpop"

_URL = re.compile(r"(https?)://([^/?#@\\]+)([^?#]*)(?:\?[^#]*)?(?:#.*)?", re.IGNORECASE)
_DEFAULT_PORT = {"http": re.compile(r":(?:80)?\Z"), "https": re.compile(r":(?:443)?\Z")}
_ENCODED = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

# A proof is good for PROOF_SECONDS before and after the time that it names.
_ONCE: Final = Limit(
    id="gateway:dpop",
    place="built in",
    algorithm=Algorithm.WINDOW,
    per=("all",),
    # The second use is what is refused, by what is left. Were it the first that leaves nothing, every good
    # proof would be an exhausted key, and the counters would have every request asked whether it is one.
    quota=2,
    burst=2,
    window_us=2 * PROOF_SECONDS * 1_000_000,
    # A proof that might have been used elsewhere proves nothing.
    on_store_error=OnStoreError.CLOSED,
)


class ProofRefused(Exception):
    """A DPoP proof is not good. The text says what is wrong with it, and quotes nothing out of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a good proof says."""

    thumbprint: str
    """RFC 7638 thumbprint of the key whose possession it proves: `jkt`."""
    id: str
    """`jti`, the client's name for it."""


def read_proof(
    text: bytes,
    *,
    method: str,
    urls: Sequence[str],
    now: float,
    token: str | None = None,
    key: str | None = None,
) -> Proof:
    """Return what a proof says that is good for this request and this moment (RFC 9449 section 4.3).

    `urls` are those under which the client may know what it asks for. With a `token`, the proof must have
    been made for it (`ath`); with a `key`, by the key of this thumbprint. Raise `ProofRefused`, and nothing
    else whatever the text is. Whether the proof was used before is not asked.
    """
    if len(text) > MAX_PROOF_BYTES:
        raise ProofRefused("the proof is too long")
    try:
        jws = read_jws(text)
        public = _signer(jws.header)
    except (JwsMalformed, JwkRefused) as flaw:
        raise ProofRefused(f"the proof, or the key in it: {flaw}") from None
    # Before the signature: a key that cannot be the right one costs no check.
    if key is not None and public.thumbprint != key:
        raise ProofRefused("the token is bound to another key than that of the proof")
    if not public.verifies(jws.signed, jws.signature):
        raise ProofRefused("the signature of the proof is wrong")
    claims = jws.payload
    id_ = _text(claims, "jti")
    if len(id_) > _MAX_ID:
        raise ProofRefused("jti is too long")
    if _text(claims, "htm") != method:
        raise ProofRefused("htm is another method")
    if not _is_one_of(_text(claims, "htu"), urls):
        raise ProofRefused("htu is another URL")
    if not now - PROOF_SECONDS <= _number(claims, "iat") <= now + PROOF_SECONDS:
        raise ProofRefused("iat is not of this moment")
    if token is not None and _text(claims, "ath") != _digest(token):
        raise ProofRefused("ath is not of this token")
    return Proof(thumbprint=public.thumbprint, id=id_)


class Proofs:
    """The DPoP fields of requests. Every proof is taken once, by whichever process it comes to.

    `public_url` is the address under which clients know the gateway, wherever they send their requests.
    """

    def __init__(self, *, public_url: str, counters: CounterStore, clock: Clock) -> None:
        self._public_url = public_url
        self._counters = counters
        self._now = clock.now

    async def prove(
        self, head: RequestHead, *, token: str | None = None, key: str | None = None
    ) -> str | None:
        """Return the thumbprint of the key that whoever sent this has; None: it has no DPoP field.

        With a `token`, the proof must be for that one, with a `key` by that one. Raise `ProofRefused` when
        there is a field and it proves nothing, `StoreUnavailable` when nobody knows whether it is new.
        """
        values = head.fields.all(_FIELD)
        if not values:
            return None
        if len(values) > 1:
            raise ProofRefused("DPoP occurs more than once")
        urls = [f"{self._public_url}{head.path}"]
        if head.authority is not None:
            # As the client addressed it. On a route that names its host, nobody can have addressed another.
            urls.insert(0, f"{head.scheme}://{head.authority}{head.path}")
        proof = read_proof(values[0], method=head.method, urls=urls, now=self._now(), token=token, key=key)
        used = _digest(f"{proof.thumbprint} {proof.id}")
        verdict = await self._counters.take((Charge(_ONCE, (_ONCE.id, used)),))
        if not verdict.admitted or verdict.tallies[0].remaining != _ONCE.quota - 1:
            raise ProofRefused("the proof was used before")
        return proof.thumbprint


def _signer(header: Mapping[str, object]) -> VerifyingKey:
    """Return the key that the header of a proof names, for the algorithm that it names."""
    if header.get("typ") != TYPE:
        raise ProofRefused("typ is not dpop+jwt")
    if "crit" in header:
        # RFC 7515 section 4.1.11: an extension that is not understood makes the whole invalid.
        raise ProofRefused("the proof demands extensions that are not known here")
    algorithm, jwk = header.get("alg"), header.get("jwk")
    if not isinstance(algorithm, str) or algorithm not in PROOF_ALGORITHMS:
        raise ProofRefused(f"alg is none of {', '.join(PROOF_ALGORITHMS)}")
    if not isinstance(jwk, dict):
        raise ProofRefused("jwk is missing or not an object")
    # RFC 9864 gives EdDSA with this curve a name of its own; clients use either.
    return read_jwk(jwk, algorithms=["EdDSA" if algorithm == "Ed25519" else algorithm])


def _is_one_of(url: str, urls: Sequence[str]) -> bool:
    """Say whether a URL is one of these but for its spelling, its query and its fragment."""
    if url in urls:
        return True
    wanted = _plain(url)
    return wanted is not None and any(wanted == _plain(each) for each in urls)


def _plain(url: str) -> str | None:
    """Return a URL in the spelling that equal ones share (RFC 3986 sections 6.2.2 and 6.2.3), without query
    and fragment; None when it is none, or holds a user's name."""
    found = _URL.fullmatch(url)
    if found is None or len(url) > _MAX_URL:
        return None
    scheme = found[1].lower()
    authority = _DEFAULT_PORT[scheme].sub("", found[2].lower())
    return f"{scheme}://{authority}{_ENCODED.sub(_shortest, found[3]) or '/'}"


def _shortest(encoded: re.Match[str]) -> str:
    character = chr(int(encoded[1], 16))
    return character if character in _UNRESERVED else encoded[0].upper()


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise ProofRefused(f"{name} is missing or not a string")
    return value


def _number(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    # RFC 7519 section 2: a NumericDate may have a fraction. `true` is an integer to Python.
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ProofRefused(f"{name} is missing or not a number")
    return value


def _digest(text: str) -> str:
    return encode_base64url(sha256(text.encode("utf-8", "surrogatepass")).digest())
