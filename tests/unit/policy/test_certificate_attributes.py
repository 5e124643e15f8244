"""What conditions may ask of the certificate that a client has proved to hold."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.model import ANONYMOUS, ClientCertificate
from gateway.policy import CERTIFICATE_ATTRIBUTES, Truth

JOB = ClientCertificate(
    subject="CN=job,O=Example",
    issuer="CN=Example authority",
    serial="7f",
    fingerprint="ab" * 32,
    san_uri=("spiffe://example.com/helpdesk/job",),
    san_dns=("a.example.com", "b.example.com"),
    not_after=2e9,
)


@pytest.mark.parametrize(
    ("question", "truth"),
    [
        ({"client.cert.subject": {"is": "CN=job,O=Example"}}, True),
        ({"client.cert.issuer": {"in": ["CN=Other", "CN=Example authority"]}}, True),
        ({"client.cert.serial": {"is": "7F"}}, False),
        ({"client.cert.fingerprint": {"is": "ab" * 32}}, True),
        ({"client.cert.san_uri": {"prefix": "spiffe://example.com/helpdesk/"}}, True),
        ({"client.cert.san_uri": {"prefix": "spiffe://example.org/"}}, False),
        ({"client.cert.san_uri": {"has": "spiffe://example.com/helpdesk/job"}}, True),
        ({"client.cert.san_uri": {"same_as": "client.cert.subject"}}, False),
        # Of several names nobody knows which one is meant.
        ({"client.cert.san_dns": {"is": "a.example.com"}}, None),
        ({"client.cert.san_dns": {"in": ["a.example.com"]}}, None),
        ({"client.cert.san_dns": {"prefix": "a."}}, None),
        ({"client.cert.san_dns": {"same_as": "host"}}, None),
        ({"client.cert.san_dns": {"has": "b.example.com"}}, True),
        ({"client.cert.san_dns": {"has": "c.example.com"}}, False),
        ({"client.cert.san_dns": {"present": True}}, True),
        ({"client.cert.san_email": {"is": "a@example.com"}}, None),
        ({"client.cert.san_email": {"has": "a@example.com"}}, None),
        ({"client.cert.san_email": {"present": False}}, True),
    ],
)
def test_a_certificate_is_asked_as_it_is(bench: Any, facts: Any, question: object, truth: Truth) -> None:
    assert bench.truth(question, facts(certificate=JOB)) is truth


@pytest.mark.parametrize("name", sorted(CERTIFICATE_ATTRIBUTES))
def test_without_a_certificate_all_of_it_is_missing(bench: Any, facts: Any, name: str) -> None:
    assert bench.truth({name: {"is": "x"}}, facts()) is None
    assert bench.truth({name: {"present": True}}, facts()) is False


@pytest.mark.parametrize("name", sorted(CERTIFICATE_ATTRIBUTES))
def test_a_certificate_that_has_ended_while_its_connection_lasts_is_none(
    bench: Any, facts: Any, name: str
) -> None:
    is_there = {name: {"present": True}}
    whole = replace(JOB, san_email=("a@example.com",))
    assert bench.truth(is_there, facts(certificate=whole, now=JOB.not_after - 1)) is True
    assert bench.truth(is_there, facts(certificate=whole, now=JOB.not_after)) is False


@pytest.mark.parametrize("name", ["subject", "issuer"])
def test_an_empty_name_is_missing(bench: Any, facts: Any, name: str) -> None:
    empty = replace(JOB, subject="", issuer="")
    assert bench.truth({f"client.cert.{name}": {"present": True}}, facts(certificate=empty)) is False


def test_it_is_about_the_connection_and_not_about_the_caller(bench: Any, facts: Any) -> None:
    condition = bench.compile({"client.cert.serial": {"is": "7f"}})
    assert not condition.needs_identity
    assert condition.test(facts(certificate=JOB, principal=ANONYMOUS)) is True


@pytest.mark.parametrize(
    "question",
    [
        {"client.cert.san_dns": {"has": 1}},
        {"client.cert.san_dns": {"is": 1}},
        {"client.cert.serial": {"has": "7f"}},
        {"client.cert.san_uri": {"in_network": "office"}},
    ],
)
def test_what_makes_no_sense_of_a_certificate_is_a_finding(bench: Any, question: object) -> None:
    assert bench.finding(question)[1] == "E122"
