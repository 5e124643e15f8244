"""The URL of an outlet, taken apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outlets.address import OutletAddress, OutletFlaw, parse_address


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("stdout:", OutletAddress(scheme="stdout")),
        ("stdout:?as=ecs", OutletAddress(scheme="stdout", options={"as": "ecs"})),
        ("file:/var/log/a.jsonl", OutletAddress(scheme="file", path="/var/log/a.jsonl")),
        ("file:///var/log/a.jsonl", OutletAddress(scheme="file", path="/var/log/a.jsonl")),
        ("file:/a%20b%3Fc%25d", OutletAddress(scheme="file", path="/a b?c%d")),
        ("syslog://siem:514", OutletAddress(scheme="syslog", host="siem", port=514)),
        ("syslog+tls://siem", OutletAddress(scheme="syslog+tls", host="siem", port=6514)),
        (
            "syslog+tls://[2001:db8::1]:7000?ca=/etc/ca%26.pem&as=cef",
            OutletAddress(
                scheme="syslog+tls",
                host="2001:db8::1",
                port=7000,
                options={"ca": "/etc/ca&.pem", "as": "cef"},
            ),
        ),
        ("https://siem.example", OutletAddress(scheme="https", host="siem.example", path="/")),
        (
            "https://siem.example:8443/a%2Fb?token=file:/run/t+1&query=a%3Db%26c",
            OutletAddress(
                scheme="https",
                host="siem.example",
                port=8443,
                path="/a%2Fb",
                options={"token": "file:/run/t+1", "query": "a=b&c"},
            ),
        ),
    ],
)
def test_what_a_url_says(url: str, meant: OutletAddress) -> None:
    assert parse_address(url) == meant


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("stdout", "begins with no kind of outlet; did you mean stdout:?"),
        ("files:/x", "did you mean file:?"),
        ("kafka://x", "write stdout:, file:/PATH"),
        ("stdout:/x", "has no host and no path; write stdout:"),
        ("stdout://x", "has no host and no path"),
        ("file:relative", "no absolute path of a file; write file:/var/log"),
        ("file://host/x", "no absolute path of a file"),
        ("file:/folder/", "no absolute path of a file"),
        ("syslog://", "names no server"),
        ("syslog://siem", "has no port; write syslog://HOST:514"),
        ("syslog://siem:514/x", "names no server"),
        ("syslog://siem:514?ca=/x", "has an option that is none of as"),
        ("https:/x", "names no server; write https://HOST/PATH"),
        ("https://siem:99999/", "cannot be read"),
        ("https://[::1/", "cannot be read"),
        ("https://siem/x#y", "no fragment"),
        ("https://siem/x#", "no fragment"),
        ("https://siem/x?tokn=file:/x", "there is no option 'tokn'; did you mean 'token'?"),
        ("https://siem/x?channel=1", "what the receiver itself wants goes into query=, percent-encoded"),
        ("https://siem/x?as", "as has no value"),
        ("https://siem/x?as=", "as has no value"),
        ("https://siem/x?as=ecs&as=cef", "as is given twice"),
        ("https://siem/x?as=ecs&", "has an option that is none of"),
        ("https://siem/ü", "characters that no URL has"),
        ("https://siem/a\tb", "characters that no URL has"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write(url: str, said: str) -> None:
    with pytest.raises(OutletFlaw) as flaw:
        parse_address(url)
    assert said in str(flaw.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:s3cret-canary@siem/x",
        "https://s3cret-canary@siem/x",
        "https://siem/x?s3cret-canary",
        "https://siem/x?key2=s3cret-canary",
        "https://siem/x?as=ecs#s3cret-canary",
        "s3cret-canary",
        "s3cret-canary://x",
        "htps://me:s3cret-canary@siem/x",
        "syslog://s3cret-canary@siem:514",
    ],
)
def test_no_message_repeats_what_may_be_a_secret(url: str) -> None:
    with pytest.raises(OutletFlaw) as flaw:
        parse_address(url)
    assert "s3cret-canary" not in str(flaw.value)


@pytest.mark.parametrize("token", ["s3cret-canary", "file:relative-s3cret-canary", "/s3cret-canary"])
def test_a_token_stands_in_a_file_and_never_in_the_url(token: str) -> None:
    address = parse_address(f"https://siem/x?token={token}")
    assert "canary" not in repr(address)
    with pytest.raises(OutletFlaw, match="write token=file:/run/secrets/token") as flaw:
        address.secret_file("token")
    assert "s3cret-canary" not in str(flaw.value)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.9", True),
        ("[::1]", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
    ],
)
def test_whether_what_is_sent_stays_on_the_machine(host: str, here: bool) -> None:
    assert parse_address(f"http://{host}/").is_on_this_machine is here


@given(st.text())
def test_any_text_is_an_address_or_a_flaw(text: str) -> None:
    for url in (text, f"https://siem/{text}", f"file:/{text}", f"syslog://{text}"):
        try:
            parse_address(url)
        except OutletFlaw as flaw:
            assert str(flaw)  # noqa: PT017 - most texts are flaws
