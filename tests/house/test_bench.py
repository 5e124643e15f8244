"""The yardstick itself: figures are read right, and nothing is measured that went wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bench.cpu import cpu_seconds, resident_bytes
from bench.load import BenchError, Load, read
from bench.run import Round, summary
from bench.subjects import VARIANTS

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
