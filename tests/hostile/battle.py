"""One gateway, one upstream, many attacks at once; afterwards, everything that was seen of each."""

import asyncio
import contextlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import uvloop
from hostile.case import CLIENT, SECRET, TOKEN, Case
from hostile.evidence import Evidence, Record
from hostile.gateway_files import policies, upstreams
from hostile.judge import breaches
from hostile.lies.belief import believed
from hostile.lies.lie import Lie
from hostile.recorder import Recorder, Script
from hostile.sending import AFTER, ALIVE, BEFORE, SHORT, WAYS, Shot, pieces, shoot, sources, volley
from hostile.taken import Kernel
from support.gateway import Gateway, eventually, running_gateway

USER = "mallory"
PASSWORD = "a password that nobody may read"
_HOME = "127.0.0.1"
_PROXIES = "127.220."
_HOPS = re.compile(rb"(?mi)^x-forwarded-for: (.*)\r$")


@dataclass(slots=True)
class Battle:
    """What came of it."""

    breaches: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By case: what does not hold, and how it was sent."""
    shots: int = 0
    elsewhere: list[str] = field(default_factory=list)
    """What does not hold and belongs to no case: logs, the trail as a whole, bytes left over."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A case, how it is cut, and what is sent in which segments."""

    case: Case
    way: str
    segments: Sequence[bytes] = field(repr=False)
    lie: Lie | None = None
    """What the upstream does to it."""
    preceded: bool = False
    """Whether a harmless request goes in front."""
    waits: bool = False
    """Whether that one is answered before the rest is sent."""


def ways_of(case: Case, token: bytes, ways: Iterable[str] = WAYS, *, short: int = SHORT) -> list[Plan]:
    """Return how a case is sent, with what follows it. What is `short` is also sent byte by byte."""
    data = case.data.replace(TOKEN, token)
    after = b"" if case.hangs_up or case.alone else AFTER
    if case.way is not None:
        ways = [case.way]
    elif len(data) > short or case.by_proxy:
        ways = [way for way in ways if way != "bytes"]
    return [Plan(case, way, _segments(data, after, way)) for way in ways]


def preceded(plan: Plan, *, waits: bool) -> Plan:
    """Return a plan with a harmless request in front, in the same segment or answered before."""
    first, *rest = plan.segments
    segments = [BEFORE, first, *rest] if waits else [BEFORE + first, *rest]
    way = f"{'kept alive' if waits else 'pipelined'}, {plan.way}"
    return replace(plan, segments=segments, way=way, preceded=True, waits=waits)


def _segments(data: bytes, after: bytes, way: str) -> list[bytes]:
    # What follows tells something by where it begins, which the last byte before it decides.
    return [*pieces(data, way), *pieces(after, "lines")] if way == "bytes" else pieces(data + after, way)


def fight(
    directory: Path,
    plan: Callable[[bytes], Sequence[Plan]],
    *,
    scripts: Mapping[bytes, Script] | None = None,
    apart: int = 0,
    header_timeout: str = "3s",
) -> Battle:
    """Send everything that is planned at a gateway of its own, and judge it.

    `plan` is given an access token that is good; `apart` is how many upstreams there are besides the usual.
    """
    recorder = Recorder(scripts or {})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(recorder.start())
        environ = {
            "TEST_RECORDER": f"127.0.0.1:{recorder.port}",
            "GATEWAY_TRUSTED_PROXIES": f"{_PROXIES}0.0/16",
            "GATEWAY_HEADER_TIMEOUT": header_timeout,
            "GATEWAY_KEEPALIVE_TIMEOUT": "3s",
        }
        try:
            with running_gateway(
                directory, policies=policies(apart), upstreams=upstreams(apart), environ=environ
            ) as gateway:
                gateway.create_user(USER, PASSWORD, "reader")
                tokens = gateway.login(USER, PASSWORD)
                secrets = [tokens["access_token"], tokens["refresh_token"], PASSWORD]
                plans = sorted(plan(secrets[0].encode()), key=lambda each: -each.case.lasts)
                shots = runner.run(_send(gateway.port, plans))
                return _judge(gateway, recorder, plans, shots, [secret.encode() for secret in secrets])
        finally:
            runner.run(recorder.stop())


async def _send(port: int, plans: Sequence[Plan]) -> list[Shot]:
    shots: list[Shot | None] = [None] * len(plans)
    kernel = Kernel()

    async def one(number: int, source: str) -> None:
        plan = plans[number]
        case, segments = plan.case, plan.segments
        client = source
        if case.by_proxy:
            client, source = source.replace("127.", "10.", 1), source.replace("127.20.", _PROXIES, 1)
            segments = [segment.replace(CLIENT, client.encode()) for segment in segments]
        shot = await shoot(
            port,
            source,
            segments,
            kernel=kernel,
            pause=case.pause,
            hangs_up=case.hangs_up,
            waits=plan.waits,
        )
        shot.client = client
        # What the gateway makes of the next client is part of what the attack did.
        shot.alive = (await shoot(port, _HOME, [ALIVE], kernel=kernel)).got
        shots[number] = shot

    await volley(
        [partial(one, number, source) for number, source in zip(range(len(plans)), sources(), strict=False)]
    )
    kernel.close()
    return [shot for shot in shots if shot is not None]


def _judge(
    gateway: Gateway, recorder: Recorder, plans: Sequence[Plan], shots: Sequence[Shot], secrets: list[bytes]
) -> Battle:
    battle = Battle(shots=len(shots))
    trail = _trail(gateway, recorder)
    by_source: dict[str, list[Record]] = defaultdict(list)
    completions: dict[str, Record] = {}
    for record in trail:
        if record["kind"] == "decision":
            by_source[record["source_ip"]].append(record)
        elif record["kind"] == "completion":
            completions[record["request_id"]] = record
    source_of = {record["request_id"]: source for source, records in by_source.items() for record in records}
    asked, wrongs = defaultdict(list), defaultdict(list)
    for each in recorder.asked:
        asked[source_of.get(each.request_id, "")].append(each)
    for request_id, wrong in recorder.wrongs:
        wrongs[source_of.get(request_id, "")].append(wrong)
    battle.elsewhere += [f"I1: nobody asked for {each}" for each in asked.get("", ())]
    for plan, shot in zip(plans, shots, strict=True):
        decisions = by_source.get(shot.client, [])
        is_preceded = plan.preceded and bool(decisions) and decisions[0]["path"] == "/open/before"
        evidence = Evidence(
            shot=shot,
            by_proxy=_HOPS.findall(shot.sent) if plan.case.by_proxy else None,
            decisions=decisions,
            preceded=is_preceded,
            completions=completions,
            asked=asked.get(shot.client, []),
            wrongs=wrongs.get(shot.client, []),
            secrets=secrets,
        )
        found = breaches(plan.case, evidence)
        if plan.preceded and not is_preceded:
            found.append("what came before was not taken for a request")
        if plan.lie is not None:
            found += believed(plan.lie, evidence)
        battle.breaches[str(plan.case)] += [f"{plan.way}: {breach}" for breach in found]
    battle.elsewhere += _leaks(gateway, trail, secrets)
    return battle


def _trail(gateway: Gateway, recorder: Recorder) -> list[Record]:
    """Return all records in the order in which they were made, once every exchange has its end."""
    wanted = {each.request_id for each in recorder.asked}
    records: list[Record] = []

    def is_whole() -> bool:
        records[:] = gateway.audit()
        return wanted <= {record["request_id"] for record in records if record["kind"] == "completion"}

    with contextlib.suppress(AssertionError):
        eventually(is_whole, within=3.0)
    return sorted(records, key=lambda record: record["seq"])


def _leaks(gateway: Gateway, trail: Sequence[Record], secrets: Sequence[bytes]) -> list[str]:
    """Return what is wrong with the logs, the trail and the files as a whole."""
    found = []
    texts = [secret.decode() for secret in (SECRET, *secrets)]
    for line in gateway.lines:
        try:
            said = json.loads(line)
        except ValueError:
            found.append(f"I7: not a line of the log: {line[:500]}")
            continue
        if said.get("level") in {"error", "critical"} or "Traceback" in line:
            found.append(f"I7: {line[:2000]}")
        if any(text in line for text in texts):
            found.append(f"I8: a secret in the log: {line[:500]}")
    for record in trail:
        said = json.dumps(record)
        if any(text in said for text in texts):
            found.append(f"I8: a secret in the trail: {said}")
    files = [path for path in gateway.data_dir.rglob("*") if path.is_file()]
    return found + [
        f"I8: a secret in {path.name}"
        for path in files
        if any(secret in path.read_bytes() for secret in secrets)
    ]
