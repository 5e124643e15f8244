"""A real request, all the way through: every step of the order, seen from outside."""

import json

import pytest
from support.gateway import Gateway, Reply


def assert_problem(reply: Reply, status: int, slug: str) -> None:
    assert reply.status == status, reply.body
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Cache-Control"] == "no-store"
    body = reply.json
    assert body["type"] == f"urn:gateway:problem:{slug}"
    assert body["status"] == status
    assert body["instance"] == f"urn:uuid:{reply.headers['X-Request-Id']}"
    assert body["title"]


def test_a_permitted_request_reaches_the_service(gateway: Gateway, reader_token: str) -> None:
    reply = gateway.request("GET", "/orders", token=reader_token)
    assert reply.status == 200
    assert "X-Request-Id" in reply.headers
    assert reply.headers["RateLimit"].count("r=") == 2
    assert "Server" not in reply.headers


def test_nobody_is_asked_for_credentials(gateway: Gateway) -> None:
    reply = gateway.request("GET", "/orders")
    assert_problem(reply, 401, "credentials-missing")
    assert "Bearer" in reply.headers["WWW-Authenticate"]
    assert "error=" not in reply.headers["WWW-Authenticate"]


def test_a_bad_token_is_refused_and_not_forwarded(gateway: Gateway) -> None:
    reply = gateway.request("GET", "/orders", token="not.a.token")
    assert_problem(reply, 401, "credentials-invalid")


def test_a_reader_may_not_write(gateway: Gateway, reader_token: str, writer_token: str) -> None:
    refused = gateway.request("POST", "/orders", token=reader_token, body={"item": "tea", "total": 100})
    assert_problem(refused, 403, "insufficient-scope")
    assert 'scope="things:write"' in refused.headers["WWW-Authenticate"]
    assert (
        gateway.request("POST", "/orders", token=writer_token, body={"item": "tea", "total": 100}).status
        == 201
    )


def test_what_no_route_matches_is_404(gateway: Gateway, reader_token: str) -> None:
    assert_problem(gateway.request("GET", "/nowhere", token=reader_token), 404, "no-route")


def test_a_known_path_with_another_method_is_405_with_allow(gateway: Gateway, reader_token: str) -> None:
    reply = gateway.request("DELETE", "/orders", token=reader_token)
    assert_problem(reply, 405, "method-not-allowed")
    assert reply.headers["Allow"] == "GET, HEAD, POST"


def test_an_ambiguous_path_is_refused(gateway: Gateway) -> None:
    for path in ("/orders/%2e%2e/x", "/orders%2f1", "//orders", "/orders/%zz", "/orders;a=1"):
        assert_problem(gateway.request("GET", path), 400, "ambiguous-path")


def test_a_condition_that_does_not_hold_refuses(gateway: Gateway, reader_token: str) -> None:
    assert_problem(gateway.request("GET", "/elsewhere", token=reader_token), 403, "condition-not-met")


def test_a_deny_rule_guards_everything_even_the_gateway_s_own_endpoints(gateway: Gateway) -> None:
    evil = {"User-Agent": "evil/1.0", "X-Present": "yes"}
    for path in ("/healthz", "/gateway/v1", "/nowhere"):
        assert_problem(gateway.request("GET", path, headers=evil), 403, "denied")


def test_the_third_of_two_a_minute_is_429_and_says_when_to_come_back(
    gateway: Gateway, writer_token: str
) -> None:
    replies = [gateway.request("GET", "/healthz/rare", token=writer_token) for _ in range(3)]
    assert [reply.status for reply in replies[:2]] == [404, 404]
    assert_problem(replies[2], 429, "rate-exceeded")
    assert 1 <= int(replies[2].headers["Retry-After"]) <= 60
    assert '"route:rare:0";q=2;w=60' in replies[2].headers["RateLimit-Policy"]


def test_an_upstream_that_is_not_there_is_502(gateway: Gateway) -> None:
    reply = gateway.request("GET", "/dead")
    assert_problem(reply, 502, "upstream-unreachable")
    assert b"127.0.0.1" not in reply.body


def test_a_body_announced_too_large_is_413(gateway: Gateway) -> None:
    assert_problem(gateway.request("POST", "/echo/small", body=b"x" * 1025), 413, "body-too-large")


def test_two_different_credentials_contradict_each_other(gateway: Gateway, reader_token: str) -> None:
    made = gateway.run("keys", "create", "both", "--user", "rita", "--format", "json")
    key = json.loads(made.stdout)
    reply = gateway.request("GET", "/orders", token=reader_token, headers={"X-Api-Key": key["key"]})
    assert_problem(reply, 400, "credentials-conflicting")


def test_the_service_sees_who_asks_and_never_with_which_token(gateway: Gateway, reader_token: str) -> None:
    forged = {
        "X-Gateway-Subject": "usr_admin",
        "X_Gateway_Roles": "admin",
        "X-Forwarded-For": "203.0.113.1",
        "X-Real-IP": "203.0.113.1",
        "X-Request-Id": "mine",
        "Cookie": "theme=dark",
    }
    reply = gateway.request("POST", "/echo/x?a=1&a=%20", token=reader_token, headers=forged, body=b"body")
    seen = reply.json
    assert seen["target"] == "/echo/x?a=1&a=%20"
    assert seen["body"]["bytes"] == 4
    names = {name.lower(): value for name, value in seen["headers"]}
    assert "authorization" not in names
    assert "x-gateway-subject" not in names
    assert "x_gateway_roles" not in names
    assert "x-real-ip" not in names
    assert names["x-forwarded-for"] == "127.0.0.1"
    assert names["x-request-id"] == reply.headers["X-Request-Id"]
    assert names["cookie"] == "theme=dark"
    assert names["x-gateway-assertion"].count(".") == 2
    assert names["via"] == "1.1 gateway"
    assert names["host"] == f"127.0.0.1:{gateway.port}"


def test_the_assertion_is_verified_with_the_published_keys(gateway: Gateway, reader_token: str) -> None:
    import jwt

    seen = gateway.request("GET", "/echo/x", token=reader_token).json
    assertion = {name.lower(): value for name, value in seen["headers"]}["x-gateway-assertion"]
    keys = jwt.PyJWKSet.from_dict(gateway.request("GET", "/.well-known/jwks.json").json)
    header = jwt.get_unverified_header(assertion)
    assert header["typ"] == "gw-assertion+jwt"
    claims = jwt.decode(
        assertion,
        keys[header["kid"]],
        algorithms=["ES256"],
        audience="service",
        issuer="http://localhost:8000",
        options={"require": ["exp", "sub", "aud", "iss"]},
    )
    assert claims["sub"].startswith("usr_")
    assert claims["roles"] == ["reader"]


@pytest.mark.parametrize("path", ["/gateway/v1/nothing", "/gateway/"])
def test_what_is_not_among_the_gateway_s_own_endpoints_is_404(gateway: Gateway, path: str) -> None:
    assert_problem(gateway.request("GET", path), 404, "not-found")


def test_the_welcome_lists_what_there_is(gateway: Gateway) -> None:
    body = gateway.request("GET", "/gateway/v1").json
    assert body["name"] == "gateway"
    assert {"method", "path", "summary"} == set(body["endpoints"][0])


def test_operators_see_health_and_readiness(gateway: Gateway) -> None:
    assert gateway.request("GET", "/healthz", port=gateway.admin_port).status == 200
    ready = gateway.request("GET", "/readyz", port=gateway.admin_port)
    assert (ready.status, ready.json["status"]) == (200, "ready")
    assert_problem(gateway.request("GET", "/else", port=gateway.admin_port), 404, "not-found")
    assert_problem(gateway.request("POST", "/readyz", port=gateway.admin_port), 405, "method-not-allowed")
