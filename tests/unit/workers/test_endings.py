"""How a process ended, and how long its place stays empty."""

import signal

import pytest

from gateway.workers.endings import Backoff, ending_of


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "exit code 0"),
        (3 << 8, "exit code 3"),
        (signal.SIGKILL, "killed by SIGKILL"),
        (signal.SIGSEGV | 0x80, "killed by SIGSEGV"),
        (signal.SIGRTMIN + 5, f"killed by signal {signal.SIGRTMIN + 5}"),
    ],
)
def test_the_reason_is_said_in_words(status: int, text: str) -> None:
    assert ending_of(status) == text


def test_a_first_failure_is_mended_at_once() -> None:
    assert Backoff().after(0.1) == 0


def test_failures_soon_after_the_start_wait_longer_and_longer_up_to_half_a_minute() -> None:
    backoff = Backoff()
    assert [backoff.after(0.1) for _ in range(9)] == [0, 1, 2, 4, 8, 16, 30, 30, 30]
    assert [backoff.after(4.9) for _ in range(2000)][-1] == 30


def test_a_process_that_has_lived_begins_anew() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.after(0.1)
    assert backoff.after(5.0) == 0
    assert backoff.after(0.1) == 0
    assert backoff.after(0.1) == 1
