"""When nothing can be written down, nothing happens; when it can be again, everything does."""

import resource
import time

from support.gateway import Gateway, eventually


def refuses(gateway: Gateway) -> bool:
    reply = gateway.request("GET", "/healthz")
    return reply.status == 503 and bool(reply.json["type"].endswith("audit-unavailable"))


def test_a_full_disk_refuses_everything_and_is_over_when_there_is_room(own_gateway: Gateway) -> None:
    gateway = own_gateway
    before = len(gateway.request("GET", "/healthz").body)
    assert before > 0
    unlimited = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
    # No file of the gateway may grow beyond this any more: as good as a full disk.
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (2048, unlimited[1]))
    eventually(lambda: refuses(gateway))
    for path in ("/healthz", "/nowhere", "/gateway/v1", "/a%2fb"):
        reply = gateway.request("GET", path)
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1"), path
    ready = gateway.request("GET", "/readyz", port=gateway.admin_port)
    assert (ready.status, "audit" in ready.json["failed"]) == (503, True)

    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, unlimited)
    eventually(lambda: gateway.request("GET", "/healthz").status == 200, within=5.0)
    answered = gateway.request("GET", "/nowhere").headers["X-Request-Id"]
    eventually(lambda: gateway.audit("--request-id", answered))


def test_a_database_that_is_away_costs_no_proxied_request_and_no_record(own_gateway: Gateway) -> None:
    import sqlite3

    gateway = own_gateway
    with sqlite3.connect(gateway.data_dir / "gateway.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        ids = []
        while time.monotonic() - begun < 3.0:
            reply = gateway.request("GET", "/healthz")
            assert reply.status == 200
            ids.append(reply.headers["X-Request-Id"])
            time.sleep(0.05)
        other.execute("ROLLBACK")
    other.close()
    eventually(
        lambda: set(ids) <= {record["request_id"] for record in gateway.audit("--kind", "decision")},
        within=10.0,
    )
