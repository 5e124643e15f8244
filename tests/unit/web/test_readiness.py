"""One report out of many: 503 only when nobody can answer, and what is wrong with whom."""

from gateway.web import Readiness, merged_report


def of(
    *, failed: dict[str, str] | None = None, degraded: dict[str, str] | None = None
) -> tuple[int, dict[str, object]]:
    readiness = Readiness()
    for name, text in (failed or {}).items():
        readiness.checks[name] = lambda text=text: text  # type: ignore[misc]
    for name, text in (degraded or {}).items():
        readiness.limps[name] = lambda text=text: text  # type: ignore[misc]
    return readiness.report()


def test_all_ready_is_ready() -> None:
    assert merged_report({"1": of(), "2": of()}) == (200, {"status": "ready", "failed": {}, "degraded": {}})


def test_one_worker_is_like_the_whole() -> None:
    for one in (of(), of(degraded={"redis": "away"}), of(failed={"audit": "full"})):
        assert merged_report({"1": one}) == one


def test_what_all_say_is_said_once() -> None:
    away = of(degraded={"redis": "away"})
    assert merged_report({"1": away, "2": away})[1]["degraded"] == {"redis": "away"}


def test_what_only_some_say_is_said_of_them() -> None:
    reports = {"1": of(degraded={"redis": "away"}), "2": of(degraded={"redis": "away", "shipping": "slow"})}
    assert merged_report(reports)[1]["degraded"] == {"redis": "away", "worker 2": "shipping: slow"}
    reports = {"1": of(), "2": of(degraded={"redis": "away", "shipping": "slow"})}
    assert merged_report(reports)[1]["degraded"] == {"worker 2": "redis: away; shipping: slow"}


def test_one_that_cannot_answer_degrades_the_others() -> None:
    status, body = merged_report({"1": of(), "2": of(failed={"audit": "full"}), "3": "is starting"})
    assert (status, body["status"], body["failed"]) == (200, "degraded", {})
    assert body["degraded"] == {"worker 2": "audit: full", "worker 3": "is starting"}


def test_when_nobody_can_answer_it_is_503() -> None:
    status, body = merged_report({"1": of(failed={"audit": "full"}), "2": "is being restarted (exit code 1)"})
    assert (status, body["status"]) == (503, "unready")
    assert body["failed"] == {"worker 1": "audit: full", "worker 2": "is being restarted (exit code 1)"}
    assert merged_report({"1": of(failed={"audit": "full"}), "2": of(failed={"audit": "full"})})[1][
        "failed"
    ] == {"audit": "full"}


def test_a_whole_without_workers_cannot_answer() -> None:
    assert merged_report({})[0] == 503


def test_draining_is_503_whatever_the_workers_say() -> None:
    status, body = merged_report({"1": of(), "2": of()}, draining=True)
    assert (status, body["status"]) == (503, "unready")
    assert body["failed"] == {"draining": "the gateway is shutting down"}
    draining = Readiness()
    draining.draining = True
    assert merged_report({"1": draining.report()}, draining=True) == draining.report()
