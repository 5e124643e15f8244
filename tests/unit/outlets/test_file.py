"""Lines at the end of a file."""

import asyncio
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from unit.outlets.sample import record

from gateway.formats import FORMATS
from gateway.outlets import checkpoint_outlet_from, outlet_from
from gateway.ports import Outlet, OutletUnavailable


def outlet_at(path: Path, format: str = "jsonl") -> Outlet:
    return outlet_from(f"file:{path}?as={format}", FORMATS)


def numbers(path: Path) -> list[int]:
    return [orjson.loads(line)["seq"] for line in path.read_bytes().splitlines()]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


async def test_records_are_lines_in_order_for_nobody_else_to_read(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    outlet = outlet_at(path)
    await outlet.send([record(1), record(2, path="/a\nb\x1b[31m")])
    await outlet.send([record(3)])
    await outlet.close()
    assert numbers(path) == [1, 2, 3]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_header_comes_once_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.csv"
    for seq in (1, 2):
        outlet = outlet_at(path, "csv")
        await outlet.send([record(seq)])
        await outlet.close()
    lines = path.read_text().splitlines()
    assert len(lines) == 3
    assert "seq" in lines[0]


async def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    outlet = outlet_at(path)
    await outlet.send([record(1)])
    path.rename(tmp_path / "audit.1")
    await outlet.send([record(2)])
    path.unlink()
    await outlet.send([record(3)])
    await outlet.close()
    assert numbers(tmp_path / "audit.1") == [1]
    assert numbers(path) == [3]


async def test_a_torn_line_of_a_machine_that_went_down_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b'{"seq":1}\n{"se')
    outlet = outlet_at(path)
    await outlet.send([record(2)])
    await outlet.close()
    lines = path.read_bytes().splitlines()
    assert lines[:2] == [b'{"seq":1}', b'{"se']
    assert orjson.loads(lines[2])["seq"] == 2


async def test_what_does_not_fit_leaves_no_part_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    outlet = outlet_at(path)
    await outlet.send([record(1)])
    before = path.read_bytes()
    with largest_file(len(before) + 100), pytest.raises(OutletUnavailable, match="File too large"):
        await outlet.send([record(2), record(3)])
    assert path.read_bytes() == before
    await outlet.send([record(2), record(3)])
    await outlet.close()
    assert numbers(path) == [1, 2, 3]


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    outlet = outlet_at(tmp_path / "missing" / "audit.jsonl")
    with pytest.raises(OutletUnavailable, match=r"missing/audit\.jsonl: No such file or directory"):
        await outlet.send([record(1)])
    (tmp_path / "missing").mkdir()
    await outlet.send([record(1)])
    await outlet.close()


async def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "audit.jsonl"
    target.write_bytes(b"precious")
    path.symlink_to(target)
    outlet = outlet_at(path)
    with pytest.raises(OutletUnavailable, match="symbolic link"):
        await outlet.send([record(1)])
    assert target.read_bytes() == b"precious"


async def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    outlet = outlet_at(tmp_path / "pipe")
    with pytest.raises(OutletUnavailable, match="is not a regular file"):
        await outlet.send([record(1)])


async def test_two_that_write_at_once_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    outlets = [outlet_at(path), outlet_at(path)]
    await asyncio.gather(
        *(outlets[number % 2].send([record(number), record(number)]) for number in range(20))
    )
    for outlet in outlets:
        await outlet.close()
    assert sorted(numbers(path)) == sorted([*range(20), *range(20)])


async def test_checkpoints_stand_in_the_file_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints"
    outlet = checkpoint_outlet_from(f"file:{path}")
    await outlet.publish("gateway audit checkpoint 1\nnumber 1\n\n— gateway-audit one\n")
    await outlet.publish("gateway audit checkpoint 1\nnumber 2\n\n— gateway-audit two\n")
    await outlet.close()
    assert path.read_text() == (
        "gateway audit checkpoint 1\nnumber 1\n\n— gateway-audit one\n\n"
        "gateway audit checkpoint 1\nnumber 2\n\n— gateway-audit two\n\n"
    )
