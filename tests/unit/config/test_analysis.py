from collections.abc import Callable

import pytest

from gateway.config import Loaded

Load = Callable[..., Loaded]


def _warnings(loaded: Loaded) -> list[str]:
    return [each.code for each in loaded.findings if each.code[0] == "W"]


def test_public_routes_and_wildcard_holders_are_listed(load: Load) -> None:
    assert _warnings(load()) == ["W310", "W310", "W310", "W311"]
    public = load().findings[-1]
    assert public.message == "public: GET /healthz: Probe"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("  reports:read: Download reports", "  reports:read: x\n  spare:x: Nothing", "W301"),
        ('admin: {scopes: ["*", "gateway:*"]}', 'admin: {scopes: ["gateway:*"]}', "W302"),
        ("roles:\n", "roles:\n  empty: {}\n", "W303"),
        ("per: all", "per: [client_ip, header.X-Tenant]", "W304"),
        ("upstream: reports, require", "upstream: orders, require", None),
        (
            "authn: [gateway]\n    require: [orders:write]\n    when: {",
            "authn: [keys]\n    require: [orders:write]\n    when: {claims.a: {is: b}, ",
            "W307",
        ),
        ("routes: [change], when: {authn", "routes: [change, health], when: {authn", "W308"),
        ("default_roles: [customer]", "default_roles: [customer, admin]", "W309"),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(
    load: Load, policies: str, old: str, new: str, code: str | None
) -> None:
    assert old in policies
    loaded = load(policies.replace(old, new, 1))
    assert loaded.snapshot is not None, loaded.findings
    expected = {"W310", "W311"} | ({code} if code else set())
    assert set(_warnings(loaded)) == expected


def test_an_upstream_without_a_route_is_a_warning(load: Load, upstreams: str) -> None:
    loaded = load(upstreams=upstreams + "  spare: {targets: [{url: http://spare}]}\n")
    assert "W305" in _warnings(loaded)


@pytest.mark.parametrize(
    ("condition", "warned"),
    [
        ("{claims.a: {present: false}}", False),
        ("{any_of: [{claims.a: {is: b}}, {method: {is: PUT}}]}", False),
        ("{claims.a: {has: b}}", True),
    ],
)
def test_a_condition_is_called_impossible_only_when_it_is(
    load: Load, policies: str, condition: str, warned: bool
) -> None:
    text = policies.replace(
        "authn: [gateway]\n    require: [orders:write]\n    when: {client.ip: {in_network: office}, time: {during: hours}}",
        f"authn: [keys]\n    require: [orders:write]\n    when: {condition}",
    )
    assert text != policies
    assert ("W307" in _warnings(load(text))) is warned


@pytest.mark.parametrize(
    ("day", "warned"), [("2026-09-21", True), ("2026-10-04", True), ("2026-12-31", False)]
)
def test_a_trial_that_is_over_or_soon_will_be_is_a_warning(
    load: Load, policies: str, day: str, warned: bool
) -> None:
    text = policies.replace("    body: {max", f"    mode: {{shadow_until: {day}}}\n    body: {{max")
    assert ("W306" in _warnings(load(text))) is warned
