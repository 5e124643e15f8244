"""Servers that a developer gave to the tests: nothing of theirs is touched."""

import uuid
from collections.abc import Iterator
from typing import Self
from urllib.parse import parse_qsl, urlsplit

import redis
from sqlalchemy.exc import SQLAlchemyError
from support.kept import ServerFailed
from support.sql import sql

CLAIM = "gateway-tests"
"""Key that says that tests use a database."""
CLAIM_SECONDS = 3600
DATABASES = 16

DATABASE_URL = "GATEWAY_TEST_DATABASE_URL"
REDIS_URL = "GATEWAY_TEST_REDIS_URL"


def given_postgres_version(url: str) -> str:
    """Return the version of a PostgreSQL: `PostgreSQL 16.2 (GATEWAY_TEST_DATABASE_URL)`. Raise `ServerFailed`."""
    try:
        number, may_create = sql(
            url,
            "SELECT current_setting('server_version'), rolcreatedb OR rolsuper"
            " FROM pg_roles WHERE rolname = current_user",
        )
    except (OSError, ValueError, SQLAlchemyError) as problem:
        raise ServerFailed(f"{DATABASE_URL} cannot be used: {problem}") from None
    if not may_create:
        raise ServerFailed(f"{DATABASE_URL}: its user may not create databases (ALTER ROLE ... CREATEDB)")
    return f"PostgreSQL {str(number).split()[0]} ({DATABASE_URL})"


class GivenRedis:
    """A database of a Redis server that was empty, and is again in the end.

    Without a number in the URL, the first empty one of sixteen. Raise `ServerFailed` when there is none.
    """

    def __init__(self, url: str) -> None:
        self._token = uuid.uuid4().hex
        try:
            for candidate in _with_numbers(url):
                with self.client(candidate) as client:
                    if self._claim(client):
                        self.url = candidate
                        info = client.info("server")
                        break
            else:
                raise ServerFailed(
                    f"{REDIS_URL}: the database is not empty, and tests empty theirs. Name an empty one "
                    "(redis://host:6379/7), or none to have an empty one looked for"
                )
        except (redis.RedisError, ValueError, OSError) as problem:
            raise ServerFailed(f"{REDIS_URL} cannot be used: {problem}") from None
        kind, number = (
            ("Valkey", info["valkey_version"])
            if "valkey_version" in info
            else ("Redis", info["redis_version"])
        )
        self.version = f"{kind} {number} ({REDIS_URL})"

    @staticmethod
    def client(url: str) -> "redis.Redis":
        """Return a client that waits for moments only."""
        return redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.client(self.url) as client:
            client.flushdb()

    @classmethod
    def empty(cls, url: str) -> None:
        """Remove what tests left in their database, but not the word that it is theirs."""
        with cls.client(url) as client:
            claim = client.get(CLAIM)
            with client.pipeline() as transaction:
                transaction.flushdb()
                if claim is not None:
                    transaction.set(CLAIM, claim, ex=CLAIM_SECONDS)
                transaction.execute()

    def _claim(self, client: "redis.Redis") -> bool:
        if not client.set(CLAIM, self._token, nx=True, ex=CLAIM_SECONDS):
            return False
        if client.dbsize() == 1:
            return True
        client.delete(CLAIM)
        return False


def _with_numbers(url: str) -> Iterator[str]:
    """Give the databases that a URL may mean."""
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError(f"tests need redis://, rediss:// or unix://, not {parts.scheme}://")
    if "db" in dict(parse_qsl(parts.query)) or (parts.scheme != "unix" and parts.path.strip("/")):
        yield url
        return
    for number in range(DATABASES):
        if parts.scheme == "unix":
            yield f"{url}{'&' if parts.query else '?'}db={number}"
        else:
            yield parts._replace(path=f"/{number}").geturl()
