import pytest

from gateway.model import is_secure_url


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example.com",
        "https://login.example.com:8443/a?b=c",
        "https://[2001:db8::1]/",
        "HTTPS://login.example.com",
        "http://localhost:9/keys",
        "http://127.0.0.1/",
        "http://127.9.9.9:80/",
        "http://[::1]:8000/keys",
        "http://[::ffff:127.0.0.1]/",
    ],
)
def test_https_is_secure_and_so_is_this_machine(url: str) -> None:
    assert is_secure_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com",
        "http://10.0.0.1/",
        "http://localhost.example.com/",
        "http://127.0.0.1.nip.io/",
        "http://[::ffff:10.0.0.1]/",
        "https://user@login.example.com",
        "https://:secret@login.example.com",
        "https://login.example.com:99999/",
        "https://[::1",
        "https://löwe.example",
        "https://a.example/ b",
        "https://a.example/\n",
        "https:///keys",
        "ftp://localhost",
        "localhost",
        "",
    ],
)
def test_everything_else_is_not(url: str) -> None:
    assert not is_secure_url(url)
