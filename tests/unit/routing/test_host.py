"""The Host field."""

import pytest

from gateway.routing import read_host


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (b"example.com", "example.com"),
        (b"API.Example.COM", "api.example.com"),
        (b"example.com.", "example.com"),
        (b"example.com:8080", "example.com"),
        (b"example.com.:443", "example.com"),
        (b"localhost", "localhost"),
        (b"my_service", "my_service"),
        (b"xn--bcher-kva.example", "xn--bcher-kva.example"),
        (b"192.0.2.1:80", "192.0.2.1"),
        (b"[::1]", "[::1]"),
        (b"[2001:DB8:0:0::1]:8000", "[2001:db8::1]"),
        (b"a" * 253, "a" * 253),
        (b"a:65535", "a"),
    ],
)
def test_a_host_is_read_in_one_form(value: bytes, host: str) -> None:
    assert read_host(value) == host


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b".",
        b"..",
        b".example.com",
        b"example..com",
        b"example.com..",
        b" example.com",
        b"example.com ",
        b"exa mple.com",
        b"a,b",
        b"a, b",
        b"user@example.com",
        b"user:pass@example.com",
        b"example.com/path",
        b"example.com?x",
        b"example.com#x",
        b"example.com:",
        b"example.com:0",
        b"example.com:65536",
        b"example.com:999999",
        b"example.com:80a",
        b"example.com:-1",
        b"example.com:+1",
        b"example.com:80:80",
        b":80",
        b"exa%6dple.com",
        b"b\xc3\xbccher.example",
        b"\xe2\x84\xaaey",
        b"example.com\x00",
        b"example.com\n",
        b"::1",
        b"[::1",
        b"::1]",
        b"[]",
        b"[127.0.0.1]",
        b"[::1%25eth0]",
        b"[::1%eth0]",
        b"[v1.a]",
        b"[::1]x",
        b"[::1]:",
        b"[:::]",
        b"*.example.com",
        b"a" * 254,
        b"a" * 100_000,
        b"127.0.0.1\\@evil",
        "example.com:٨٠".encode(),
    ],
)
def test_what_is_not_one_host_is_refused(value: bytes) -> None:
    assert read_host(value) is None
