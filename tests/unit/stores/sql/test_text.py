"""Text of any characters, kept so that every database takes it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from databases import DATABASES, open_database
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import bindparam, literal, select, text

from gateway.stores.sql import Database
from gateway.stores.sql.text import Text, escaped, unescaped

ANY = st.text(st.characters() | st.sampled_from("\0\ud800\udfff\udc80\ufdd0\ufdd1a0"))
HOSTILE = [
    "\0",
    "a\0b",
    "\ud800",
    "x\udcff",
    "\ufdd0",
    "\ufdd00000",
    "\U0010ffff",
    "",
    "'",
    "\\x00",
    "%",
    "\ufffe",
]


@given(ANY)
def test_what_is_kept_comes_back_and_every_database_takes_it(given: str) -> None:
    kept = escaped(given)
    assert unescaped(kept) == given
    assert "\0" not in kept
    kept.encode()


@given(ANY, ANY)
def test_two_texts_are_never_taken_for_one(one: str, other: str) -> None:
    assert (escaped(one) == escaped(other)) == (one == other)


@given(st.text(st.characters(exclude_characters="\0\ufdd0", exclude_categories=["Cs"])))
def test_ordinary_text_is_kept_as_it_is(given: str) -> None:
    assert escaped(given) == unescaped(given) == given


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(request.param, tmp_path) as opened:
        yield opened


async def test_a_database_gives_back_what_it_was_given(database: Database) -> None:
    async with database.read() as connection:
        for value in HOSTILE:
            assert await connection.scalar(select(literal(value, Text))) == value


async def test_text_is_ordered_by_its_bytes(database: Database) -> None:
    names = ["Zoe", "adam", "Ärger", "_x", "ab", "a-c", "aB", "\U0001f600", "\uffee", "1"]
    settings = text("INSERT INTO audit_writers (writer, acked_seq) VALUES (:name, 0)")
    async with database.write() as connection:
        await connection.execute(
            settings.bindparams(bindparam("name", type_=Text)), [{"name": n} for n in names]
        )
        kept = await connection.scalars(text("SELECT writer FROM audit_writers ORDER BY writer"))
    assert list(kept) == sorted(names)
