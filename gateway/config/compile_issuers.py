"""From `kind: jwt` as it is written to whose tokens are taken. Nothing is fetched."""

from typing import Final

from gateway.config.documents import JwtDocument
from gateway.config.places import Origin, Path
from gateway.config.source import SourceFile
from gateway.config.token_words import AUTO
from gateway.config.words import quoted
from gateway.crypto import HMAC_ALGORITHM, LEAST_SECRET
from gateway.identity import ExternalIssuer
from gateway.model import is_secure_url

_USUAL: Final = ("RS256", "ES256")


def compile_issuer(document: JwtDocument, source: SourceFile, path: Path) -> ExternalIssuer:
    """Return whose tokens an authenticator takes; what is wrong with it is reported."""
    _check_source_of_keys(document, source, path)
    if document.jwks == AUTO and not _has_metadata(document.issuer):
        source.report(
            "E109",
            (*path, "issuer"),
            "no metadata can be found by this issuer, as jwks: auto would have it",
            "write it with https:// and without a query, or the address of its keys in jwks",
        )
    _check_algorithms(document, source, path)
    secret = None if document.secret is None else document.secret.encode()
    if secret is not None and source.origin((*path, "secret")) is not Origin.UNREAD:
        _check_secret(secret, source, (*path, "secret"))
    return ExternalIssuer(
        issuer=document.issuer,
        audience=frozenset(document.audience),
        algorithms=tuple(document.algorithms or ((HMAC_ALGORITHM,) if secret is not None else _USUAL)),
        types=frozenset(document.accept_typ),
        jwks=None if document.jwks == AUTO else document.jwks,
        secret=secret,
    )


def _check_source_of_keys(document: JwtDocument, source: SourceFile, path: Path) -> None:
    if document.jwks is not None and document.secret is not None:
        source.report(
            "E127",
            (*path, "secret"),
            'an issuer has published keys ("jwks") or shares a secret, not both',
            "remove one of the two",
            key=True,
        )
    elif (
        document.jwks is None
        and document.secret is None
        and not any(source.is_lost((*path, key)) for key in ("jwks", "secret"))
    ):
        source.report(
            "E102",
            path,
            'neither "jwks" nor "secret" says how tokens of this issuer are verified',
            "add jwks: auto",
            key=True,
        )


def _has_metadata(issuer: str) -> bool:
    # RFC 8414 section 2: no query and no fragment.
    return is_secure_url(issuer) and "?" not in issuer and "#" not in issuer


def _check_algorithms(document: JwtDocument, source: SourceFile, path: Path) -> None:
    is_shared = document.secret is not None
    for index, name in enumerate(document.algorithms or ()):
        at = (*path, "algorithms", index)
        if (name == HMAC_ALGORITHM) is not is_shared:
            source.report(
                "E127",
                at,
                f"{quoted(name)} is verified with a {'published key' if is_shared else 'shared secret'}",
                "with a secret, the algorithm is HS256"
                if is_shared
                else "remove it: HS256 goes with a secret",
            )
        elif name in (document.algorithms or ())[:index]:
            source.report("E118", at, f"{quoted(name)} is named twice", "name it once")


def _check_secret(secret: bytes, source: SourceFile, path: Path) -> None:
    if len(secret) < LEAST_SECRET:
        source.report(
            "E109",
            path,
            f"the secret has {len(secret)} bytes, and HS256 asks for {LEAST_SECRET} at least",
            "make one with: openssl rand -base64 48",
        )
    elif secret.lstrip().startswith((b"-----BEGIN", b"ssh-", b"{")):
        # Whoever knows a public key could sign with it.
        source.report(
            "E109",
            path,
            "this is a key, not a secret that two share",
            "write jwks with the address of the issuer's public keys",
        )
