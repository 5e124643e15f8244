"""Whoever owns the database or the disk can change the trail, but not unnoticed: `verify` names the place."""

import json
import random
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from flows_gateway import POLICIES, UPSTREAMS
from sqlalchemy import make_url
from support.audited import FIRST_SQLITE, AuditedGateway, Kind, audited, copied
from support.gateway import eventually
from support.intruder import SEQ_BITS, TABLES, Intruder, Row, Stored, changed
from support.servers import postgresql_url
from support.sql import new_database
from support.told import Clients, questions, wait_for_answers
from support.witness import running_witness

PASSWORD = "a reader's password"
CHECKPOINTS = "checkpoints"
Finding = dict[str, Any]
Copy = Callable[..., AuditedGateway]


class Made:
    """A trail that nobody has touched yet: several processes wrote it, in several chunks each; one of the persons
    in it was erased. Its database is what copies are made of."""

    def __init__(self, gateway: AuditedGateway, earlier: AuditedGateway | None) -> None:
        self.gateway = gateway
        self.earlier = earlier
        """As it was a while ago, on SQLite."""

    def copy(self, directory: Path, stack: ExitStack) -> AuditedGateway:
        """Return a copy that can be done anything to."""
        copy = copied(self.gateway, directory)
        shutil.copy(self.gateway.directory / CHECKPOINTS, copy.directory)
        url = self.gateway.environ.get("GATEWAY_DATABASE_URL")
        if url is not None:
            copy.environ["GATEWAY_DATABASE_URL"] = stack.enter_context(_copied_database(url))
        return copy


def _copied_database(url: str) -> Any:
    return new_database(postgresql_url(), template=make_url(url).database)


@pytest.fixture(scope="module", params=FIRST_SQLITE)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    kind: Kind = request.param
    directory = tmp_path_factory.mktemp("made")
    with (
        running_witness() as witness,
        audited(
            directory,
            policies=POLICIES,
            upstreams=UPSTREAMS,
            database=kind,
            environ={
                "TEST_SERVICE": witness.address,
                "GATEWAY_AUDIT_CHECKPOINTS": f"file:{directory / CHECKPOINTS}",
            },
            started=False,
        ) as gateway,
    ):
        earlier = None
        for turn, name in enumerate(("rita", "gone")):
            gateway.start()
            gateway.create_user(name, PASSWORD, "reader")
            token = gateway.login(name, PASSWORD)["access_token"]
            for part in range(3):
                chunks = _chunks(gateway)
                with Clients(gateway.port, f"t{turn}{part}", questions(token), clients=1) as clients:
                    wait_for_answers(clients, 12)
                # What comes next is another chunk.
                eventually(lambda chunks=chunks: _chunks(gateway) > chunks)
            assert gateway.stop() == 0
            if turn == 0 and kind == "sqlite":
                earlier = copied(gateway, tmp_path_factory.mktemp("earlier"))
        deleted = gateway.run("users", "delete", "gone", "--erase")
        assert deleted.returncode == 0, deleted.stderr
        gateway.start()
        gateway.stop()
        yield Made(gateway, earlier)


def _chunks(gateway: AuditedGateway) -> int:
    return int(Intruder(gateway).ask("SELECT count(*) AS count FROM audit_chunks")[0]["count"])


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Iterator[Copy]:
    """Make copies of the trail; without a name, one that lasts for the test."""
    with ExitStack() as stack:
        count = 0

        def make() -> AuditedGateway:
            nonlocal count
            count += 1
            return made.copy(tmp_path / str(count), stack)

        yield make


def findings(gateway: AuditedGateway, *, elsewhere: bool = False) -> list[Finding]:
    """Return what `verify` finds; `elsewhere`: with the copy of the checkpoints that was sent elsewhere."""
    flags = ["--checkpoints", str(gateway.directory / CHECKPOINTS)] if elsewhere else []
    done = gateway.verify("--format", "json", *flags)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found: list[Finding] = json.loads(done.stdout)["findings"]
    assert bool(found) == (done.returncode == 1), done.stdout
    return found


def names(found: list[Finding], writer: str, first: int, last: int | None = None) -> bool:
    """Say whether a finding is about records of a writer, some of them between two numbers."""
    return any(
        one["writer"] == writer and one["first"] <= (last or first) and one["last"] >= first and one["place"]
        for one in found
    )


Place = tuple[str, int, int]
"""A writer, and the first and the last number of its records that were touched."""


def chunk_rows(intruder: Intruder) -> list[tuple[str, list[Row]]]:
    """Return the chunks of each writer that has several, with the writer's name."""
    stored = sorted(intruder.rows("audit_chunks"), key=lambda row: row["key"])
    # Afterwards: whoever has a chunk is known by then.
    by_number = {row["id"]: row["writer"] for row in intruder.rows("audit_writers")}
    chunks: dict[str, list[Row]] = {}
    for row in stored:
        chunks.setdefault(by_number[row["key"] >> SEQ_BITS], []).append(row)
    return [(writer, rows) for writer, rows in chunks.items() if len(rows) >= 3]


def place_of(writer: str, row: Row) -> Place:
    mask = (1 << SEQ_BITS) - 1
    return writer, row["key"] & mask, row["last_key"] & mask


def flip_text(intruder: Intruder) -> Place:
    """Turn a refusal into a permission, and change nothing else."""
    for writer, rows in chunk_rows(intruder):
        for row in rows:
            stored = Stored.of(row)
            for number, body in enumerate(stored.bodies):
                if b'"decision":"deny"' in body:
                    forged = stored.with_body(
                        number, lambda body: body.replace(b'"decision":"deny"', b'"decision":"okay"')
                    )
                    intruder.set("audit_chunks", row, records=forged.records)
                    return writer, stored.first + number, stored.first + number
    raise AssertionError("nothing was refused")


def flip_and_rechain(intruder: Intruder) -> Place:
    """Change a record and make the whole chain behind it fit, to its end."""
    writer, rows = chunk_rows(intruder)[0]
    stored = Stored.of(rows[1])
    forged = stored.with_body(
        0, lambda body: body.replace(b'"status":', b'"statu5":', 1) if b'"status":' in body else body + b" "
    )
    _rechain(intruder, writer, rows, 1, forged)
    return writer, stored.first, Stored.of(rows[-1]).first + len(Stored.of(rows[-1]).bodies) - 1


def _rechain(intruder: Intruder, writer: str, rows: list[Row], place: int, forged: Stored) -> None:
    for row in rows[place:]:
        if row is not rows[place]:
            forged = Stored(Stored.of(row).first, Stored.of(row).bodies, forged.heads[-1])
        intruder.set("audit_chunks", row, records=forged.records, chain=forged.chain)
    known = next(row for row in intruder.rows("audit_writers") if row["writer"] == writer)
    intruder.set("audit_writers", known, head=forged.heads[-1])


def take_out_a_record(intruder: Intruder) -> Place:
    """Leave one record out, and number those behind it anew."""
    writer, rows = chunk_rows(intruder)[0]
    row = max(rows, key=lambda row: row["last_key"] - row["key"])
    stored = Stored.of(row)
    rest = Stored(stored.first, stored.bodies[:1] + stored.bodies[2:], stored.before)
    intruder.set("audit_chunks", row, records=rest.records, chain=rest.chain, last_key=row["last_key"] - 1)
    return writer, stored.first + 1, stored.first + len(stored.bodies) - 1


def swap_two_records(intruder: Intruder) -> Place:
    writer, rows = chunk_rows(intruder)[0]
    row = max(rows, key=lambda row: row["last_key"] - row["key"])
    stored = Stored.of(row)
    one, other, *rest = stored.bodies
    intruder.set(
        "audit_chunks", row, records=Stored(stored.first, (other, one, *rest), stored.before).records
    )
    return writer, stored.first, stored.first + 1


def swap_two_chunks(intruder: Intruder) -> Place:
    """Exchange what two rows hold, chain and all."""
    writer, rows = chunk_rows(intruder)[0]
    one, other = rows[0], rows[1]
    contents = ("since", "until", "first_request", "last_request", "chain", "records")
    intruder.set("audit_chunks", one, **{name: other[name] for name in contents})
    intruder.set("audit_chunks", other, **{name: one[name] for name in contents})
    return writer, place_of(writer, one)[1], place_of(writer, other)[2]


def delete_the_first_chunk(intruder: Intruder) -> Place:
    writer, rows = chunk_rows(intruder)[0]
    intruder.delete("audit_chunks", rows[0])
    return place_of(writer, rows[0])


def delete_a_chunk_in_the_middle(intruder: Intruder) -> Place:
    writer, rows = chunk_rows(intruder)[0]
    intruder.delete("audit_chunks", rows[1])
    return place_of(writer, rows[1])


def delete_the_last_chunk(intruder: Intruder) -> Place:
    writer, rows = chunk_rows(intruder)[0]
    intruder.delete("audit_chunks", rows[-1])
    return place_of(writer, rows[-1])


def delete_the_last_chunk_and_what_is_known_of_it(intruder: Intruder) -> Place:
    writer, rows = chunk_rows(intruder)[0]
    intruder.delete("audit_chunks", rows[-1])
    before = Stored.of(rows[-2])
    known = next(row for row in intruder.rows("audit_writers") if row["writer"] == writer)
    intruder.set("audit_writers", known, head=before.heads[-1], acked_seq=place_of(writer, rows[-2])[2])
    return place_of(writer, rows[-1])


def delete_a_writer(intruder: Intruder) -> Place:
    """Remove all that one process has written, as if it had never been."""
    writer, rows = chunk_rows(intruder)[-1]
    for row in rows:
        intruder.delete("audit_chunks", row)
        intruder.ask("DELETE FROM audit_terms WHERE chunk = $1", row["key"])
    intruder.ask("DELETE FROM audit_writers WHERE writer = $1", writer)
    return writer, 1, place_of(writer, rows[-1])[2]


def truncate_the_chunks(intruder: Intruder) -> Place:
    writer, rows = chunk_rows(intruder)[0]
    intruder.ask("DELETE FROM audit_chunks")
    return writer, 1, place_of(writer, rows[-1])[2]


def repeat_a_chunk(intruder: Intruder) -> Place:
    """Insert a chunk once more, behind the last one."""
    writer, rows = chunk_rows(intruder)[0]
    count = rows[0]["last_key"] - rows[0]["key"] + 1
    key = rows[-1]["last_key"] + 1
    row = {**rows[0], "key": key, "last_key": key + count - 1, "day": rows[-1]["day"]}
    intruder.insert("audit_chunks", row)
    return place_of(writer, row)


def insert_a_forged_chunk(intruder: Intruder) -> Place:
    """Insert records behind the last one, with a chain that goes on."""
    writer, rows = chunk_rows(intruder)[0]
    last = Stored.of(rows[-1])
    forged = Stored(last.first + len(last.bodies), last.bodies[:1], last.heads[-1])
    key = rows[-1]["last_key"] + 1
    intruder.insert(
        "audit_chunks",
        {**rows[-1], "key": key, "last_key": key, "records": forged.records, "chain": forged.chain},
    )
    return writer, forged.first, forged.first


def renumber_a_chunk(intruder: Intruder) -> Place:
    writer, rows = chunk_rows(intruder)[0]
    intruder.set("audit_chunks", rows[-1], key=rows[-1]["key"] + 100, last_key=rows[-1]["last_key"] + 100)
    return place_of(writer, rows[-1])


def give_a_chunk_to_another_writer(intruder: Intruder) -> Place:
    (writer, rows), (_, others) = chunk_rows(intruder)[:2]
    shift = ((others[0]["key"] >> SEQ_BITS) - (rows[0]["key"] >> SEQ_BITS)) << SEQ_BITS
    intruder.delete("audit_chunks", others[0])
    intruder.set("audit_chunks", rows[0], key=rows[0]["key"] + shift, last_key=rows[0]["last_key"] + shift)
    return place_of(writer, rows[0])


def cut_off_the_end_of_a_blob(intruder: Intruder) -> Place:
    writer, rows = chunk_rows(intruder)[0]
    intruder.set("audit_chunks", rows[1], records=rows[1]["records"][:-5])
    return place_of(writer, rows[1])


def empty_a_chunk(intruder: Intruder) -> Place:
    """Pretend that the records could not be stored."""
    writer, rows = chunk_rows(intruder)[0]
    intruder.set("audit_chunks", rows[1], records=b"")
    return place_of(writer, rows[1])


def forget_the_chain(intruder: Intruder) -> Place:
    """Pretend that a chunk is older than the chain."""
    writer, rows = chunk_rows(intruder)[0]
    stored = Stored.of(rows[1]).with_body(0, lambda body: body + b" ")
    intruder.set("audit_chunks", rows[1], records=stored.records, chain=None)
    return place_of(writer, rows[1])


def forget_every_chain(intruder: Intruder) -> Place:
    writer, rows = chunk_rows(intruder)[0]
    intruder.ask("UPDATE audit_chunks SET chain = NULL")
    intruder.ask("UPDATE audit_writers SET head = NULL")
    return writer, 1, place_of(writer, rows[-1])[2]


RECORDS = [
    *(flip_text, flip_and_rechain, take_out_a_record, swap_two_records, swap_two_chunks),
    *(delete_the_first_chunk, delete_a_chunk_in_the_middle, delete_the_last_chunk),
    *(delete_the_last_chunk_and_what_is_known_of_it, delete_a_writer, truncate_the_chunks),
    *(repeat_a_chunk, insert_a_forged_chunk, renumber_a_chunk, give_a_chunk_to_another_writer),
    *(cut_off_the_end_of_a_blob, empty_a_chunk, forget_the_chain, forget_every_chain),
]


def test_a_trail_that_nobody_touched_is_whole(made: Made, copy: Copy) -> None:
    gateway = copy()
    assert findings(gateway) == []
    assert findings(gateway, elsewhere=True) == []
    done = gateway.verify()
    assert done.returncode == 0
    # It says up to where that is proven: by what was sent elsewhere.
    kept = (made.gateway.directory / CHECKPOINTS).read_text()
    proven = max(map(int, re.findall(r"^number (\d+)$", kept, flags=re.MULTILINE)))
    assert f"up to checkpoint {proven} of" in done.stdout


@pytest.mark.parametrize("tamper", RECORDS, ids=lambda tamper: tamper.__name__)
def test_a_record_that_was_changed_moved_removed_or_inserted_is_named(
    copy: Copy, tamper: Callable[[Intruder], Place]
) -> None:
    gateway = copy()
    writer, first, last = tamper(Intruder(gateway))
    found = findings(gateway)
    assert names(found, writer, first, last), found
    # People are told the same.
    text = gateway.verify()
    assert text.returncode == 1
    assert writer in text.stdout


def test_the_first_record_that_was_changed_is_named_exactly(copy: Copy) -> None:
    gateway = copy()
    writer, number, _ = flip_text(Intruder(gateway))
    assert min(one["first"] for one in findings(gateway) if one["writer"] == writer) == number


NOT_PROVEN = {
    # When somebody was erased is in the record of it.
    ("audit_subjects", "erased_at"),
}
"""Columns that may say something else without anybody reading another trail."""


def columns_of(intruder: Intruder, table: str) -> list[str]:
    return [name for name in intruder.columns(table) if (table, name) not in NOT_PROVEN]


def sample(rows: list[Row]) -> list[Row]:
    """Return a few rows that between them have every column filled."""
    taken: list[Row] = []
    filled: set[str] = set()
    for row in rows[len(rows) // 2 :] + rows[: len(rows) // 2]:
        new = {name for name, value in row.items() if value not in {None, ""}} - filled
        if new:
            taken.append(row)
            filled |= new
    return taken


def tamper_with_each_column(intruder: Intruder, table: str, rows: list[Row]) -> Iterator[str]:
    """Change one value after another, and set it right again."""
    for row in rows:
        for name in columns_of(intruder, table):
            if row[name] is None:
                continue
            value = changed(row[name])
            intruder.set(table, row, **{name: value})
            yield f"{table}.{name}: {row}"
            intruder.set(table, {**row, name: value}, **{name: row[name]})


def undetected(gateway: AuditedGateway, tampering: Iterator[str]) -> list[str]:
    """Return what was done to the trail without `verify` finding anything."""
    return [what for what in tampering if not findings(gateway)]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("table", TABLES)
def test_no_value_of_any_table_can_be_changed_unnoticed(copy: Copy, table: str) -> None:
    gateway = copy()
    intruder = Intruder(gateway)
    rows = sample(intruder.rows(table))
    assert rows
    assert undetected(gateway, tamper_with_each_column(intruder, table, rows)) == []
    assert findings(gateway) == []


def remove_each_row(intruder: Intruder, table: str, rows: list[Row]) -> Iterator[str]:
    for row in rows:
        intruder.delete(table, row)
        yield f"{table}: {row}"
        intruder.insert(table, row)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("table", TABLES)
def test_no_row_of_any_table_can_be_removed_unnoticed(copy: Copy, table: str) -> None:
    gateway = copy()
    intruder = Intruder(gateway)
    rows = intruder.rows(table)
    if table == "audit_checkpoints":
        # The newest ones can be: that is what the second place is for.
        rows = rows[:-1]
    rows = random.Random(5).sample(rows, min(len(rows), 12))
    assert undetected(gateway, remove_each_row(intruder, table, rows)) == []
    assert findings(gateway) == []


def test_values_on_which_readers_rely_cannot_be_changed_unnoticed(copy: Copy) -> None:
    """One of each table; all of them are for the slow tests."""
    gateway = copy()
    intruder = Intruder(gateway)
    of_interest = {
        "audit_writers": "acked_seq",
        "audit_chunks": "until",
        "audit_terms": "term",
        "audit_actors": "id",
        "audit_personal": "sealed",
        "audit_subjects": "sealed_key",
        "audit_checkpoints": "note",
    }
    missed = []
    for table, name in of_interest.items():
        # What is nobody's is of the operator, whom each command adds again.
        row = next(row for row in intruder.rows(table) if row[name] is not None and row.get("subject") != "")
        intruder.set(table, row, **{name: changed(row[name])})
        if not findings(gateway):
            missed.append(table)
        intruder.set(table, {**row, name: changed(row[name])}, **{name: row[name]})
    assert missed == []
    assert findings(gateway) == []


def test_a_person_that_was_erased_in_silence_is_named(copy: Copy) -> None:
    gateway = copy()
    intruder = Intruder(gateway)
    row = next(row for row in intruder.rows("audit_subjects") if row["sealed_key"] is not None)
    intruder.set("audit_subjects", row, sealed_key=None, erased_at=1.0)
    intruder.ask("DELETE FROM audit_personal WHERE subject = $1", row["subject"])
    intruder.ask("DELETE FROM audit_actors WHERE subject = $1", row["subject"])
    done = gateway.verify()
    assert done.returncode == 1
    assert row["subject"] in done.stdout


def test_what_was_removed_with_all_that_is_known_of_it_is_missing_elsewhere(copy: Copy) -> None:
    """Chunks, writers' heads and checkpoints rolled back together: only the copy that was sent away tells."""
    gateway = copy()
    intruder = Intruder(gateway)
    writer, rows = chunk_rows(intruder)[-1]
    intruder.ask("DELETE FROM audit_chunks WHERE key >= $1", rows[0]["key"])
    intruder.ask("DELETE FROM audit_terms WHERE chunk >= $1", rows[0]["key"])
    intruder.ask("DELETE FROM audit_writers WHERE id >= $1", rows[0]["key"] >> SEQ_BITS)
    noted = next(row for row in intruder.rows("audit_checkpoints") if writer in row["note"])
    intruder.ask("DELETE FROM audit_checkpoints WHERE number >= $1", noted["number"])
    found = findings(gateway, elsewhere=True)
    assert names(found, writer, 1, place_of(writer, rows[-1])[2]), found


def test_an_older_state_put_in_place_of_the_newest_is_noticed_elsewhere(made: Made, tmp_path: Path) -> None:
    if made.earlier is None:
        # On PostgreSQL the same is done row by row, above.
        assert "GATEWAY_DATABASE_URL" in made.gateway.environ
        return
    gateway = copied(made.earlier, tmp_path / "earlier")
    shutil.copy(made.gateway.directory / CHECKPOINTS, gateway.directory / CHECKPOINTS)
    assert findings(gateway, elsewhere=True)
    # The settings name the copy, so nobody has to.
    assert findings(gateway)


@pytest.mark.parametrize("what", ["changed", "signed by nobody", "of another gateway"])
def test_a_copy_of_the_checkpoints_that_does_not_fit_is_told(made: Made, copy: Copy, what: str) -> None:
    gateway = copy()
    file = gateway.directory / CHECKPOINTS
    text = (made.gateway.directory / CHECKPOINTS).read_text()
    match what:
        case "changed":
            text = text.replace("writer ", "writer 0", 1)
        case "signed by nobody":
            text = text.replace("— gateway-audit ", "— gateway-audit AAAA", 1)
        case "of another gateway":
            text = text.replace("previous ", "previous A", 3)
        case _:
            raise AssertionError(what)
    file.write_text(text)
    done = gateway.verify("--checkpoints", str(file))
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def refuses_changes(gateway: AuditedGateway) -> None:
    """The database itself does not change or remove what was recorded."""
    intruder = Intruder(gateway)
    for table, column in (("audit_chunks", "until"), ("audit_checkpoints", "note")):
        before = intruder.rows(table)
        statements = [f"UPDATE {table} SET {column} = 'x'", f"DELETE FROM {table}"]
        if "GATEWAY_DATABASE_URL" in gateway.environ:
            statements.append(f"TRUNCATE {table}")
            partitions = intruder.ask(
                "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::text::regclass",
                table,
            )
            statements += [
                f"DELETE FROM {row['name']}" for row in partitions if _holds(intruder, row["name"])
            ]
        for statement in statements:
            with pytest.raises((sqlite3.DatabaseError, asyncpg.PostgresError)):
                intruder.ask(statement, past_triggers=False)
        after = intruder.rows(table)
        assert [row for row in before if row not in after] == []


def _holds(intruder: Intruder, table: str) -> bool:
    return bool(intruder.ask(f"SELECT 1 AS one FROM {table} LIMIT 1"))


@pytest.mark.parametrize("kind", FIRST_SQLITE)
def test_a_trail_that_grows_is_checked_without_false_alarm_and_a_change_is_found(
    tmp_path: Path, kind: Kind
) -> None:
    with (
        running_witness() as witness,
        audited(
            tmp_path,
            policies=POLICIES,
            upstreams=UPSTREAMS,
            database=kind,
            workers=2 if kind == "postgresql" else 1,
            environ={"TEST_SERVICE": witness.address},
        ) as gateway,
    ):
        with Clients(gateway.port, "grows", questions()) as clients:
            for turn in range(3):
                wait_for_answers(clients, 100 + 200 * turn)
                assert findings(gateway) == []
            intruder = Intruder(gateway)
            eventually(lambda: chunk_rows(intruder))
        refuses_changes(gateway)
        writer, number, _ = flip_text(intruder)
        assert names(findings(gateway), writer, number)


class Unshipped:
    """A log that a process left behind, killed while it could not reach its database."""

    def __init__(self, gateway: AuditedGateway) -> None:
        self.gateway = gateway
        segments = [path for path in gateway.spool.rglob("*.segment") if path.stat().st_size > 10_000]
        assert len(segments) == 1
        self.segment = segments[0]
        self.data = self.segment.read_bytes()
        starts = _all(self.data, b'{"time":"')
        assert len(starts) > 30
        self.sure = starts[-2]
        """From here on, damage may be what a torn write leaves."""

    def copy(self, directory: Path, data: bytes) -> AuditedGateway:
        """Return a copy whose log has these bytes."""
        copy = copied(self.gateway, directory)
        (copy.data_dir / self.segment.relative_to(self.gateway.data_dir)).write_bytes(data)
        return copy


def _all(data: bytes, mark: bytes) -> list[int]:
    found, place = [], data.find(mark)
    while place != -1:
        found.append(place)
        place = data.find(mark, place + 1)
    return found


@pytest.fixture(scope="module")
def unshipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unshipped]:
    with (
        running_witness() as witness,
        audited(
            tmp_path_factory.mktemp("unshipped"),
            policies=POLICIES,
            upstreams=UPSTREAMS,
            environ={"TEST_SERVICE": witness.address},
        ) as gateway,
    ):
        gateway.create_user("rita", PASSWORD, "reader")
        token = gateway.login("rita", PASSWORD)["access_token"]
        with closing(
            sqlite3.connect(gateway.data_dir / "gateway.db", isolation_level=None, timeout=20)
        ) as other:
            other.execute("BEGIN EXCLUSIVE")
            with Clients(gateway.port, "u", questions(token), clients=1) as clients:
                wait_for_answers(clients, 60)
            gateway.kill()
            other.execute("ROLLBACK")
        yield Unshipped(gateway)


def named(gateway: AuditedGateway, segment: Path) -> list[Finding]:
    """Return findings that name the file. What else is found is the record after it, in the database, that a
    changed one leads to no more."""
    found = findings(gateway)
    there = [one for one in found if segment.name in one["place"]]
    ends = {one["last"] for one in there}
    own = [one for one in found if one["writer"] == segment.parent.name]
    assert all(one in there or one["first"] - 1 in ends for one in own), found
    return there


def test_a_log_that_nobody_touched_is_whole_and_a_torn_end_is_no_damage(
    unshipped: Unshipped, tmp_path: Path
) -> None:
    assert findings(unshipped.copy(tmp_path / "whole", unshipped.data)) == []
    assert findings(unshipped.copy(tmp_path / "torn", unshipped.data[:-7])) == []


def flips(unshipped: Unshipped, directory: Path, offsets: list[int]) -> list[int]:
    """Return the bytes of a log that can be changed unnoticed."""
    gateway = unshipped.copy(directory, unshipped.data)
    segment = gateway.data_dir / unshipped.segment.relative_to(unshipped.gateway.data_dir)
    missed = []
    for offset in offsets:
        data = bytearray(unshipped.data)
        data[offset] ^= 1 << (offset % 8)
        segment.write_bytes(data)
        if not named(gateway, segment):
            missed.append(offset)
    return missed


def test_a_byte_of_a_log_cannot_be_changed_unnoticed(unshipped: Unshipped, tmp_path: Path) -> None:
    rng = random.Random(5)
    bodies = _all(unshipped.data, b'{"time":"')
    offsets = [
        *(0, 9, 20, 40),  # the header
        *(bodies[0] - 30, bodies[3] - 1, bodies[10] + 40),
        *(rng.randrange(unshipped.sure) for _ in range(5)),
    ]
    assert flips(unshipped, tmp_path / "flips", offsets) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_byte_of_a_log_can_be_changed_unnoticed(unshipped: Unshipped, tmp_path: Path) -> None:
    rng = random.Random(7)
    header_and_first = range(unshipped.data.find(b'{"time":"') + 40)
    offsets = sorted({*header_and_first, *(rng.randrange(unshipped.sure) for _ in range(150))})
    assert flips(unshipped, tmp_path / "flips", offsets) == []


def _frames(unshipped: Unshipped) -> list[int]:
    """Return the ends of records: between an end and the next lies one frame."""
    ends, place = [], 0
    for start in _all(unshipped.data, b'{"time":"'):
        depth, place = 0, start
        while True:
            depth += {b"{": 1, b"}": -1}.get(unshipped.data[place : place + 1], 0)
            place += 1
            if depth == 0:
                break
        ends.append(place)
    return ends


def _edited(unshipped: Unshipped, edit: str) -> bytes:
    data, ends = unshipped.data, _frames(unshipped)
    a, b, c = ends[5], ends[6], ends[7]
    match edit:
        case "a byte taken out":
            return data[: a + 30] + data[a + 31 :]
        case "a byte put in":
            return data[: a + 30] + b"\0" + data[a + 30 :]
        case "a record taken out":
            return data[:a] + data[b:]
        case "a record twice":
            return data[:b] + data[a:b] + data[b:]
        case "two records swapped":
            return data[:a] + data[b:c] + data[a:b] + data[c:]
        case "records set to zero":
            return data[:a] + bytes(c - a) + data[c:]
        case _:
            raise AssertionError(edit)


@pytest.mark.parametrize(
    "edit",
    [
        *("a byte taken out", "a byte put in", "a record taken out", "a record twice", "two records swapped"),
        *("records set to zero",),
    ],
)
def test_a_log_that_was_edited_is_named_with_its_file(
    unshipped: Unshipped, tmp_path: Path, edit: str
) -> None:
    gateway = unshipped.copy(tmp_path / "edited", _edited(unshipped, edit))
    segment = gateway.data_dir / unshipped.segment.relative_to(unshipped.gateway.data_dir)
    found = named(gateway, segment)
    assert found
    # The sixth record is the last one that is as it was written.
    assert min(one["first"] for one in found) in {7, 8}, found
