"""The yardstick itself: figures are read right, and nothing is measured that went wrong."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from bench import limits, tokens
from bench.baseline import FILE, Baseline, Figure, Interpreter
from bench.check import compare, figures, verdict
from bench.costs import NAMES
from bench.cpu import cpu_seconds, resident_bytes
from bench.load import BenchError, Load, read
from bench.reference import Reference
from bench.report import Round, explained, summary
from bench.servers import postgres
from bench.subjects import VARIANTS

BUILD = Interpreter(name="CPython", version="3.11.7", compiler="GCC 12.2.0", build="main May  9 2026")

PRINTED = """\
Running 2s test @ http://127.0.0.1:41239/orders
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   593.38us  321.44us   8.73ms   90.07%
    Req/Sec    52.10k     3.47k   57.54k    71.43%
  Latency Distribution
     50%  506.00us
     75%  663.00us
     90%    0.90ms
     99%    1.27ms
  108471 requests in 2.10s, 113.68MB read
Requests/sec:  51653.11
Transfer/sec:     54.13MB
"""


def test_what_wrk_prints_is_read() -> None:
    assert read(PRINTED) == Load(requests=108471, seconds=2.1, p50=0.506, p99=1.27)


@pytest.mark.parametrize(
    "trouble",
    ["  Non-2xx or 3xx responses: 4", "  Socket errors: connect 0, read 3, write 0, timeout 0"],
)
def test_a_run_with_a_single_wrong_answer_is_no_measurement(trouble: str) -> None:
    with pytest.raises(BenchError, match="not every request"):
        read(PRINTED + trouble + "\n")


def test_a_run_without_answers_is_no_measurement() -> None:
    with pytest.raises(BenchError, match="nothing was answered"):
        read(PRINTED.replace("108471 requests", "0 requests"))


def test_the_processor_time_of_a_process_includes_its_children() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        # The kernel counts in ticks of 10 ms.
        assert 0.25 <= cpu_seconds(process.pid) < 5
        assert resident_bytes(process.pid) > 1024**2
        process.communicate(b"\n")
    assert cpu_seconds(process.pid) == 0


def test_the_ratio_is_the_median_of_rounds_that_took_turns() -> None:
    def rounds(*costs: float) -> list[Round]:
        return [
            Round(us_per_request=cost, requests_per_second=1, p50_ms=1, p99_ms=1, resident_mib=1)
            for cost in costs
        ]

    # The machine was slow for both in the second round.
    told = summary({"nginx": rounds(20, 40, 20), "full": rounds(60, 120, 62)})
    assert told["full"]["ratio_to_nginx"] == pytest.approx(3.0)
    assert told["nginx"]["ratio_to_nginx"] == 1


def test_the_full_chain_is_measured_with_four_limits_and_the_signed_identity() -> None:
    folder = Path(__file__).parents[2] / "bench"
    policies = yaml.safe_load((folder / "policies.yaml").read_text())
    upstreams = yaml.safe_load((folder / "upstreams.yaml").read_text())
    (orders,) = [route for route in policies["routes"] if route["match"]["path"] == VARIANTS["full"].path]
    assert len(policies["defaults"]["limits"]) + len(orders["limits"]) == 4
    assert upstreams["upstreams"]["service"]["forward"]["identity"] == "signed_jwt"
    assert VARIANTS["full"].durability == "process"


def _told(**ratios: float) -> Baseline:
    return Baseline(
        interpreter=BUILD,
        processor="any",
        figures={name: Figure(ratio=ratio, noise=0.0) for name, ratio in ratios.items()},
    )


def _runs(**ratios: list[float]) -> list[dict[str, dict[str, float]]]:
    count = len(next(iter(ratios.values())))
    return [
        {name: {"ratio": each[number], "us": 60.0} for name, each in ratios.items()}
        for number in range(count)
    ]


def test_a_case_that_costs_more_than_its_baseline_and_the_noise_fails_the_guard() -> None:
    baseline = _told(full=1.0, public=1.0)
    findings = compare(_runs(full=[1.15, 1.16, 1.17], public=[1.04, 1.05, 1.06]), baseline)
    code, told = verdict(findings, baseline, BUILD)
    assert code == 1
    assert told[0] == "full costs 15% more than its baseline; 10% is allowed"
    assert not any("public" in line for line in told)


def test_what_the_run_itself_is_unsure_of_does_not_fail_the_guard() -> None:
    baseline = _told(full=1.0)
    assert verdict(compare(_runs(full=[1.08, 1.12, 1.14, 1.3]), baseline), baseline, BUILD) == (0, [])


def test_the_baseline_of_another_interpreter_only_informs() -> None:
    baseline = _told(full=1.0)
    findings = compare(_runs(full=[2.0, 2.0, 2.0]), baseline)
    code, told = verdict(findings, baseline, replace(BUILD, version="3.13.1"))
    assert code == 0
    assert told[0].startswith("full costs 100% more")
    assert told[-1].startswith(
        "for information only, this is the baseline of another interpreter (CPython 3.11.7"
    )


def test_a_case_that_has_become_cheap_asks_for_a_new_baseline() -> None:
    baseline = _told(full=1.0)
    code, told = verdict(compare(_runs(full=[0.7, 0.7, 0.7]), baseline), baseline, BUILD)
    assert code == 0
    assert told == ["full costs 30% less than its baseline: record it, so that it stays so"]


def test_a_case_without_a_baseline_is_told() -> None:
    baseline = _told(full=1.0)
    findings = compare(_runs(full=[1.0], other=[1.0]), baseline)
    assert verdict(findings, baseline, BUILD) == (0, ["other has no baseline: record one"])


def test_the_recorded_baseline_has_every_case_and_is_written_as_it_is_read(tmp_path: Path) -> None:
    baseline = Baseline.read(FILE)
    assert baseline.figures.keys() == NAMES.keys()
    assert all(0 <= figure.noise < figure.ratio / 10 for figure in baseline.figures.values())
    baseline.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == FILE.read_text()


@pytest.mark.parametrize("held", ["", "[]", "{}", '{"interpreter": {"name": 1}}'])
def test_a_file_that_holds_no_baseline_is_said_to_hold_none(held: str, tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(held)
    with pytest.raises(BenchError, match=r"holds no baseline.*--record"):
        Baseline.read(file)


def test_the_reference_does_the_same_work_each_time() -> None:
    one, other = Reference(), Reference()
    assert one.work(200) == other.work(200) > 200


@pytest.mark.slow
def test_the_guard_measures_every_case_on_the_real_chain() -> None:
    command = [sys.executable, "-m", "bench.costs", "2"]
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    measured = json.loads(ended.stdout)
    assert measured.keys() == NAMES.keys()
    assert figures([measured]).keys() == NAMES.keys()
    assert all(case["ratio"] > 0 and case["us"] > 0 for case in measured.values())
    # A refusal does not ask the upstream, and writes one record instead of two.
    assert measured["refused-401"]["us"] < measured["full"]["us"]


def test_counting_in_redis_is_measured_beside_redis_py_with_the_same_script() -> None:
    told = limits.measure(rounds=1, checks=100)
    assert told.keys() == {"gateway", "redis-py", "redis-py pipeline", "nothing"}
    for by_number in told.values():
        assert by_number.keys() == set(limits.IN_FLIGHT)
        assert all(row["client_us"] > 0 and row["checks_per_second"] > 0 for row in by_number.values())


def test_a_postgresql_for_the_bench_takes_its_password_and_ends_with_the_block() -> None:
    async def version(url: str) -> str:
        engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
        try:
            async with engine.connect() as connection:
                return str((await connection.execute(text("SHOW server_version"))).scalar_one())
        finally:
            await engine.dispose()

    with postgres() as server:
        assert int(asyncio.run(version(server.url)).split(".")[0]) >= 13
        assert resident_bytes(server.pid) > 0
    assert resident_bytes(server.pid) == 0


def test_the_table_says_what_two_workers_gain_and_whose_processor_time_is_shown() -> None:
    def round_(cost: float, rate: float) -> Round:
        return Round(us_per_request=cost, requests_per_second=rate, p50_ms=1, p99_ms=1, resident_mib=1)

    told = summary(
        {
            "nginx": [round_(20, 40_000)],
            "full-redis-pg": [round_(100, 8_000)],
            "full-redis-pg-2": [round_(110, 12_000)],
        }
    )
    lines = explained(told)
    assert any(
        line.startswith("two workers: 1.50 x the requests of one, at 1.10 x its CPU") for line in lines
    )
    assert any("CPU of the servers, not in the column own" in line for line in lines)


@pytest.mark.slow
def test_every_way_to_say_who_is_asking_is_measured_on_the_real_chain() -> None:
    command = [sys.executable, "-m", "bench.tokens", "--rounds", "2"]
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert all(case.says in ended.stdout for case in tokens.CASES.values())
