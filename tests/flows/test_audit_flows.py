"""The trail, as security people use it."""

import json
import shutil
import subprocess
import sys
import threading

from support.gateway import Gateway, eventually

FIELDS = {
    *("writer", "seq", "time", "kind", "request_id", "actor", "action", "method", "host", "path", "route"),
    *("upstream", "decision", "reason", "rule", "revision", "authn", "session", "roles", "source_ip"),
    *("user_agent", "status", "bytes_in", "bytes_out", "duration_ms", "outcome", "attributes"),
}


def test_every_answer_is_in_the_trail_within_a_second_with_actor_reason_rule_and_address(
    gateway: Gateway, reader_token: str
) -> None:
    allowed = gateway.request("GET", "/orders?secret=hunter2", token=reader_token)
    refused = gateway.request("POST", "/orders", token=reader_token, body={})
    anonymous = gateway.request("GET", "/orders")
    own = gateway.request("GET", "/gateway/v1/auth/me", token=reader_token)
    ids = {
        "allowed": allowed.headers["X-Request-Id"],
        "refused": refused.headers["X-Request-Id"],
        "anonymous": anonymous.headers["X-Request-Id"],
        "own": own.headers["X-Request-Id"],
    }
    records = eventually(
        lambda: (found := _decisions(gateway)) and set(ids.values()) <= found.keys() and found, within=3.0
    )
    record = records[ids["allowed"]]
    assert set(record) >= FIELDS
    assert (record["decision"], record["reason"], record["route"]) == ("allow", "ok", "orders")
    assert (record["actor"]["name"], record["actor"]["kind"]) == ("rita", "user")
    assert (record["source_ip"], record["roles"], record["authn"]) == ("127.0.0.1", ["reader"], "gateway")
    assert record["rule"].startswith("orders policies.yaml:")
    assert "hunter2" not in json.dumps(record)
    assert "secret" in record["path"]
    record = records[ids["refused"]]
    assert (record["decision"], record["reason"], record["status"]) == ("deny", "insufficient-scope", 403)
    record = records[ids["anonymous"]]
    assert (record["decision"], record["reason"], record["actor"]) == ("deny", "credentials-missing", None)
    record = records[ids["own"]]
    assert (record["decision"], record["route"], record["status"]) == ("allow", "gateway:auth.me", 200)
    completions = gateway.audit("--kind", "completion", "--request-id", ids["allowed"])
    assert [(one["status"], one["outcome"]) for one in completions] == [(200, "complete")]
    assert completions[0]["bytes_out"] == len(allowed.body)


def _decisions(gateway: Gateway) -> dict[str, dict[str, object]]:
    return {record["request_id"]: record for record in gateway.audit("--kind", "decision")}


def test_the_list_is_filtered_and_newest_first(gateway: Gateway, reader_token: str) -> None:
    for _ in range(3):
        gateway.request("GET", "/orders/1", token=reader_token)
    gateway.request("GET", "/orders/1")
    found = eventually(
        lambda: (
            (rows := gateway.audit("--actor", "rita", "--route", "order", "--decision", "allow"))
            and len(rows) >= 3
            and rows
        ),
        within=3.0,
    )
    assert all(row["actor"]["name"] == "rita" and row["route"] == "order" for row in found)
    times = [row["time"] for row in found]
    assert times == sorted(times, reverse=True)


def test_the_text_list_shows_who_why_and_by_which_rule(gateway: Gateway, reader_token: str) -> None:
    gateway.request("POST", "/orders", token=reader_token, body={})
    shown = eventually(
        lambda: (
            (text := gateway.run("audit", "list", "--decision", "deny", "--limit", "5").stdout)
            and "insufficient-scope" in text
            and text
        )
    )
    assert "rita" in shown
    assert "127.0.0.1" in shown


def test_tail_shows_what_happens_now(gateway: Gateway) -> None:
    seen: set[str] = set()
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "audit", "tail", "--format", "json"],
        cwd=gateway.directory,
        env=gateway.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as tail:

        def read() -> None:
            for line in tail.stdout or ():
                seen.add(json.loads(line)["request_id"])

        reader = threading.Thread(target=read)
        reader.start()
        try:
            # The command takes a moment to start; what happens before it looks is not its business.
            sent: set[str] = set()

            def shown() -> set[str]:
                sent.add(gateway.request("GET", "/nowhere/tail").headers["X-Request-Id"])
                return sent & seen

            eventually(shown, within=20.0, what="a request is shown while it is followed")
        finally:
            tail.terminate()
            reader.join(10)


def test_no_secret_is_in_the_trail_the_spool_the_database_or_the_logs(
    gateway: Gateway, reader_token: str
) -> None:
    canary = "canary-4f1d2c"
    gateway.request("GET", f"/orders?token={canary}", token=canary, headers={"Cookie": f"c={canary}"})
    gateway.request("GET", f"/orders?token={canary}", headers={"X-Api-Key": canary})
    gateway.request("POST", "/gateway/v1/auth/login", body={"username": "rita", "password": canary})
    gateway.request("POST", "/gateway/v1/auth/refresh", body={"refresh_token": canary})
    gateway.request("POST", f"/echo/{'x'}", token=reader_token, body=canary.encode())
    last = gateway.request("GET", "/nowhere").headers["X-Request-Id"]
    eventually(lambda: gateway.audit("--request-id", last))
    # The trail is compressed where it is kept, so that it is also looked at as it is shown.
    assert canary not in json.dumps(shown := gateway.audit("--limit", "10000"))
    assert reader_token not in json.dumps(shown)
    for path in gateway.data_dir.rglob("*"):
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path
            assert reader_token.encode() not in path.read_bytes(), path
    assert not [line for line in gateway.lines if canary in line or reader_token in line]


def test_nothing_waits_in_the_spool_when_the_gateway_has_stopped(own_gateway: Gateway) -> None:
    ids = {own_gateway.request("GET", "/nowhere").headers["X-Request-Id"] for _ in range(20)}
    assert own_gateway.stop() == 0
    shutil.rmtree(own_gateway.data_dir / "spool")
    assert ids <= {record["request_id"] for record in own_gateway.audit("--decision", "deny")}
