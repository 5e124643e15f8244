"""CEF: one line that its readers take apart as it was put together."""

import re

import pytest
from support.records import REQUEST, WRITER, completion, decision, event, refusal

from gateway import __version__
from gateway.formats.cef import CEF


def taken_apart(told: dict[str, object]) -> tuple[list[str], dict[str, str]]:
    """Return header and extensions as a reader of CEF sees them."""
    line = CEF.line(told).decode()
    *head, rest = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    keys = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)=", rest))
    ends = [key.start() for key in keys[1:]] + [len(rest)]
    values = {key[1]: rest[key.end() : end] for key, end in zip(keys, ends, strict=True)}
    return head, {key: re.sub(r"\\(.)", r"\1", value) for key, value in values.items()}


def test_the_header_says_what_happened_and_how_much_it_matters() -> None:
    head, _ = taken_apart(refusal())
    assert head == ["CEF:0", "gateway", "gateway", __version__, "decision.deny", "Request decided", "5"]
    assert taken_apart(decision())[0][4:] == ["decision.allow", "Request decided", "1"]
    assert taken_apart(completion())[0][4:] == ["completion.complete", "Exchange ended", "1"]
    assert taken_apart(event("audit.gap"))[0][4:] == ["audit.gap", "audit.gap", "8"]


def test_the_extensions_are_those_of_the_dictionary() -> None:
    _, found = taken_apart(refusal())
    assert found == {
        "rt": "1795269600123",
        "deviceExternalId": WRITER,
        "externalId": "7",
        "cat": "decision",
        "act": "deny",
        "outcome": "failure",
        "reason": "rate-exceeded",
        "src": "203.0.113.7",
        "suid": "usr_1",
        "suser": "alice",
        "spriv": "customer,support",
        "dhost": "api.example.com",
        "requestMethod": "GET",
        "request": "/orders/7?token=***",
        "requestClientApplication": "curl/8.5",
        "msg": "a limit",
        "cs1": "order",
        "cs1Label": "route",
        "cs2": "order policies.yaml:47",
        "cs2Label": "rule",
        "cs3": "3f2a",
        "cs3Label": "revision",
        "cs4": REQUEST,
        "cs4Label": "requestId",
        "cs5": "orders",
        "cs5Label": "upstream",
        "cs6": "ses_1",
        "cs6Label": "session",
        "cn1": "429",
        "cn1Label": "status",
    }
    _, ended = taken_apart(completion())
    assert (ended["in"], ended["out"], ended["cfp1"], ended["cfp1Label"]) == (
        "0",
        "512",
        "12.345",
        "durationMs",
    )


def test_an_address_of_six_has_a_place_of_its_own_and_a_masked_one_none() -> None:
    _, found = taken_apart(decision(source_ip="2001:db8::1"))
    assert (found["c6a2"], found["c6a2Label"]) == ("2001:db8::1", "Source IPv6 Address")
    assert "src" not in found
    _, found = taken_apart(decision(source_ip="203***"))
    assert "src" not in found
    assert "c6a2" not in found


@pytest.mark.parametrize(
    "value",
    ["a|b", "a=b act=allow", "a\\b", "a\\=b", "a\\", "|", "=", "x suser=root"],
)
def test_no_value_ends_its_field(value: str) -> None:
    _, found = taken_apart(decision(user_agent=value))
    assert found["requestClientApplication"] == value
    assert (found["act"], found["suser"]) == ("allow", "alice")
    head, found = taken_apart(event(value))
    assert len(head) == 7
    assert found["externalId"] == "7"


def test_ends_of_lines_are_escaped_and_long_values_cut() -> None:
    _, found = taken_apart(decision(user_agent="a\r\nCEF:0|x", path="/" + "x" * 5000))
    assert found["requestClientApplication"] == "a\\u000d\\u000aCEF:0|x"
    assert len(found["request"]) == 1023
