"""Several processes are one gateway: an even spread, nothing lost with one of them, one end for all."""

import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.gateway import Gateway, eventually, running_gateway
from support.raw import Raw
from support.servers import redis_url

WORKERS = 4
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

Make = Callable[..., Gateway]


@pytest.fixture
def make(service: str, tmp_path: Path) -> Iterator[Make]:
    """Start a gateway with workers; ended with the test."""
    with ExitStack() as stack:

        def started(workers: int = WORKERS, **environ: str) -> Gateway:
            return stack.enter_context(_crowd(tmp_path / "own", service, workers, **environ))

        yield started


@pytest.fixture(scope="module")
def crowd(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Four workers for the tests that leave four workers behind; their shell allows few open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        try:
            gateway = stack.enter_context(_crowd(tmp_path_factory.mktemp("crowd"), service, WORKERS))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        yield gateway


def _crowd(directory: Path, service: str, workers: int, **environ: str) -> AbstractContextManager[Gateway]:
    given = {"TEST_SERVICE": service, "GATEWAY_WORKERS": str(workers), "GATEWAY_REDIS_URL": redis_url()}
    return running_gateway(directory, policies=POLICIES, upstreams=UPSTREAMS, environ=given | environ)


def workers_of(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """By worker its process, its connections and its requests."""
    found: dict[str, dict[str, Any]] = gateway.readyz().json["workers"]
    return found


def pids_of(gateway: Gateway) -> dict[str, int | None]:
    return {name: one["pid"] for name, one in workers_of(gateway).items()}


def connections_of(gateway: Gateway) -> list[int]:
    return sorted(one["connections"] for one in workers_of(gateway).values())


def is_whole(gateway: Gateway) -> bool:
    body = gateway.readyz().json
    return body["status"] == "ready" and all(one["pid"] for one in body["workers"].values())


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def shipped_of(gateway: Gateway, directory: Path) -> "Counter[str]":
    """Count decisions by request id, of the database alone: as seen from a place that has no spool."""
    elsewhere = Gateway(
        directory / "elsewhere",
        policies=gateway.policies.read_text(),
        upstreams=gateway.upstreams.read_text(),
        environ=gateway.environ | {"GATEWAY_DATABASE_URL": f"sqlite:///{gateway.data_dir}/gateway.db"},
    )
    elsewhere.data_dir.mkdir(exist_ok=True)
    shutil.copy(gateway.data_dir / "secret", elsewhere.data_dir)
    return Counter(record["request_id"] for record in elsewhere.audit("--kind", "decision"))


class Load:
    """Clients that send one request after the other, on kept connections or a new one for each."""

    def __init__(self, port: int, clients: int = 8, *, per_connection: int = 1_000_000) -> None:
        self.answered: list[str] = []
        self.failed: list[str] = []
        """Requests that got no whole answer, but for those on a kept connection that was closed in between:
        every client sends such a request again."""
        self.refused = 0
        """Attempts to connect to a port where nobody listens."""
        self._per_connection = per_connection
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(port,)) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, port: int) -> None:
        while not self._stop.is_set():
            try:
                raw = Raw(port, timeout=15)
            except ConnectionRefusedError:
                self.refused += 1
                self._stop.wait(0.01)
                continue
            with raw:
                self._use(raw)

    def _use(self, raw: Raw) -> None:
        for turn in range(self._per_connection):
            if self._stop.is_set():
                return
            try:
                raw.send(GET)
                reply = raw.reply()
            except (OSError, ValueError, IndexError) as error:
                if not (turn and isinstance(error, BrokenPipeError | ConnectionResetError)):
                    self.failed.append(f"turn {turn}: {error!r}")
                return
            if reply is None:
                if not turn:
                    self.failed.append("a new connection was closed without an answer")
                return
            if reply.status != 200:
                self.failed.append(f"turn {turn}: {reply.status}")
            self.answered.append(reply.header("x-request-id") or "")
            if reply.header("connection") == "close":
                return

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)


def test_every_process_may_open_as_many_files_as_the_system_allows(crowd: Gateway) -> None:
    for pid in (crowd.pid, *children_of(crowd.pid)):
        found = re.search(
            r"^Max open files +(\d+) +(\d+)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE
        )
        assert found is not None
        assert found[1] == found[2] != "512"


def test_kept_connections_are_spread_evenly(crowd: Gateway) -> None:
    with ExitStack() as stack:
        eventually(lambda: connections_of(crowd) == [0] * WORKERS, what="no connection is left")
        for _ in range(100):
            raw = stack.enter_context(Raw(crowd.port))
            raw.send(GET)
            reply = raw.reply()
            assert reply is not None
            assert reply.status == 200
        eventually(lambda: sum(connections_of(crowd)) == 100, what="all are told of")
        assert connections_of(crowd) == [25] * WORKERS


def test_connections_go_where_there_are_fewer(crowd: Gateway) -> None:
    with ExitStack() as stack:
        eventually(lambda: connections_of(crowd) == [0] * WORKERS, what="no connection is left")
        raws = [stack.enter_context(Raw(crowd.port)) for _ in range(40)]
        eventually(lambda: connections_of(crowd) == [10] * WORKERS, what="40 in turns")
        # Every fourth is the same worker's.
        for raw in raws[::4]:
            raw.__exit__()
        eventually(lambda: connections_of(crowd) == [0, 10, 10, 10], what="one has none")
        for _ in range(10):
            stack.enter_context(Raw(crowd.port))
        eventually(lambda: connections_of(crowd) == [10] * WORKERS, what="even again")


def test_a_worker_that_is_killed_under_load_takes_only_its_own_requests_with_it(
    crowd: Gateway, tmp_path: Path
) -> None:
    eventually(lambda: is_whole(crowd) and connections_of(crowd) == [0] * WORKERS)
    before = pids_of(crowd)
    load = Load(crowd.port, clients=8)
    eventually(lambda: len(load.answered) > 200)
    killed = before["2"]
    assert killed is not None
    begun = time.monotonic()
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: pids_of(crowd)["2"] not in {killed, None} and is_whole(crowd), within=1.5)
    back = time.monotonic() - begun
    count = len(load.answered)
    eventually(lambda: len(load.answered) > count + 200)
    load.stop()
    # Eight clients, four workers: two of them were there, and had a request under way or not.
    assert len(load.failed) <= 2, load.failed
    assert back < 1.5
    assert {**before, "2": None} == {**pids_of(crowd), "2": None}
    ended = [line for line in crowd.events("worker_ended") if line["pid"] == killed]
    assert [(line["worker"], line["reason"], line["level"]) for line in ended] == [
        (2, "killed by SIGKILL", "error")
    ]
    metrics = crowd.request("GET", "/metrics", port=crowd.admin_port).body.decode()
    assert 'gateway_worker_restarts_total{reason="killed by SIGKILL"} 1' in metrics
    assert "gateway_workers 4" in metrics
    # What the dead one had recorded is shipped by another, once.
    shipped = eventually(
        lambda: set(load.answered) <= (found := shipped_of(crowd, tmp_path)).keys() and found,
        what="all is in the database",
    )
    assert set(shipped.values()) == {1}


@pytest.mark.slow
def test_what_a_killed_worker_left_in_the_spool_is_cleared_away_when_it_is_signed_for(make: Make) -> None:
    gateway = make()
    load = Load(gateway.port, clients=4)
    eventually(lambda: len(load.answered) > 200)
    killed = pids_of(gateway)["2"]
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: pids_of(gateway)["2"] not in {killed, None} and is_whole(gateway))
    load.stop()
    spool = gateway.data_dir / "spool"
    eventually(
        lambda: len(list(spool.iterdir())) == WORKERS, within=20, what="the logs of the living are left"
    )


@pytest.mark.slow
def test_counters_of_a_dead_worker_stay_in_the_sum(crowd: Gateway) -> None:
    def requests() -> int:
        text = crowd.request("GET", "/metrics", port=crowd.admin_port).body.decode()
        return sum(
            int(float(n))
            for n in re.findall(
                r'^gateway_requests_total\{[^}]*route="health"[^}]*\} (\S+)$', text, re.MULTILINE
            )
        )

    def settled() -> int:
        """Return the number when every worker has told of all it has counted: they do so every second."""
        count = -1
        while count != (count := requests()):
            time.sleep(1.5)
        return count

    eventually(lambda: is_whole(crowd))
    start = settled()
    for _ in range(40):
        assert crowd.request("GET", "/healthz").status == 200
    assert settled() == start + 40
    killed = pids_of(crowd)["3"]
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    seen = set()
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline and not (killed not in pids_of(crowd).values() and is_whole(crowd)):
        seen.add(requests())
    assert seen | {requests()} == {start + 40}


def test_a_worker_that_is_asked_to_end_finishes_and_is_replaced(crowd: Gateway) -> None:
    eventually(lambda: is_whole(crowd))
    load = Load(crowd.port, clients=4, per_connection=20)
    eventually(lambda: len(load.answered) > 50)
    asked = pids_of(crowd)["1"]
    assert asked is not None
    os.kill(asked, signal.SIGTERM)
    eventually(lambda: asked not in pids_of(crowd).values() and is_whole(crowd))
    load.stop()
    assert load.failed == []
    ended = [line for line in crowd.events("worker_ended") if line["pid"] == asked]
    assert [(line["reason"], line["level"]) for line in ended] == [("exit code 0", "info")]


def test_the_operators_process_comes_back_and_knows_everything(crowd: Gateway) -> None:
    eventually(lambda: is_whole(crowd))
    before = pids_of(crowd)
    (operators,) = set(children_of(crowd.pid)) - set(before.values())
    os.kill(operators, signal.SIGKILL)
    eventually(lambda: operators not in children_of(crowd.pid))
    # The socket was open all the time: whoever asked meanwhile has waited.
    assert pids_of(crowd) == before
    assert is_whole(crowd)


def test_new_connections_are_served_while_a_worker_is_stopped(crowd: Gateway) -> None:
    eventually(lambda: is_whole(crowd))
    stopped = pids_of(crowd)["4"]
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with ExitStack() as stack:
            for _ in range(60):
                raw = stack.enter_context(Raw(crowd.port, timeout=5))
                raw.send(GET)
                reply = raw.reply()
                assert reply is not None
                assert reply.status == 200
        # One that had been given to it waited for half a second.
        assert time.monotonic() - begun < 3
        assert crowd.events("worker_stuck")
        ready = eventually(lambda: (one := crowd.readyz()).json["status"] == "degraded" and one, within=6)
        assert ready.status == 200
        assert re.fullmatch(r"has not been heard of for \d+ s", ready.json["degraded"]["worker 4"])
    finally:
        os.kill(stopped, signal.SIGCONT)
    eventually(lambda: is_whole(crowd))
    assert pids_of(crowd)["4"] == stopped


def test_all_workers_may_die_and_clients_only_wait(crowd: Gateway) -> None:
    eventually(lambda: is_whole(crowd))
    before = set(pids_of(crowd).values())
    for pid in before:
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    for _ in range(8):
        assert crowd.request("GET", "/healthz").status == 200
    eventually(lambda: is_whole(crowd), within=10)
    assert not before & set(pids_of(crowd).values())


def test_every_line_of_a_worker_says_which(crowd: Gateway) -> None:
    for _ in range(8):
        crowd.request("GET", "/healthz")
    eventually(
        lambda: (
            {line.get("worker") for line in map(json.loads, crowd.lines) if line["event"] == "request"}
            == {1, 2, 3, 4}
        )
    )
    assert len(crowd.events("serving")) == 1
    assert crowd.serving["workers"] == len(set(crowd.serving["pids"])) == WORKERS


@pytest.mark.slow
def test_files_that_have_changed_do_not_reach_a_worker_that_comes_back(make: Make) -> None:
    gateway = make(2)
    gateway.policies.write_text("nonsense: [")
    gateway.upstreams.unlink()
    killed = pids_of(gateway)["1"]
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: pids_of(gateway)["1"] not in {killed, None} and is_whole(gateway))
    with ExitStack() as stack:
        for _ in range(4):
            raw = stack.enter_context(Raw(gateway.port))
            raw.send(GET)
            reply = raw.reply()
            assert reply is not None
            assert reply.status == 200
    records = eventually(lambda: (found := gateway.audit("--kind", "decision")) and len(found) == 4 and found)
    assert {record["revision"] for record in records} == {gateway.serving["revision"]}
    assert len({record["writer"] for record in records}) == 2


def test_sigterm_under_load_loses_no_request_and_ends_with_0(make: Make) -> None:
    gateway = make()
    load = Load(gateway.port, clients=6, per_connection=10)
    eventually(lambda: len(load.answered) > 100)
    children = children_of(gateway.pid)
    assert gateway.stop() == 0
    load.stop()
    assert load.failed == []
    assert not any(is_alive(pid) for pid in children)
    assert gateway.events("stopped")
    assert [line["reason"] for line in gateway.events("worker_ended")] == ["exit code 0"] * WORKERS
    assert set(load.answered) <= {record["request_id"] for record in gateway.audit("--kind", "decision")}


def test_a_signal_to_the_whole_group_drains_once(make: Make) -> None:
    gateway = make(2)
    with Raw(gateway.port) as raw:
        raw.send(b"GET /stream?chunks=3&interval=0.5 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.until(b"chunk 1\n")
        assert gateway.process is not None
        children = children_of(gateway.pid)
        for pid in (gateway.pid, *children):
            os.kill(pid, signal.SIGINT)
        ready = eventually(lambda: (one := gateway.readyz()).status == 503 and one, within=1)
        assert "draining" in ready.json["failed"]
        last = gateway.request("GET", "/healthz")
        assert (last.status, last.headers["Connection"]) == (200, "close")
        assert raw.until(b"chunk 3\n").endswith(b"chunk 3\n")
        assert raw.until(b"0\r\n\r\n").endswith(b"0\r\n\r\n")
    assert gateway.process.wait(10) == 0
    assert len(gateway.events("draining")) == 1


@pytest.mark.slow
def test_a_drain_that_runs_out_of_time_cuts_what_is_left(make: Make) -> None:
    gateway = make(2, GATEWAY_DRAIN_TIMEOUT="500ms")
    with Raw(gateway.port) as raw:
        raw.send(b"GET /stream?chunks=30&interval=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.until(b"chunk 1\n")
        begun = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - begun < 5
        assert not raw.rest().endswith(b"0\r\n\r\n")
    assert [one["outcome"] for one in gateway.audit("--kind", "completion")] == ["cut"]


def test_without_its_supervisor_nobody_stays_behind(make: Make) -> None:
    gateway = make(2)
    children = children_of(gateway.pid)
    assert len(children) == 3
    with Raw(gateway.port) as raw:
        raw.send(b"GET /stream?chunks=3&interval=0.3 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.until(b"chunk 1\n")
        gateway.kill()
        assert raw.until(b"0\r\n\r\n").endswith(b"0\r\n\r\n")
    eventually(lambda: not any(is_alive(pid) for pid in children), what="all have ended")
    # Nothing holds the port.
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", gateway.port))


@pytest.mark.slow
def test_a_unix_socket_is_served_by_all(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "s"
    gateway = make(2, GATEWAY_LISTEN=f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(path))
            client.sendall(GET)
            reply = http.client.HTTPResponse(client)
            reply.begin()
            assert (reply.status, reply.read() != b"") == (200, True)
        eventually(lambda: connections_of(gateway) == [5, 5])


def test_a_start_that_is_refused_says_so_once_and_leaves_nothing(crowd: Gateway) -> None:
    taken = crowd.run("serve", "--listen", f"127.0.0.1:{crowd.port}")
    assert (taken.returncode, taken.stdout) == (2, "")
    assert taken.stderr == (
        f"gateway: cannot listen on 127.0.0.1:{crowd.port} (GATEWAY_LISTEN): Address already in use\n"
    )
    with subprocess.Popen(
        ["gateway", "serve"],
        executable=_program(),
        cwd=crowd.directory,
        env=crowd.environ | {"GATEWAY_SECRET": "0" * 64},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == 2
        assert stderr.count("\n") == 1
        assert "not the one this database was made with" in stderr
        # Nobody is left in its session.
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)


def test_a_start_without_room_for_its_files_says_so(crowd: Gateway) -> None:
    addresses = "--listen 127.0.0.1:0 --admin-listen 127.0.0.1:0"
    done = subprocess.run(
        ["bash", "-c", f"ulimit -n 25; exec {_program()} serve --workers 8 {addresses}"],
        cwd=crowd.directory,
        env=crowd.environ,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "gateway: cannot start 8 workers: Too many open files\n")


def _program() -> str:
    import sys

    return str(Path(sys.executable).with_name("gateway"))


@pytest.mark.slow
def test_a_worker_that_does_not_live_is_started_more_and_more_rarely(make: Make) -> None:
    gateway = make(2)
    gaps = []
    for _ in range(4):
        pid = pids_of(gateway)["2"]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        begun = time.monotonic()
        eventually(lambda pid=pid: pids_of(gateway)["2"] not in {pid, None} and is_whole(gateway), within=10)
        gaps.append(time.monotonic() - begun)
        assert gateway.request("GET", "/healthz").status == 200
    assert gaps[0] < 1
    assert [round(gap - 0.3) for gap in gaps[1:]] == [1, 2, 4]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_is_lost_when_workers_are_killed_again_and_again(make: Make) -> None:
    gateway = make()
    load = Load(gateway.port, clients=8, per_connection=50)
    killed = 0
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        eventually(lambda: is_whole(gateway), within=40)
        pid = pids_of(gateway)[str(killed % WORKERS + 1)]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        killed += 1
        time.sleep(0.3)
    load.stop()
    assert killed > 5
    assert len(load.failed) <= 8 * killed
    eventually(lambda: is_whole(gateway), within=40)
    assert gateway.stop() == 0
    recorded = Counter(record["request_id"] for record in gateway.audit("--kind", "decision"))
    assert set(load.answered) <= set(recorded)
    assert set(recorded.values()) == {1}
