"""`gateway audit verify`: whether the trail is what was written, and up to where that is proved."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from gateway.assembly import StoreAway, Stores, at_the_command_line
from gateway.audit import Copy, Finding, Unproven, Verdict, Verifier
from gateway.cli.audit import warn
from gateway.cli.listing import Row, print_row, print_rows
from gateway.cli.progress import Progress
from gateway.cli.refusals import FAILED, USAGE, complain, run_command
from gateway.crypto import NoteKey
from gateway.formats import json_line, legible
from gateway.operations import operator_at_the_command_line, verify_trail
from gateway.outlets import checkpoint_files_from
from gateway.ports import StoreUnavailable
from gateway.settings import Settings


class _Unreadable(Exception):
    """A file that was named cannot be used."""


def verify(
    settings: Settings,
    *,
    checkpoints: str | None = None,
    key: str | None = None,
    show_key: bool = False,
    output: str = "text",
) -> int:
    """Check the trail and print what was found; return the exit code: 0 for a whole trail, 1 for findings, 2
    when it cannot be read. Raise `StartRefused`.

    `checkpoints` names a file with the checkpoints as they were kept elsewhere; when it is None, those are
    taken that `GATEWAY_AUDIT_CHECKPOINTS` has them written to, as far as they exist. `key` names one with the
    keys that they may be signed with, one a line and the oldest first, when those are not the keys of this
    installation.
    """
    try:
        return run_command(_show_key(settings) if show_key else _verify(settings, checkpoints, key, output))
    except StoreAway as away:
        complain(str(away))
        return USAGE


async def _show_key(settings: Settings) -> int:
    async with at_the_command_line(settings) as stores:
        print("\n".join(map(str, stores.audit.signers.keys)))
    return 0


async def _verify(settings: Settings, checkpoints: str | None, key: str | None, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        with ExitStack() as stack:
            try:
                keys = stores.audit.signers.keys if key is None else _keys(Path(key))
                copies = _copies(settings, checkpoints, stack)
                progress = stack.enter_context(Progress("records checked", silent=True))
                verdict = await _checked(stores, keys, copies, progress)
            except (_Unreadable, StoreUnavailable, OSError) as error:
                complain(f"the trail could not be checked: {error}")
                return USAGE
    if output == "json":
        print(json_line(_object(verdict)).decode())
    else:
        _print(verdict)
    if verdict.found:
        return FAILED
    if checkpoints is not None and verdict.reach is None:
        complain(f"--checkpoints: {checkpoints}: no checkpoint in it can be trusted, so nothing is proved")
        return USAGE
    return 0


async def _checked(
    stores: Stores, keys: Sequence[NoteKey], copies: list[Copy], progress: Progress
) -> Verdict:
    def show(done: int, whole: int) -> None:
        progress.whole = whole
        progress.add(done - progress.count)

    audit = stores.audit
    verdict, unrecorded = await verify_trail(
        Verifier(audit.evidence, audit.logs, audit.checkpoints, keys, progress=show),
        audit.events,
        copies=copies,
        operator=operator_at_the_command_line(),
    )
    warn(unrecorded)
    return verdict


def _copies(settings: Settings, checkpoints: str | None, stack: ExitStack) -> list[Copy]:
    """Open the files with checkpoints; those of the settings need not be there yet."""
    if checkpoints is not None:
        named = [(f"--checkpoints: {checkpoints}", Path(checkpoints))]
    else:
        named = []
        for path in checkpoint_files_from(settings.audit_checkpoints):
            name = f"GATEWAY_AUDIT_CHECKPOINTS: {path}"
            if path.exists():
                named.append((name, path))
            else:
                complain(f"{name}: there is no such file, so the trail is not compared with it")
    copies = []
    for name, path in named:
        try:
            # Whatever else is in the file, only what is signed counts.
            file = stack.enter_context(path.open(encoding="utf-8", errors="surrogateescape"))
        except OSError as error:
            raise _Unreadable(f"{name}: {error.strerror}") from None
        copies.append(Copy(str(path), file))
    return copies


def _keys(path: Path) -> list[NoteKey]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        keys = [NoteKey.parse(line.strip()) for line in lines if line.strip()]
    except OSError as error:
        raise _Unreadable(f"--key: {path}: {error.strerror}") from None
    except ValueError as error:
        raise _Unreadable(f"--key: {path}: {error}; `gateway audit verify --show-key` prints them") from None
    if not keys:
        raise _Unreadable(f"--key: {path}: there is no key; `gateway audit verify --show-key` prints them")
    return keys


def _object(verdict: Verdict) -> dict[str, object]:
    reach = verdict.reach
    return {
        "whole": not verdict.found,
        "records": verdict.records,
        "writers": verdict.writers,
        "checkpoints": verdict.checkpoints,
        "proved": reach and {"checkpoint": reach.number, "time": reach.time, "place": reach.place},
        "unproven": verdict.unproven,
        "unproven_stretches": [
            {
                "writer": one.stretch.writer,
                "first": one.stretch.first,
                "last": one.stretch.last,
                "records": one.stretch.records,
                "since": one.stretch.since or None,
                "until": one.stretch.until or None,
                "why": one.why,
            }
            for one in verdict.doubts
        ],
        "unproven_stretches_found": verdict.doubted,
        "unchained": verdict.unchained,
        "withheld": verdict.withheld,
        "found": verdict.found,
        "findings": [
            {
                "writer": finding.writer,
                "first": finding.first,
                "last": finding.last,
                "problem": finding.problem,
                "place": finding.place,
            }
            for finding in verdict.findings
        ],
    }


def _print(verdict: Verdict) -> None:
    print_row(dict(_summary(verdict)), output="text")
    if verdict.findings:
        print()
        print_rows([_row(finding) for finding in verdict.findings], output="text", empty="")
    _say_how_many_more(verdict.found, len(verdict.findings))
    if verdict.doubts:
        print()
        print_rows([_unproven_row(one) for one in verdict.doubts], output="text", empty="")
    _say_how_many_more(verdict.doubted, len(verdict.doubts))


def _say_how_many_more(count: int, shown: int) -> None:
    if count > shown:
        print(f"and {count - shown:,} more")


def _summary(verdict: Verdict) -> Iterator[tuple[str, str]]:
    reach = verdict.reach
    yield "trail", "NOT WHOLE" if verdict.found else "whole"
    yield "records", f"{verdict.records:,} of {verdict.writers:,} writers"
    yield "checkpoints", f"{verdict.checkpoints:,}"
    if reach is None:
        yield (
            "proved",
            f"nothing: there is no checkpoint{' that can be trusted' if verdict.checkpoints else ''}",
        )
    else:
        yield "proved", f"up to checkpoint {reach.number:,} of {reach.time}, kept in {legible(reach.place)}"
    yield "unproven", f"{verdict.unproven:,} records{_why(verdict)}"
    if verdict.withheld:
        yield "put aside", f"{verdict.withheld:,} records that the database did not take, in spool/quarantine"
    yield "findings", f"{verdict.found:,}"


def _why(verdict: Verdict) -> str:
    if not verdict.unchained:
        return ""
    return f", {verdict.unchained:,} of them from before there was a chain"


def _unproven_row(unproven: Unproven) -> Row:
    stretch = unproven.stretch
    return {
        "unproven": legible(stretch.writer),
        "records": _numbers(stretch.first, stretch.last),
        "since": legible(stretch.since),
        "until": legible(stretch.until),
        "why": unproven.why,
    }


def _numbers(first: int | None, last: int | None) -> str | None:
    if first is None:
        return None
    return str(first) if first == last else f"{first} to {last}"


def _row(finding: Finding) -> Row:
    return {
        "writer": finding.writer and legible(finding.writer),
        "records": _numbers(finding.first, finding.last),
        "problem": legible(finding.problem),
        "place": legible(finding.place),
    }
