"""The metrics say what was done, and nothing that a client wrote."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_plain
from support.gateway import Gateway, eventually, running_gateway
from support.raw import Raw
from support.servers import redis_url

Samples = dict[str, dict[tuple[str, ...], float]]


def scraped(gateway: Gateway, accept: str = "") -> Samples:
    """Return what the operators' listener shows: by name, by the values of the labels in order of their names."""
    reply = gateway.request("GET", "/metrics", port=gateway.admin_port, headers={"Accept": accept})
    assert reply.status == 200, reply.body
    read = read_openmetrics if "openmetrics" in accept else read_plain
    found: Samples = {}
    for metric in read(reply.body.decode()):
        for sample in metric.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def total(samples: Samples, name: str) -> float:
    return sum(samples[name].values())


@pytest.fixture(scope="module")
def busy(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that has answered each kind of request a known number of times."""
    directory = tmp_path_factory.mktemp("metrics")
    environ = {"TEST_SERVICE": service}
    with running_gateway(directory, policies=POLICIES, upstreams=UPSTREAMS, environ=environ) as running:
        _keep_busy(running)
        yield running


def _keep_busy(own_gateway: Gateway) -> None:
    own_gateway.create_user("walt", "a writer's password", "writer")
    token = own_gateway.login("walt", "a writer's password")["access_token"]
    wanted: list[tuple[int, str, str, dict[str, Any]]] = [
        (200, "GET", "/orders", {"token": token}),
        (200, "GET", "/orders", {"token": token}),
        (201, "POST", "/orders", {"token": token, "body": {"item": "tea", "total": 100}}),
        (401, "GET", "/orders", {}),
        (401, "GET", "/orders", {"token": "secret-token-of-mallory"}),
        (403, "GET", "/elsewhere", {"token": token}),
        (404, "GET", "/probe-by-mallory", {"token": token}),
        (405, "DELETE", "/orders", {"token": token}),
        (404, "GET", "/healthz/rare", {"token": token}),
        (404, "GET", "/healthz/rare", {"token": token}),
        (429, "GET", "/healthz/rare", {"token": token}),
        (502, "GET", "/dead", {}),
        (404, "GET", "/gateway/v1/mallory", {}),
        (401, "POST", "/gateway/v1/auth/login", {"body": {"username": "mallory", "password": "wrong"}}),
    ]
    for status, method, path, more in wanted:
        assert own_gateway.request(method, path, **more).status == status, path
    garbage = [
        b"MALLORY /x HTTP/1.1\r\nHost: mallory\r\n\r\n",
        b"\x16\x03\x01mallory\r\n\r\n",
        b"GET /mallory%2f HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: mallory\r\n\r\n",
    ]
    for request in garbage:
        with Raw(own_gateway.port) as raw:
            raw.send(request)
            assert raw.reply() is not None


def test_what_was_done_is_what_is_counted(busy: Gateway) -> None:
    samples = scraped(busy)
    # In the order of the labels' names: decision, reason, route.
    requests = samples["gateway_requests_total"].copy()
    assert {labels: requests.pop(labels) for labels in list(requests) if labels[2] != "none"} == {
        ("allow", "ok", "orders"): 3,
        ("deny", "credentials-missing", "orders"): 1,
        ("deny", "credentials-invalid", "orders"): 1,
        ("deny", "condition-not-met", "elsewhere"): 1,
        ("allow", "ok", "rare"): 2,
        ("deny", "rate-exceeded", "rare"): 1,
        ("allow", "ok", "dead"): 1,
        ("deny", "not-found", "gateway:unknown"): 1,
        ("allow", "ok", "gateway:auth.login"): 1,
        ("deny", "credentials-invalid", "gateway:auth.login"): 1,
    }
    refused = {labels[1]: count for labels, count in requests.items()}
    assert all(labels[0] == "deny" for labels in requests)
    assert refused.pop("no-route") + refused.pop("method-not-allowed") == 2
    assert sum(refused.values()) == 4
    assert set(refused) <= {"malformed-request", "ambiguous-path", "not-implemented"}
    assert samples["gateway_responses_total"]["orders", "2xx"] == 3
    assert samples["gateway_responses_total"]["orders", "4xx"] == 2
    assert samples["gateway_responses_total"]["dead", "5xx"] == 1
    assert samples["gateway_limit_refusals_total"] == {("route:rare:0",): 1}
    assert samples["gateway_upstream_faults_total"] == {("connect", "dead"): 1}
    assert samples["gateway_exchanges_total"]["upstream_failed", "dead"] == 1
    assert samples["gateway_request_duration_seconds_count"] == {("service",): 5, ("dead",): 1}
    assert samples["gateway_limit_checks_total"]["refused", "memory"] >= 1
    assert samples["gateway_events_total"]["auth.login_failed",] == 1


def test_the_metrics_and_the_trail_tell_the_same_story(busy: Gateway) -> None:
    counted = {labels: int(n) for labels, n in scraped(busy)["gateway_requests_total"].items()}
    recorded: dict[tuple[str, ...], int] = {}
    for record in busy.audit("--kind", "decision"):
        labels = (record["decision"], record["reason"], record.get("route") or "none")
        recorded[labels] = recorded.get(labels, 0) + 1
    assert counted == recorded


def test_nothing_that_a_client_wrote_and_no_name_or_secret_is_shown(busy: Gateway) -> None:
    reply = busy.request("GET", "/metrics", port=busy.admin_port)
    text = reply.body.decode().lower()
    assert "mallory" not in text
    assert "walt" not in text
    # Targets are named as the configuration names them; clients never are.
    assert "127.0.0.1" not in "".join(line for line in text.splitlines() if 'target="' not in line)
    assert reply.headers["Cache-Control"] == "no-store"


def test_both_formats_say_the_same(busy: Gateway) -> None:
    plain, openmetrics = scraped(busy), scraped(busy, "application/openmetrics-text; version=1.0.0")
    assert plain["gateway_requests_total"] == openmetrics["gateway_requests_total"]
    assert plain.keys() == openmetrics.keys()


def test_the_state_of_the_process_is_shown(busy: Gateway) -> None:
    samples = eventually(
        lambda: (seen := scraped(busy))["gateway_audit_waiting_records"][()] == 0 and seen,
        what="everything is shipped",
    )
    records = busy.audit()
    assert total(samples, "gateway_audit_records_total") <= len(records)
    assert samples["gateway_audit_available"] == {("0",): 1}
    assert samples["gateway_audit_shipping_lag_seconds"][()] < 5
    assert samples["gateway_change_feed_age_seconds"][()] < 5
    assert samples["gateway_requests_in_flight"] == {(): 0}
    assert samples["gateway_upstream_connections"]["idle", "service"] >= 1
    assert samples["process_resident_memory_bytes"]["0",] > 10_000_000
    (revision,) = samples["gateway_configuration_info"]
    assert revision in {(record.get("revision"),) for record in records}


def test_connections_of_clients_are_seen_while_they_last(gateway: Gateway) -> None:
    with Raw(gateway.port) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.reply() is not None
        assert scraped(gateway)["gateway_client_connections"] == {(): 1}
    eventually(lambda: scraped(gateway)["gateway_client_connections"] == {(): 0})


def test_checks_of_limits_are_shown_by_who_answered_them(service: str, tmp_path: Path) -> None:
    environ = {"TEST_SERVICE": service, "GATEWAY_REDIS_URL": redis_url()}
    with running_gateway(tmp_path, policies=POLICIES, upstreams=UPSTREAMS, environ=environ) as running:
        for _ in range(3):
            assert running.request("GET", "/healthz").status == 200
        samples = scraped(running)
    assert samples["gateway_limit_checks_total"]["admitted", "exact"] == 3
    assert samples["gateway_redis_up"] == {("0",): 1}
    assert samples["gateway_redis_processes"][()] >= 1
    assert samples["gateway_limit_late_admissions_total"] == {(): 0}


def test_several_processes_are_one_page(service: str, tmp_path: Path) -> None:
    environ = {"TEST_SERVICE": service, "GATEWAY_REDIS_URL": redis_url(), "GATEWAY_WORKERS": "2"}
    with running_gateway(tmp_path, policies=POLICIES, upstreams=UPSTREAMS, environ=environ) as running:
        for _ in range(20):
            assert running.request("GET", "/nowhere").status == 404
        missed = ("deny", "no-route", "none")
        eventually(
            lambda: scraped(running).get("gateway_requests_total", {}).get(missed) == 20,
            what="both processes have told what they counted",
        )
        assert len(scraped(running)["process_start_time_seconds"]) >= 2


def test_a_connection_without_a_request_is_counted(gateway: Gateway) -> None:
    before = scraped(gateway)["gateway_unrecorded_total"].get(("connection",), 0)
    with Raw(gateway.port):
        pass
    eventually(
        lambda: scraped(gateway)["gateway_unrecorded_total"][("connection",)] > before,
        what="a connection that asked for nothing",
    )
