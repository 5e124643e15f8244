"""Certificates in the policy: authenticators, `also`, and what is recorded of them."""

from collections.abc import Callable

import pytest

from gateway.config import Loaded

Load = Callable[..., Loaded]
_MACHINES = "kind: gateway_jwt}\n  machines: {kind: mtls, subject: san_uri}"
_ROUTE = "    body: {max_request: unlimited}\n"


def test_a_route_may_ask_for_a_certificate_besides(load: Load, policies: str) -> None:
    text = policies.replace("kind: gateway_jwt}", _MACHINES).replace(
        _ROUTE, _ROUTE + "    also: [machines]\n"
    )
    snapshot = load(text).snapshot
    assert snapshot is not None
    assert snapshot.authenticators["machines"].subject == "san_uri"
    (plan,) = [plan for plan in snapshot.plans.values() if plan.also]
    assert plan.also == ("machines",)
    # It names nobody, so whose it was would not be known otherwise.
    assert "client.cert.san_uri" in [each.name for each in plan.recorded.request]


@pytest.mark.parametrize("subject", ["san_uri", "san_dns", "san_email", "subject", "fingerprint"])
def test_any_of_these_parts_names_a_principal(load: Load, policies: str, subject: str) -> None:
    text = policies.replace("kind: gateway_jwt}", _MACHINES.replace("san_uri", subject))
    snapshot = load(text).snapshot
    assert snapshot is not None
    assert snapshot.authenticators["machines"].subject == subject


def test_what_conditions_ask_of_certificates_is_recorded_and_may_be_hidden(load: Load, policies: str) -> None:
    asked = "client.ip: {in_network: office}"
    assert asked in policies
    text = policies.replace(asked, "client.cert.san_email: {has: a@example.com}")
    text += "audit: {mask: {fields: [client.cert.san_email], visible: 2}}\n"
    snapshot = load(text).snapshot
    assert snapshot is not None
    assert snapshot.recording.redaction.masked == {"client.cert.san_email"}
    recorded = [each.name for plan in snapshot.plans.values() for each in plan.recorded.request]
    assert "client.cert.san_email" in recorded


def test_targets_may_be_chosen_by_a_certificate(load: Load, upstreams: str) -> None:
    text = upstreams.replace("    pool:", "    balance: {hash: client.cert.san_uri}\n    pool:")
    snapshot = load(upstreams=text).snapshot
    assert snapshot is not None
    assert "client.cert.san_uri" in [
        each.hash_by.name for each in snapshot.upstreams.values() if each.hash_by is not None
    ]
