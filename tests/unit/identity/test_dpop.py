"""Tokens that are bound to a key or a certificate, and who may present them."""

import hashlib
from dataclasses import replace

import pytest
from support.dpop import ProofKey
from support.heads import head_for
from unit.crypto.rows import START, StandingClock

from gateway.crypto import Proofs, encode_base64url
from gateway.identity.base import Rejected
from gateway.identity.bearer import Presented
from gateway.identity.dpop import Binding, BindingUnknown, read_binding, unproved
from gateway.model import ClientCertificate, Fields, RequestHead
from gateway.stores.memory import MemoryCounters

KEY = ProofKey()
URL = "http://api.example.com/orders"
BOUND = Binding(key=KEY.thumbprint, certificate=None)
CERTIFICATE = ClientCertificate(
    subject="CN=a", issuer="CN=ca", serial="1", fingerprint=hashlib.sha256(b"der").hexdigest(), not_after=0.0
)
TO_CERTIFICATE = Binding(key=None, certificate=encode_base64url(hashlib.sha256(b"der").digest()))


def proofs() -> Proofs:
    clock = StandingClock()
    return Proofs(public_url="https://public.example", counters=MemoryCounters(clock), clock=clock)


def head(proof: str | None = None, *, certificate: ClientCertificate | None = None) -> RequestHead:
    lines = [] if proof is None else [(b"dpop", proof.encode())]
    return replace(head_for("/orders"), fields=Fields(lines), certificate=certificate)


async def asked(
    binding: Binding | None, sent: RequestHead, *, token: str = "t", with_proof: bool = True
) -> Rejected | None:
    return await unproved(Presented(token, with_proof), binding, sent, proofs(), subject="usr_1")


def test_what_a_token_is_bound_to_stands_in_cnf() -> None:
    assert read_binding({}) is None
    assert read_binding({"cnf": {"jkt": "a"}}) == Binding(key="a", certificate=None)
    assert read_binding({"cnf": {"x5t#S256": "b", "kid": "c"}}) == Binding(key=None, certificate="b")


@pytest.mark.parametrize(
    "cnf", [None, "a", [], {}, {"jkt": 7}, {"jkt": None}, {"kid": "a"}, {"jkt": "a", "x5t#S256": ["b"]}]
)
def test_a_binding_that_cannot_be_checked_is_refused(cnf: object) -> None:
    with pytest.raises(BindingUnknown):
        read_binding({"cnf": cnf})


async def test_a_bound_token_is_good_with_a_proof_for_it_and_by_its_key() -> None:
    assert await asked(BOUND, head(KEY.proof("GET", URL, token="t", at=START))) is None


async def test_a_token_that_is_not_bound_is_good_as_bearer_and_no_proof_is_looked_at() -> None:
    assert await asked(None, head(), with_proof=False) is None
    assert await asked(None, head("nonsense"), with_proof=False) is None


@pytest.mark.parametrize(
    ("binding", "proof", "with_proof", "error", "words"),
    [
        (BOUND, KEY.proof("GET", URL, token="t", at=START), False, "invalid_token", "came as Bearer"),
        (None, KEY.proof("GET", URL, token="t", at=START), True, "invalid_token", "not bound"),
        (BOUND, None, True, "invalid_dpop_proof", "no DPoP field"),
        (BOUND, "nonsense", True, "invalid_dpop_proof", "proof"),
        (BOUND, KEY.proof("GET", URL, at=START), True, "invalid_dpop_proof", "ath"),
        (BOUND, KEY.proof("GET", URL, token="u", at=START), True, "invalid_dpop_proof", "ath"),
        (BOUND, ProofKey().proof("GET", URL, token="t", at=START), True, "invalid_dpop_proof", "another key"),
    ],
)
async def test_everything_else_is_refused_and_the_challenge_says_which_scheme(
    binding: Binding | None, proof: str | None, *, with_proof: bool, error: str, words: str
) -> None:
    refused = await asked(binding, head(proof), with_proof=with_proof)
    assert refused is not None
    assert words in refused.diagnosis
    assert refused.subject == "usr_1"
    assert refused.challenge is not None
    assert refused.challenge.startswith(f'DPoP realm="gateway", error="{error}", algs="ES256 ')
    assert not refused.malformed


async def test_a_token_of_a_certificate_is_good_on_a_connection_with_it() -> None:
    assert await asked(TO_CERTIFICATE, head(certificate=CERTIFICATE), with_proof=False) is None


@pytest.mark.parametrize("certificate", [None, replace(CERTIFICATE, fingerprint="00" * 32)])
async def test_a_token_of_another_certificate_is_refused(certificate: ClientCertificate | None) -> None:
    refused = await asked(TO_CERTIFICATE, head(certificate=certificate), with_proof=False)
    assert refused is not None
    assert "certificate" in refused.diagnosis


async def test_who_is_bound_to_both_shows_both() -> None:
    both = Binding(key=KEY.thumbprint, certificate=TO_CERTIFICATE.certificate)
    proof = KEY.proof("GET", URL, token="t", at=START)
    assert await asked(both, head(proof, certificate=CERTIFICATE)) is None
    assert await asked(both, head(proof)) is not None
    assert await asked(both, head(certificate=CERTIFICATE)) is not None
