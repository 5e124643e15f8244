"""Certificates as principals: named by one part, and good for as long as they say."""

from dataclasses import replace

import pytest
from unit.crypto.rows import START, StandingClock
from unit.identity.world import head_with

from gateway.identity import ABSENT, Answer, Mtls, Rejected, SubjectPart
from gateway.model import ClientCertificate, Principal, PrincipalKind

CERTIFICATE = ClientCertificate(
    subject="CN=job,O=Example",
    issuer="CN=Example authority",
    serial="7f",
    fingerprint="ab" * 32,
    san_uri=("spiffe://example.com/job",),
    san_dns=("job.example.com", "job.example.net"),
    san_email=(),
    not_after=START + 60,
)


async def ask(
    certificate: ClientCertificate | None,
    *,
    part: SubjectPart = "san_uri",
    clock: StandingClock | None = None,
) -> Answer:
    authenticator = Mtls("machines", subject=part, clock=clock or StandingClock())
    return await authenticator.identify(replace(head_with(), certificate=certificate))


def why(answer: Answer) -> str:
    assert isinstance(answer, Rejected)
    assert not answer.malformed
    return answer.diagnosis


async def test_without_a_certificate_there_is_nobody() -> None:
    assert await ask(None) is ABSENT


async def test_a_certificate_names_its_holder_and_says_how_long() -> None:
    answer = await ask(CERTIFICATE)
    assert answer == Principal(
        id="machines|spiffe://example.com/job",
        kind=PrincipalKind.EXTERNAL,
        name="spiffe://example.com/job",
        authn="machines",
        authn_kind="mtls",
        expires_at=START + 60,
        subject="machines|spiffe://example.com/job",
    )


@pytest.mark.parametrize(("part", "name"), [("subject", "CN=job,O=Example"), ("fingerprint", "ab" * 32)])
async def test_the_part_that_counts_is_chosen(part: SubjectPart, name: str) -> None:
    answer = await ask(CERTIFICATE, part=part)
    assert isinstance(answer, Principal)
    assert answer.id == f"machines|{name}"


async def test_a_renewed_certificate_is_the_same_principal() -> None:
    authenticator = Mtls("machines", subject="san_uri", clock=StandingClock())
    renewed = replace(CERTIFICATE, fingerprint="cd" * 32, serial="80", not_after=START + 3600)
    found = [
        await authenticator.identify(replace(head_with(), certificate=each))
        for each in (CERTIFICATE, renewed)
    ]
    ids = {answer.id for answer in found if isinstance(answer, Principal)}
    ends = [answer.expires_at for answer in found if isinstance(answer, Principal)]
    assert (len(ids), ends) == (1, [START + 60, START + 3600])


@pytest.mark.parametrize(
    ("part", "diagnosis"),
    [
        ("san_email", "the certificate has no san_email, and not one"),
        ("san_dns", "the certificate has 2 san_dns"),
    ],
)
async def test_no_name_and_several_names_are_nobody(part: SubjectPart, diagnosis: str) -> None:
    assert why(await ask(CERTIFICATE, part=part)).startswith(diagnosis)


async def test_an_empty_subject_is_no_name() -> None:
    assert "has no subject" in why(await ask(replace(CERTIFICATE, subject=""), part="subject"))


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "x" * 513, "\u202e"])
async def test_a_name_that_cannot_be_shown_is_none(name: str) -> None:
    assert (
        why(await ask(replace(CERTIFICATE, san_uri=(name,)))) == "the san_uri of the certificate is no name"
    )


async def test_a_certificate_ends_while_its_connection_lasts() -> None:
    clock = StandingClock()
    authenticator = Mtls("machines", subject="san_uri", clock=clock)
    head = replace(head_with(), certificate=CERTIFICATE)
    assert isinstance(await authenticator.identify(head), Principal)
    clock.time += 60
    answer = await authenticator.identify(head)
    assert why(answer) == "the certificate has expired"
    assert isinstance(answer, Rejected)
    assert answer.subject == "machines|spiffe://example.com/job"


async def test_who_is_known_is_the_same_object_and_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.identity.mtls._MOST_KNOWN", 3)
    authenticator = Mtls("machines", subject="san_uri", clock=StandingClock())
    head = replace(head_with(), certificate=CERTIFICATE)
    first = await authenticator.identify(head)
    assert await authenticator.identify(head) is first
    for number in range(8):
        other = replace(CERTIFICATE, fingerprint=f"{number:064x}")
        await authenticator.identify(replace(head_with(), certificate=other))
    assert len(authenticator._known) <= 3


async def test_nothing_is_known_later_that_was_not_known_before() -> None:
    authenticator = Mtls("machines", subject="san_uri", clock=StandingClock())
    principal = await authenticator.identify(replace(head_with(), certificate=CERTIFICATE))
    assert isinstance(principal, Principal)
    assert await authenticator.reconsider(principal) is principal
    assert authenticator.fields == frozenset()
    assert authenticator.challenge(rejected=False) == 'ClientCertificate realm="gateway"'
