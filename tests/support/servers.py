"""Real servers for tests: one PostgreSQL and one Redis for all, and servers of a test's own.

`postgresql_url()` and `redis_url()` start a server on first use; it ends with the tests, however they end.
`PostgresServer` and `RedisServer` are servers that a test may stop, stall and start again.
"""

import os
from functools import cache

from support.given_servers import GivenRedis, given_postgres_version
from support.installs import reachable_programs
from support.kept import ServerFailed, whole_run
from support.own_server import free_port
from support.postgres_server import PostgresServer, cluster
from support.redis_server import RedisServer

__all__ = [
    "PostgresServer",
    "RedisServer",
    "ServerFailed",
    "empty_redis_url",
    "end_servers",
    "free_port",
    "postgresql_url",
    "redis_url",
    "versions",
]

_used: dict[str, str] = {}


@cache
def postgresql_url() -> str:
    """Return the URL of a running PostgreSQL, of a user who may create databases; its own is `postgres`.

    From GATEWAY_TEST_DATABASE_URL when set; then nothing is started. Tests give their databases unique names and
    drop them. Raise `ServerFailed`.
    """
    if given := os.environ.get("GATEWAY_TEST_DATABASE_URL"):
        _used["postgresql"] = given_postgres_version(given)
        return given
    server = whole_run.enter_context(PostgresServer())
    _used["postgresql"] = server.version
    return server.url


@cache
def redis_url() -> str:
    """Return the URL of a running Redis, with a database that is the tests' alone.

    From GATEWAY_TEST_REDIS_URL when set; then nothing is started, and a database that holds anything is refused.
    Raise `ServerFailed`.
    """
    if given := os.environ.get("GATEWAY_TEST_REDIS_URL"):
        redis = whole_run.enter_context(GivenRedis(given))
        _used["redis"] = redis.version
        return redis.url
    server = whole_run.enter_context(RedisServer())
    _used["redis"] = server.version
    return server.url


def empty_redis_url() -> str:
    """Return `redis_url()` with nothing left of the tests before."""
    url = redis_url()
    GivenRedis.empty(url)
    return url


def versions() -> list[str]:
    """Return the servers that tests used so far: `PostgreSQL 18.1 (wheel)`."""
    return [_used[kind] for kind in sorted(_used)]


def end_servers() -> None:
    """End the servers that tests shared, and wait for it."""
    whole_run.close()
    for what in (postgresql_url, redis_url, cluster, reachable_programs):
        what.cache_clear()
