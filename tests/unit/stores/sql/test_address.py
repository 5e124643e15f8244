"""The URL of a PostgreSQL database."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stores.sql import Database, DatabaseUnusable
from gateway.stores.sql.address import PostgresAddress


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://me:hunter2@db.internal/gateway", "db.internal:5432/gateway"),
        ("postgres://me:hunter2@db.internal:6432/gateway", "db.internal:6432/gateway"),
        ("postgresql://me:hunter2@[2001:db8::1]:5433/gateway", "[2001:db8::1]:5433/gateway"),
        ("postgresql://me:hunter2@one,two:5433/gateway", "one:5432,two:5433/gateway"),
        ("postgresql://me:hunter2@/gateway?host=one,two&port=1,2", "one:1,two:2/gateway"),
        ("postgresql://me:hunter2@/gateway?host=/run/postgresql", "/run/postgresql:5432/gateway"),
        ("postgresql://me@%2Frun%2Fpostgresql/gateway", "/run/postgresql:5432/gateway"),
        ("postgresql:///gateway", "/gateway"),
        ("postgresql://me:p%40ss%2F@db/a%20b?sslmode=verify-full&sslrootcert=/etc/ca.pem", "db:5432/a b"),
        ("postgresql://db?dbname=gateway&user=me&password=hunter2", "db:5432/gateway"),
        ("postgresql://?service=gateway", "service gateway"),
    ],
)
def test_a_database_is_named_by_host_port_and_name(url: str, place: str) -> None:
    address = PostgresAddress.parse(url)
    assert address.place == f"database postgresql {place}"
    assert "hunter2" not in repr(address)
    assert Database.open(url).place == address.place
    assert repr(Database.open(url)) == f"Database({address.place!r})"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgresql://host",
        "postgresql://host/",
        "postgresql://host:port/name",
        "postgresql://hunter2%40host/name",
        "postgresql://host:123456/name",
        "postgresql://[::1/name",
        "postgresql://a:b:c/name",
        "postgresql://,/name",
        "postgresql://one,two/name?port=1,2,3",
        "postgresql://host/name?port=x",
        "postgresql://host/name?sslmode",
        "postgresql://host/name?sslmode=require&sslmode=disable",
        "postgresql://host/name?connect_timeout=3",
        "postgresql://host/name#fragment",
        "postgresql:name",
        "postgres",
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str) -> None:
    with pytest.raises(DatabaseUnusable, match="the database URL"):
        Database.open(url)


@pytest.mark.parametrize("odd", ["@", "/", "?", "#", "[", "]", "/1@", "?a=b&", "#1", "12/", "12?a=b"])
def test_a_password_that_is_not_encoded_is_never_shown(odd: str) -> None:
    with pytest.raises(DatabaseUnusable) as refused:
        PostgresAddress.parse(f"postgresql://me:hunter{odd}swordfish@host/name")
    for secret in ("hunter", "swordfish"):
        assert secret not in str(refused.value)


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with suppress(DatabaseUnusable):
        PostgresAddress.parse(f"postgresql://{text}")
