"""How many workers `auto` means."""

import os
from pathlib import Path

import pytest

from gateway.workers import usable_cores

CORES = len(os.sched_getaffinity(0))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """What a container with namespaces of its own sees of its groups."""
    file = tmp_path / "own"
    file.write_text("2:cpu,cpuacct:/\n1:memory:/\n0::/\n")
    return file


def test_without_a_control_group_it_is_what_the_process_may_run_on(tmp_path: Path, own: Path) -> None:
    assert usable_cores(tmp_path, own) == CORES
    assert usable_cores(tmp_path, tmp_path / "no proc") == CORES


@pytest.mark.parametrize(
    ("text", "cores"), [("max 100000", CORES), ("100000 100000", 1), ("10000 100000", 1), ("nonsense", CORES)]
)
def test_no_more_than_the_quota_pays_for(tmp_path: Path, own: Path, text: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert usable_cores(tmp_path, own) == cores


@pytest.mark.parametrize(("amount", "cores"), [("-1", CORES), ("100000", 1)])
def test_the_older_form_of_the_quota_counts_too(tmp_path: Path, own: Path, amount: str, cores: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(amount + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(tmp_path, own) == cores


@pytest.mark.parametrize("group", ["system.slice/gateway.service", "system.slice", ""])
def test_the_quota_of_any_group_above_the_process_counts(tmp_path: Path, own: Path, group: str) -> None:
    own.write_text("0::/system.slice/gateway.service\n")
    (tmp_path / "system.slice" / "gateway.service").mkdir(parents=True)
    (tmp_path / "system.slice" / "gateway.service" / "cpu.max").write_text("max 100000\n")
    (tmp_path / group / "cpu.max").write_text("100000 100000\n")
    assert usable_cores(tmp_path, own) == 1


def test_a_group_that_is_not_to_be_seen_leaves_those_above_it(tmp_path: Path, own: Path) -> None:
    own.write_text("4:cpu,cpuacct:/docker/0123\n")
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(tmp_path, own) == 1
