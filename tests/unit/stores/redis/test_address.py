import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from gateway.stores.redis import RedisAddress, RedisUnusable


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", RedisAddress(host="localhost")),
        ("redis://localhost/", RedisAddress(host="localhost")),
        ("REDIS://10.0.0.1:6380/3", RedisAddress(host="10.0.0.1", port=6380, db=3)),
        ("redis://[::1]:6380", RedisAddress(host="::1", port=6380)),
        ("redis://h?db=2", RedisAddress(host="h", db=2)),
        ("redis://h/2?db=2", RedisAddress(host="h", db=2)),
        ("redis://:p@h", RedisAddress(host="h", password="p")),
        ("redis://user:@h", RedisAddress(host="h", username="user", password="")),
        (
            "redis://us%40er:p%2F%3F%23%40%3A%25@h",
            RedisAddress(host="h", username="us@er", password="p/?#@:%"),
        ),
        ("unix:///run/r.sock", RedisAddress(path="/run/r.sock")),
        (
            "unix://u:p@/run/a%20b.sock?db=1",
            RedisAddress(path="/run/a b.sock", db=1, username="u", password="p"),
        ),
    ],
)
def test_a_url_names_a_server(url: str, expected: RedisAddress) -> None:
    assert RedisAddress.parse(url) == expected


def test_tls_verifies_the_server_unless_told_otherwise() -> None:
    tls = RedisAddress.parse("rediss://h").tls
    assert tls is not None
    context = tls.context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname

    url = "rediss://h?ssl_check_hostname=false&ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem"
    tls = RedisAddress.parse(url).tls
    assert tls is not None
    assert (tls.ca_certs, tls.certfile, tls.keyfile, tls.check_hostname) == (
        "/ca.pem",
        "/c.pem",
        "/k.pem",
        False,
    )


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("", "not a URL"),
        ("localhost:6379", "not a URL"),
        ("memory://", "cannot begin with memory://"),
        ("http://secret@h", "write redis://HOST, rediss://HOST"),
        ("redis+sentinel://:secret@h/mymaster", "Redis Sentinel is not supported yet"),
        ("redis+cluster://:secret@h", "Redis Cluster is not supported yet"),
        ("redis://", "names no host"),
        ("redis://:secret@/1", "names no host"),
        ("redis://secret@h", "write USER:PASSWORD@"),
        ("redis://:sec#ret@h", "%23"),
        ("redis://:secret#@h", "%23"),
        ("redis://:sec/ret@h", "%2F"),
        ("redis://:sec?ret@h", "%3F"),
        ("redis://:sec ret@h", "%20"),
        ("redis://:sec%zzret@h", "%25"),
        ("redis://:secret\n@h", "percent-encoded"),
        ("redis://:secret%ff@h", "password is not UTF-8"),
        ("redis://:secret%00@h", "password holds a NUL"),
        ("redis://h:0", "port is not a number"),
        ("redis://h:65536", "port is not a number"),
        ("redis://h:secret", "port is not a number"),
        ("redis://[::1", "[::1]"),
        ("redis://[secret]", "[::1]"),
        ("redis://h/one", "database is not a number"),
        ("redis://h/-1", "database is not a number"),
        ("redis://h/1/2", "database is not a number"),
        ("redis://h/\u0661", "database is not a number"),
        ("redis://h/99999999999999999999", "database is not a number"),
        ("redis://h/1?db=2", "two databases"),
        ("redis://h?db=1&db=1", "one value for 'db'"),
        ("redis://h?db=", "one value for 'db'"),
        ("redis://h?db", "?NAME=VALUE"),
        ("redis://h?timeout=5", "known: db"),
        ("redis://h?ssl_ca_certs=/ca.pem", "'ssl_ca_certs'; it belongs to rediss://"),
        ("rediss://h?ssl_cert_reqs=none", "known: db, ssl_ca_certs"),
        ("rediss://h?ssl_keyfile=/k.pem", "needs ssl_certfile"),
        ("rediss://h?ssl_check_hostname=perhaps", "is true or false"),
        ("unix://", "full path"),
        ("unix:///", "full path"),
        ("unix://run/redis.sock", "full path"),
    ],
)
def test_a_url_that_names_none_gets_advice_and_is_not_repeated(url: str, advice: str) -> None:
    with pytest.raises(RedisUnusable) as caught:
        RedisAddress.parse(url)
    assert advice in str(caught.value)
    assert "secret" not in str(caught.value)


@given(
    st.one_of(
        st.text(max_size=40),
        st.text(max_size=40).map("redis://".__add__),
        st.text("@:/?#[]%&= .0a", max_size=20).map("rediss://".__add__),
        st.text("@:/?#[]%&= .0a", max_size=20).map("unix://".__add__),
    )
)
def test_any_text_is_an_address_or_is_refused(url: str) -> None:
    try:
        address = RedisAddress.parse(url)
    except RedisUnusable:
        return
    assert address.path or address.host
    # What it says of itself names the same server.
    again = RedisAddress.parse(str(address).replace("%", "%25").replace(" ", "%20"))
    assert (again.port, again.db) == (address.port, address.db)


def test_the_password_is_shown_nowhere() -> None:
    address = RedisAddress.parse("rediss://alice:hunter2@h:1/2")
    assert repr(address) == "RedisAddress('rediss://h:1/2')"
    assert "hunter2" not in f"{address} {address!r} {address.client()!r}"
    assert str(RedisAddress.parse("redis://:p@[::1]:1")) == "redis://[::1]:1/0"


@pytest.mark.parametrize("parameter", ["ssl_ca_certs", "ssl_certfile"])
def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path, parameter: str) -> None:
    file = tmp_path / "x.pem"
    address = RedisAddress.parse(f"rediss://h?{parameter}={file}")
    assert address.tls is not None
    with pytest.raises(RedisUnusable, match=f"{parameter}.*x.pem: No such file"):
        address.tls.context()
    file.write_text("no certificate")
    with pytest.raises(RedisUnusable, match=f"{parameter}.*x.pem: holds no usable PEM"):
        address.tls.context()


def made(client: Redis) -> Any:
    """Return a connection as the client would open it."""
    pool: Any = client.connection_pool
    return pool.make_connection()


def test_the_client_of_redis_py_gets_all_of_it_and_never_retries() -> None:
    address = RedisAddress.parse("rediss://alice:p@h:1/2?ssl_ca_certs=/ca.pem&ssl_check_hostname=no")
    client = address.client(socket_timeout=7, max_connections=3)
    connection = made(client)
    assert (connection.host, connection.port, connection.db) == ("h", 1, 2)
    assert (connection.username, connection.password, connection.socket_timeout) == ("alice", "p", 7)
    assert (connection.ca_certs, connection.check_hostname) == ("/ca.pem", False)
    assert connection.retry.get_retries() == 0
    assert client.connection_pool.max_connections == 3

    connection = made(RedisAddress.parse("unix:///s?db=1").client())
    assert (connection.path, connection.db) == ("/s", 1)
