"""Lines on standard output."""

import asyncio
import os
from collections.abc import Iterator

import orjson
import pytest
from unit.outlets.sample import record

from gateway.formats import FORMATS
from gateway.outlets import outlet_from, stdout
from gateway.outlets.stdout import Output, StdoutCheckpoints, StdoutOutlet
from gateway.ports import OutletUnavailable


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            continue


async def read(reader: int, size: int = 1 << 20) -> bytes:
    return await asyncio.to_thread(os.read, reader, size)


async def test_records_are_lines(capfd: pytest.CaptureFixture[str]) -> None:
    outlet = outlet_from("stdout:", FORMATS)
    await outlet.send([record(1), record(2, path="/\x1b[31m")])
    await outlet.close()
    lines = capfd.readouterr().out.splitlines()
    assert [orjson.loads(line)["seq"] for line in lines] == [1, 2]
    assert "\x1b" not in lines[1]


async def test_a_header_comes_first_and_once(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    outlet = StdoutOutlet(FORMATS["csv"], Output(writer))
    await outlet.send([record(1)])
    await outlet.send([record(2)])
    lines = (await read(reader)).splitlines()
    assert len(lines) == 3
    assert lines[0] == FORMATS["csv"].header().strip()


async def test_more_than_a_pipe_holds_arrives_whole_when_somebody_reads(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    outlet = StdoutOutlet(FORMATS["jsonl"], Output(writer))
    records = [record(seq, path="/" + "x" * (seq % 7 * 1000)) for seq in range(500)]
    sending = asyncio.ensure_future(outlet.send(records))
    got = b""
    while got.count(b"\n") < len(records):
        got += await read(reader)
    await sending
    assert [orjson.loads(line)["seq"] for line in got.splitlines()] == list(range(500))


async def test_a_reader_that_does_not_read_is_not_waited_for(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdout, "_PATIENCE", 0.05)
    outlet = StdoutOutlet(FORMATS["jsonl"], Output(pipe[1]))
    with pytest.raises(OutletUnavailable, match="nobody reads standard output"):
        await outlet.send([record(seq, path="/" + "x" * 2000) for seq in range(100)])


async def test_a_reader_that_has_gone_is_said(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    outlet = StdoutOutlet(FORMATS["jsonl"], Output(pipe[1]))
    with pytest.raises(OutletUnavailable, match="Broken pipe"):
        await outlet.send([record(1)])


async def test_a_checkpoint_is_one_line_of_the_log(pipe: tuple[int, int]) -> None:
    note = "gateway audit checkpoint 1\nnumber 1\n\n— gateway-audit one\n"
    outlet = StdoutCheckpoints(Output(pipe[1]))
    await outlet.publish(note)
    await outlet.close()
    assert orjson.loads(await read(pipe[0])) == {"event": "audit.checkpoint", "note": note}
