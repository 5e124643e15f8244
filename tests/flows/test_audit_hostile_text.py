"""Whatever text a client sends: it is recorded, it is shown without harm, and nothing is held up by it."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.audited import AuditedGateway, Kind, audited, gaps
from support.gateway import eventually
from support.raw import Raw
from support.witness import running_witness

ESC = "\x1b"
TARGETS = [
    *(
        "/open/%00",
        "/open/a%00b",
        "/nowhere/%0d%0aX-Injected:%20yes",
        "/open/%0a%0d",
        "/open/%1b%5b2J%1b%5b31m",
    ),
    *("/open/%ff%fe", "/open/%c3%28", "/open/%ed%a0%80", "/open/%f8%88%80%80%80", "/nowhere/%c2%9b31m"),
    *("/open/%e2%80%ae%e2%80%a8%e2%80%a9%c2%85", "/open/%ef%bf%bf%ef%b7%90", "/open/%f0%9f%92%a3"),
    *(
        '/open/","decision":"allow","x":"',
        "/open/\\u0000",
        "/open/\\",
        "/open/'--;DROP%20TABLE%20audit_chunks",
    ),
    *(
        "/nowhere/=cmd|' /C calc'!A0".replace(" ", "%20"),
        "/nowhere/${jndi:ldap://x}",
        "/nowhere/{{7*7}}%25s%n%x",
    ),
    *("/open/" + "a" * 2000, "/open/" + "%00" * 900, "/open/" + "b" * 7000, "/open/" + "c" * 10_000),
    *(
        "/open/x?" + "q" * 6000,
        "/open/x?" + "a=%00&" * 900,
        "/open/x?%00=%00",
        "/open/x?=&&==&%=%",
        '/open/x?"="',
    ),
    *(
        "*",
        "//",
        "/..",
        "/.",
        "/open/..;/",
        "/open/%2e%2e%2f",
        "/open/#frag",
        "http://x/open",
        "/open/\x7f",
        "/open/é",
    ),
    *("/open/|pipe|equals=|back\\slash", "/open/<script>alert(1)</script>", "/open/]]>", "/open/%"),
]
AGENTS = [
    *(
        '"},{"decision":"allow"',
        "=1+1",
        "+1",
        "-1",
        "@SUM(1)",
        "\t=1",
        "|CEF:0|x|y|",
        "a=b\\|c",
        "${jndi:ldap://x}",
    ),
    *(
        f"{ESC}[2J",
        f"{ESC}]0;title\x07",
        "\xff\xfe\xfd",
        "caf\xe9",
        "\xc3\xa9\xed\xa0\x80",
        "\xc2\x9b31m",
        "\xe2\x80\xae\xe2\x80\xa8",
    ),
    *(
        "\xef\xb7\x90\xef\xbf\xbf",
        "u" * 5000,
        "\xf0\x9f\x92\xa3" * 300,
        "\xf0\x9f\x92\xa3" * 63 + "abc\xf0\x9f",
        "a\0b",
        "a\rb",
        "a\nb",
        "",
    ),
]
HOSTS = [
    "[::1",
    "a b",
    "a,b",
    "x" * 300,
    "\xff",
    "a\0",
    "user@host",
    "host:99999",
    "%00",
    "A\x1b[31m",
    "=1+1",
]
NAMES = [
    "\0",
    "a\0b",
    "\ud800",
    "=cmd|'/C calc'!A0",
    f"{ESC}[31mroot",
    "a\r\nb",
    "\u202eevil",
    "x" * 5000,
    "ﬀ\ufdd0",
    '"},{',
    "|a=b\\",
]


def requests() -> list[bytes]:
    """Return hostile requests as bytes, each for a connection of its own."""
    made = [f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" for target in TARGETS]
    made += [
        f"GET /{where} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: {agent}\r\n\r\n"
        for agent in AGENTS
        for where in ("open/x", "nowhere")
    ]
    made += [f"GET /open/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n" for host in HOSTS]
    made += [
        "\0" * 50 + "\r\n\r\n",
        "GET\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "{}\r\n\r\n",
    ]
    bodies = [json.dumps({"username": name, "password": "a wrong password"}) for name in NAMES]
    made += [
        "POST /gateway/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        for body in bodies
    ]
    return [one.encode("utf-8" if "é" in one else "latin-1") for one in made]


def answered(gateway: AuditedGateway, request: bytes) -> str | None:
    """Send a request and return the id of its answer, None when there was no answer."""
    with Raw(gateway.port, timeout=15) as connection:
        connection.send(request)
        reply = connection.reply()
    if reply is None:
        return None
    request_id = reply.header("x-request-id")
    assert request_id is not None, reply.head
    assert reply.status != 500, request[:200]
    return request_id


def steers(text: str) -> list[str]:
    """Return the lines of a text in which something steers a terminal, or turns the direction of writing."""
    return [line for line in text.splitlines() if any(not char.isprintable() for char in line)]


CALCULATED = re.compile(r"[=+\-@\t\r].*", re.DOTALL)


@pytest.mark.parametrize("kind", [pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"])
def test_hostile_text_is_recorded_shipped_and_shown_without_harm(tmp_path: Path, kind: Kind) -> None:
    outlet = tmp_path / "audit.cef"
    with (
        running_witness() as witness,
        audited(
            tmp_path / "own",
            policies=POLICIES,
            upstreams=UPSTREAMS,
            database=kind,
            environ={
                "TEST_SERVICE": witness.address,
                "GATEWAY_AUDIT_SINKS": f"file:{outlet}?as=cef",
            },
        ) as gateway,
    ):
        ids = [found for request in requests() if (found := answered(gateway, request)) is not None]
        assert len(ids) > 100
        plain = gateway.request("GET", "/nowhere").headers["X-Request-Id"]
        eventually(lambda: outlet.exists() and plain in outlet.read_text(), within=10.0)
        # What goes elsewhere has a line for each record, and nothing else in it.
        assert all(line.startswith("CEF:0|") for line in outlet.read_text().split("\n")[:-1])
        assert gateway.stop() == 0
        # All of it was taken: the log is not needed any more.
        shutil.rmtree(gateway.spool)
        records = gateway.export()
        by_request = {record["request_id"]: record for record in records if record["kind"] == "decision"}
        assert {*ids, plain} <= set(by_request)
        assert gaps(records) == []
        for record in records:
            assert len(record["path"] or "") <= 2048
            assert len(record["user_agent"] or "") <= 256
        gateway.is_whole()
        shown_without_harm(gateway, ids)
        questions_break_nothing(gateway)


def shown_without_harm(gateway: AuditedGateway, ids: list[str]) -> None:
    text = gateway.run("audit", "list", "--limit", "10000").stdout
    assert text.count("\n") > len(ids)
    assert steers(text) == []
    as_json = gateway.run("audit", "list", "--limit", "10000", "--format", "json").stdout
    assert steers(as_json) == []
    count = len(json.loads(as_json))
    exported = {
        form: gateway.run("audit", "export", "--as", form, "kind:decision").stdout
        for form in ("jsonl", "csv", "ocsf", "ecs", "cef")
    }
    # Only line feeds separate records.
    lines = {form: shown.split("\n")[:-1] for form, shown in exported.items() if form != "csv"}
    assert len({len(one) for one in lines.values()}) == 1
    assert len(lines["jsonl"]) < count
    for form in ("jsonl", "ocsf", "ecs"):
        assert all(isinstance(json.loads(line), dict) for line in lines[form])
    for line in lines["cef"]:
        assert line.startswith("CEF:0|")
        # Seven bars that are not escaped: those of the header.
        header = re.match(r"(?:[^|\\]|\\.)*(?:\|(?:[^|\\]|\\.)*){6}\|", line)
        assert header is not None
        assert steers(line) == []
    rows = list(csv.reader(io.StringIO(exported["csv"], newline="")))
    assert len(rows) == len(lines["jsonl"]) + 1
    assert {len(row) for row in rows} == {len(rows[0])}
    calculated = {cell for row in rows[1:] for cell in row if CALCULATED.fullmatch(cell)}
    assert {cell for cell in calculated if not re.fullmatch(r"-?\d+(\.\d+)?", cell)} == set()


def questions_break_nothing(gateway: AuditedGateway) -> None:
    for name in ("=cmd", "\ud7ff", "'; --", "%_*", "x" * 3000, f"{ESC}[31m", "\u202e", '"', "*"):
        done = gateway.run("audit", "list", "--actor", name, "--route", name)
        assert done.returncode in {0, 2}, (name, done.stderr)
        assert "Traceback" not in done.stderr
        assert steers(done.stdout + done.stderr) == []
    for question in (
        "actor:",
        ":",
        "path:",
        "a:b:c",
        "status:>=",
        "status:>=x",
        "-",
        "--",
        '"',
        'actor:"',
        "since:x",
        "since:-1h",
        "()",
        "decision:deny OR 1=1",
    ):
        done = gateway.run("audit", "list", "--", question)
        assert done.returncode in {0, 2}, (question, done.stderr)
        assert "Traceback" not in done.stderr
        assert done.returncode == 0 or done.stderr.count("\n") == 1
