"""What of a route's exchanges is encrypted, from the policy to the plan."""

from collections.abc import Callable

import pytest

from gateway.config import Loaded, Plan, ResponseEncryption

Load = Callable[..., Loaded]

MEBIBYTE = 1024 * 1024
_CHANGE = "    body: {max_request: unlimited}\n"
_REPORTS = "upstream: reports, require: authenticated"


@pytest.fixture
def plan(load: Load, policies: str) -> Callable[[str], Plan]:
    """Return what reads the route `reports` with more keys."""

    def read(more: str) -> Plan:
        loaded = load(policies.replace(_REPORTS, f"{_REPORTS}, {more}"))
        assert loaded.snapshot is not None, [str(each) for each in loaded.findings]
        return loaded.snapshot.plans["reports"]

    return read


def test_nothing_is_encrypted_unless_it_is_written(load: Load, policies: str) -> None:
    loaded = load(policies)
    assert loaded.snapshot is not None
    for found in loaded.snapshot.plans.values():
        assert (found.encrypt_response, found.decrypt_request) == (None, None)


def test_a_response_is_encrypted_with_a_key_of_the_gateway(plan: Callable[[str], Plan]) -> None:
    found = plan("encrypt_response: {key: reports}")
    assert found.encrypt_response == ResponseEncryption(key="reports", largest=MEBIBYTE)
    assert found.decrypt_request is None


def test_a_response_is_encrypted_for_the_client(plan: Callable[[str], Plan]) -> None:
    found = plan("encrypt_response: {recipient: client, max_response: 16MiB}").encrypt_response
    assert found == ResponseEncryption(key=None, largest=16 * MEBIBYTE)


def test_fields_are_the_steps_of_their_pointers(plan: Callable[[str], Plan]) -> None:
    found = plan(
        "encrypt_response: {key: reports}, encrypt_fields: [/card/number, /items/*/pan, /a~1b/~0c]"
    ).encrypt_response
    assert found is not None
    assert found.fields == (("card", "number"), ("items", "*", "pan"), ("a/b", "~c"))


def test_a_request_is_decrypted_with_a_key_of_the_gateway(plan: Callable[[str], Plan]) -> None:
    found = plan("decrypt_request: {key: reports}")
    assert (found.encrypt_response, found.decrypt_request) == (None, "reports")


def test_a_request_that_is_decrypted_has_a_largest_body(load: Load, policies: str, upstreams: str) -> None:
    encrypted = policies.replace(_REPORTS, f"{_REPORTS}, decrypt_request: {{key: reports}}")
    found = load(encrypted).snapshot
    assert found is not None
    assert found.plans["reports"].max_request == 10 * MEBIBYTE, "that of the upstream"

    target = '"${env:REPORTS}"}]'
    assert target in upstreams
    unlimited = load(
        encrypted, upstreams.replace(target, f"{target}, body: {{max_request: unlimited}}")
    ).snapshot
    assert unlimited is not None
    assert unlimited.plans["reports"].max_request == 16 * MEBIBYTE


def test_a_body_that_could_not_be_decrypted_is_not_promised(load: Load, policies: str) -> None:
    loaded = load(policies.replace(_CHANGE, f"{_CHANGE}    decrypt_request: {{key: reports}}\n"))
    assert [each.code for each in loaded.findings if each.code.startswith("E")] == ["E127"]


@pytest.mark.parametrize("missing", ["authn: [gateway]", "authn: [gateway, keys]"])
def test_a_client_may_be_one_caller_among_others(load: Load, policies: str, missing: str) -> None:
    text = policies.replace(_REPORTS, f"{_REPORTS}, {missing}, encrypt_response: {{recipient: client}}")
    assert load(text).snapshot is not None
