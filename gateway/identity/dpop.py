"""Tokens that are bound to a key (RFC 7800 `cnf`): who presents one must show that the key is theirs."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.crypto import PROOF_ALGORITHMS, ProofRefused, Proofs, encode_base64url
from gateway.identity.base import Rejected
from gateway.identity.bearer import Presented
from gateway.model import RequestHead


class BindingUnknown(ValueError):
    """A token is bound in a way that cannot be checked here. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a token is bound to."""

    key: str | None
    """`jkt` (RFC 9449 section 6.1): thumbprint of the key that a DPoP proof is made with."""
    certificate: str | None
    """`x5t#S256` (RFC 8705 section 3.1): digest of the certificate that the client connects with."""


def read_binding(claims: Mapping[str, object]) -> Binding | None:
    """Return what a token is bound to; None: nothing. Raise `BindingUnknown`."""
    if "cnf" not in claims:
        return None
    cnf = claims["cnf"]
    if not isinstance(cnf, dict):
        raise BindingUnknown("cnf is not an object")
    key, certificate = cnf.get("jkt"), cnf.get("x5t#S256")
    if not all(value is None or isinstance(value, str) for value in (key, certificate)):
        raise BindingUnknown("cnf holds something that is not a string")
    if key is None and certificate is None:
        raise BindingUnknown("cnf names nothing that can be proved here")
    return Binding(key=key, certificate=certificate)


async def unproved(
    presented: Presented, binding: Binding | None, head: RequestHead, proofs: Proofs, *, subject: str | None
) -> Rejected | None:
    """Return why a good token is no good from this sender; None when it is. Raise `StoreUnavailable`.

    A token that is bound to a key is refused as Bearer (RFC 9449 section 7.2), and one that is not is refused
    with the scheme DPoP: a proof for it proves nothing.
    """
    key = None if binding is None else binding.key
    if presented.with_proof != (key is not None):
        diagnosis = (
            "the token is not bound to a key, and came with the scheme DPoP"
            if presented.with_proof
            else "the token is bound to a key, and came as Bearer"
        )
        return Rejected(diagnosis, subject=subject, challenge=dpop_challenge("invalid_token"))
    if key is not None:
        try:
            proved = await proofs.prove(head, token=presented.token, key=key)
        except ProofRefused as refused:
            diagnosis = str(refused)
        else:
            diagnosis = "there is no DPoP field" if proved is None else ""
        if diagnosis:
            return Rejected(diagnosis, subject=subject, challenge=dpop_challenge("invalid_dpop_proof"))
    if binding is None or binding.certificate is None:
        return None
    if head.certificate is not None and _digest_of(head.certificate.fingerprint) == binding.certificate:
        return None
    return Rejected("the token is bound to another certificate than the client's", subject=subject)


def dpop_challenge(error: str) -> str:
    """Return the challenge of RFC 9449 section 7.1."""
    return f'DPoP realm="gateway", error="{error}", algs="{" ".join(PROOF_ALGORITHMS)}"'


def _digest_of(fingerprint: str) -> str:
    return encode_base64url(bytes.fromhex(fingerprint))
