"""Rows that spreadsheets read, and never run."""

import csv
import io

import pytest
from support.records import completion, decision, record

from gateway.formats.table import CSV


def row_of(record: dict[str, object]) -> dict[str, str]:
    names = CSV.header().decode().split(",")
    (row,) = csv.reader(io.StringIO(CSV.line(record).decode()))
    return dict(zip(names, row, strict=True))


def test_a_row_has_every_field_the_actor_in_three_columns() -> None:
    row = row_of(decision())
    assert (row["actor_id"], row["actor_kind"], row["actor_name"]) == ("usr_1", "user", "alice")
    assert row["roles"] == "customer support"
    assert row["path"] == "/orders/7?token=***"
    assert row["status"] == ""
    assert row["attributes"] == ""
    assert row_of(completion())["duration_ms"] == "12.345"


def test_attributes_are_one_cell_of_json() -> None:
    shown = row_of(record(attributes={"diagnosis": 'a "limit"', "broken": True}))
    assert shown["attributes"] == '{"diagnosis":"a \\"limit\\"","broken":true}'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1d1", "'\uff1d1"),
        ("  =1+1", "'  =1+1"),
        ("'quoted'", "''quoted'"),
        ("\t=1", "\\u0009=1"),
        ("a=1", "a=1"),
        ('x",=1', 'x",=1'),
        ("a;=1", "a;=1"),
        (" both ", " both "),
    ],
)
def test_a_value_is_never_a_formula_and_can_be_told(value: str, shown: str) -> None:
    assert row_of(record(user_agent=value))["user_agent"] == shown


def test_cells_with_separators_are_quoted() -> None:
    line = CSV.line(record(path='/a,b;"c"')).decode()
    assert '"/a,b;""c"""' in line
