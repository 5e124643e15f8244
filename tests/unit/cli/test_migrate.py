"""`gateway migrate`: the schema, and what another role may do in it."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from support.servers import postgresql_url
from support.sql import new_database, sql

from gateway.cli.migrate import migrate
from gateway.settings import Settings


@pytest.fixture
def role() -> Iterator[str]:
    name = f"gateway_{uuid4().hex}"
    sql(postgresql_url(), f"CREATE ROLE {name}")
    yield name
    sql(postgresql_url(), f"DROP ROLE {name}")


def test_the_schema_is_made_where_the_settings_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path})
    for _ in range(2):
        assert migrate(settings) == 0
        assert capsys.readouterr().out == f"the schema of database {tmp_path}/gateway.db is up to date\n"


def test_a_role_is_given_what_a_gateway_needs(
    tmp_path: Path, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with new_database(postgresql_url()) as url:
        settings = Settings.model_validate({"data_dir": tmp_path, "database_url": url})
        assert migrate(settings, grant=role) == 0
        assert f"role {role} may do in it what a gateway does" in capsys.readouterr().out
        may = "SELECT has_table_privilege('{}', 'audit_chunks', '{}')"
        assert [
            sql(url, may.format(role, right))[0] for right in ("INSERT", "SELECT", "UPDATE", "DELETE")
        ] == [
            True,
            True,
            False,
            False,
        ]
        assert migrate(settings, grant="nobody") == 1
        assert "there is no role nobody: make it with CREATE ROLE" in capsys.readouterr().err
        sql(url, f"DROP OWNED BY {role}")


def test_a_database_without_roles_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path})
    assert migrate(settings, grant="gateway") == 1
    assert "there is no role gateway, for SQLite has none" in capsys.readouterr().err
