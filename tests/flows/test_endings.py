"""kill -9, SIGTERM, and starting again: nothing that a client was told is lost."""

import json
import random
import socket
import threading
import time

import pytest
from support.gateway import Gateway
from support.raw import Raw


class Load:
    """Clients that send requests as fast as they can and note every answer whose head they have read."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.answered: set[str] = set()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(port, n)) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, port: int, number: int) -> None:
        paths = [b"/healthz", b"/orders", b"/nowhere", b"/gateway/v1", b"/open/x", b"/a%2fb"]
        while not self._stop.is_set():
            try:
                with Raw(port, timeout=3.0) as raw:
                    for turn in range(200):
                        if self._stop.is_set():
                            return
                        path = paths[(turn + number) % len(paths)]
                        raw.send(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        reply = raw.reply()
                        if reply is None:
                            break
                        request_id = reply.header("x-request-id")
                        assert request_id is not None
                        self.answered.add(request_id)
                        if reply.header("connection") == "close":
                            break
            except (OSError, ValueError, IndexError):
                # The process was killed under us.
                if self._stop.wait(0.01):
                    return

    def stop(self) -> set[str]:
        """Stop the clients and return the ids of the answers that were read."""
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
        return self.answered


def recorded(gateway: Gateway) -> list[str]:
    return [record["request_id"] for record in gateway.audit("--kind", "decision")]


def kill_under_load(gateway: Gateway, times: int) -> None:
    answered: set[str] = set()
    for turn in range(times):
        load = Load(gateway.port)
        time.sleep(0.3 + random.random() * 0.4)
        gateway.kill()
        answered |= load.stop()
        if turn == 0:
            # Before any restart: the command reads the unshipped spool itself.
            assert answered <= set(recorded(gateway))
        gateway.start()
    assert len(answered) > 50 * times
    found = recorded(gateway)
    assert answered <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_answer_that_a_client_read_is_in_the_trail_after_20_times_kill_9(own_gateway: Gateway) -> None:
    kill_under_load(own_gateway, 20)


def test_accounts_keys_and_tokens_outlive_kill_9(own_gateway: Gateway) -> None:
    own_gateway.create_user("rita", "a reader's password", "reader")
    tokens = own_gateway.login("rita", "a reader's password")
    key = json.loads(own_gateway.run("keys", "create", "k", "--user", "rita", "--format", "json").stdout)
    logged_out = own_gateway.login("rita", "a reader's password")
    own_gateway.request("POST", "/gateway/v1/auth/logout", token=logged_out["access_token"], body={})
    own_gateway.kill()
    own_gateway.start()
    assert own_gateway.request("GET", "/orders", token=tokens["access_token"]).status == 200
    assert own_gateway.request("GET", "/orders", headers={"X-Api-Key": key["key"]}).status == 200
    assert own_gateway.request("GET", "/orders", token=logged_out["access_token"]).status == 401
    refreshed = own_gateway.request(
        "POST", "/gateway/v1/auth/refresh", body={"refresh_token": tokens["refresh_token"]}
    )
    assert refreshed.status == 200


def test_sigterm_is_unready_at_once_and_finishes_what_runs(own_gateway: Gateway) -> None:
    with Raw(own_gateway.port) as raw:
        raw.send(b"GET /stream?chunks=3&interval=0.5 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.until(b"chunk 1\n")
        assert own_gateway.process is not None
        own_gateway.process.terminate()
        time.sleep(0.2)
        ready = own_gateway.request("GET", "/readyz", port=own_gateway.admin_port)
        assert (ready.status, "draining" in ready.json["failed"]) == (503, True)
        last = own_gateway.request("GET", "/healthz")
        assert (last.status, last.headers["Connection"]) == (200, "close")
        assert raw.until(b"chunk 3\n").endswith(b"chunk 3\n")
        assert raw.until(b"0\r\n\r\n").endswith(b"0\r\n\r\n")
    assert own_gateway.process.wait(10) == 0


def test_a_drain_that_runs_out_of_time_cuts_what_is_left(
    service: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from flows_gateway import POLICIES, UPSTREAMS
    from support.gateway import running_gateway

    with (
        running_gateway(
            tmp_path_factory.mktemp("drain"),
            policies=POLICIES,
            upstreams=UPSTREAMS,
            environ={"TEST_SERVICE": service, "GATEWAY_DRAIN_TIMEOUT": "500ms"},
        ) as gateway,
        Raw(gateway.port) as raw,
    ):
        raw.send(b"GET /stream?chunks=30&interval=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.until(b"chunk 1\n")
        begun = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - begun < 5
        assert not raw.rest().endswith(b"0\r\n\r\n")
        assert [one["outcome"] for one in gateway.audit("--kind", "completion")] == ["cut"]


def test_a_client_that_leaves_is_recorded_as_having_left(own_gateway: Gateway) -> None:
    from support.gateway import eventually

    client = socket.create_connection(("127.0.0.1", own_gateway.port))
    client.sendall(b"GET /stream?chunks=30&interval=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.recv(65536)
    client.close()
    outcomes = eventually(
        lambda: [one["outcome"] for one in own_gateway.audit("--kind", "completion")], within=5.0
    )
    assert outcomes == ["client_left"]


def test_a_lost_master_secret_stops_the_start_and_is_not_made_anew(own_gateway: Gateway) -> None:
    own_gateway.kill()
    secret = own_gateway.data_dir / "secret"
    secret.unlink()
    done = own_gateway.run("users", "list")
    assert done.returncode == 2
    assert "secret" in done.stderr
    assert "Traceback" not in done.stderr
    assert not secret.exists()


def test_another_master_secret_stops_the_start(own_gateway: Gateway) -> None:
    own_gateway.kill()
    (own_gateway.data_dir / "secret").write_text("0" * 64 + "\n")
    done = own_gateway.run("serve")
    assert done.returncode == 2
    assert "not the one this database was made with" in done.stderr
