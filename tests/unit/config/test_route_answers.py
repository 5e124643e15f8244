"""What a route answers itself, whose pages it lets in, and how long its streams last."""

from collections.abc import Callable

import pytest

from gateway.config import CorsRules, Loaded, Plan, Respond, Upstream, WebsocketRules

Load = Callable[..., Loaded]

_REPORTS = (
    "{id: reports, match: {methods: [GET], path: /reports/**}, upstream: reports, require: authenticated"
)


@pytest.fixture
def plan(load: Load, policies: str) -> Callable[..., Plan]:
    """Return what reads the route `reports` with more keys, or with others than its upstream."""

    def read(more: str = "", *, instead: str = "upstream: reports", defaults: str = "") -> Plan:
        text = policies.replace(
            _REPORTS, _REPORTS.replace("upstream: reports", instead) + (f", {more}" if more else "")
        ).replace("  authn: [gateway, keys]\n", f"  authn: [gateway, keys]\n{defaults}")
        loaded = load(text)
        assert loaded.snapshot is not None, [str(each) for each in loaded.findings]
        return loaded.snapshot.plans["reports"]

    return read


def test_a_route_goes_to_its_upstream_and_lets_no_page_in(plan: Callable[..., Plan]) -> None:
    found = plan()
    assert isinstance(found.destination, Upstream)
    assert found.destination.id == found.route.upstream == "reports"
    assert (found.websocket, found.cors, found.outlives_credential) == (None, None, False)


def test_an_answer_of_the_gateway_has_no_upstream(plan: Callable[..., Plan]) -> None:
    found = plan(instead="respond: {status: 308, headers: {Location: /orders, X-Region: eu}}")
    assert found.destination == Respond(
        status=308, lines=((b"location", b"/orders"), (b"x-region", b"eu")), body=b""
    )
    assert found.route.upstream == ""
    assert found.require == {"GET": frozenset()}


def test_a_request_body_that_nobody_reads_may_have_any_length(plan: Callable[..., Plan]) -> None:
    assert plan(instead="respond: {status: 503}").max_request is None


def test_a_body_is_text_unless_its_type_is_set(plan: Callable[..., Plan]) -> None:
    text = plan(instead='respond: {status: 503, body: "Zurück um zwölf"}').destination
    assert text == Respond(
        status=503,
        lines=((b"content-type", b"text/plain; charset=utf-8"),),
        body="Zurück um zwölf".encode(),
    )
    typed = plan(
        instead="respond: {status: 200, headers: {Content-Type: application/json}, body: '{}'}"
    ).destination
    assert typed == Respond(status=200, lines=((b"content-type", b"application/json"),), body=b"{}")


@pytest.mark.parametrize(
    ("written", "rules"),
    [
        ("websocket: true", WebsocketRules(origins=None)),
        ("websocket: false", None),
        (
            "websocket: {origins: [https://App.example.com, 'http://[::1]:3000']}",
            WebsocketRules(origins=frozenset({"https://app.example.com", "http://[::1]:3000"})),
        ),
    ],
)
def test_websockets_are_for_any_page_for_listed_ones_or_for_none(
    plan: Callable[..., Plan], written: str, rules: WebsocketRules | None
) -> None:
    assert plan(written).websocket == rules


def test_streams_may_outlive_the_credential_they_began_with(plan: Callable[..., Plan]) -> None:
    assert plan("streams: {on_expiry: keep}").outlives_credential
    assert not plan("streams: {on_expiry: end}").outlives_credential


_CORS = "cors: {origins: [https://App.example.com], headers: [X-Tenant, x-tenant], max_age: 1500ms}"


def test_cors_rules_are_compared_in_lower_case_and_in_whole_seconds(plan: Callable[..., Plan]) -> None:
    assert plan(_CORS).cors == CorsRules(
        origins=frozenset({"https://app.example.com"}),
        methods=(),
        headers=("x-tenant",),
        credentials=False,
        max_age=2,
    )


def test_a_route_replaces_the_default_cors_rules_whole(plan: Callable[..., Plan]) -> None:
    defaults = (
        "  cors: {origins: [https://a.example], methods: [GET, POST], credentials: true, max_age: 1h}\n"
    )
    inherited = plan(defaults=defaults).cors
    assert inherited == CorsRules(
        origins=frozenset({"https://a.example"}),
        methods=("GET", "POST"),
        headers=(),
        credentials=True,
        max_age=3600,
    )
    own = plan("cors: {origins: [https://b.example], max_age: 0s}", defaults=defaults).cors
    assert own == CorsRules(origins=frozenset({"https://b.example"}), methods=(), headers=(), max_age=0)


def test_an_answer_of_the_gateway_has_the_same_pages(plan: Callable[..., Plan]) -> None:
    assert plan("cors: {origins: [https://b.example]}", instead="respond: {status: 204}").cors is not None


def test_a_public_route_may_answer_itself(load: Load, policies: str) -> None:
    text = policies.replace("upstream: orders, authn: public", "respond: {status: 204}, authn: public")
    snapshot = load(text).snapshot
    assert snapshot is not None
    assert snapshot.plans["health"].destination == Respond(status=204)
    assert snapshot.plans["health"].is_public


def test_an_upstream_that_only_an_answer_stood_for_is_unused(load: Load, policies: str) -> None:
    text = policies.replace("upstream: reports, require", "respond: {status: 503}, require")
    loaded = load(text)
    assert "W305" in {each.code for each in loaded.findings}
    assert loaded.snapshot is not None
