"""Masked and hashed fields: what is shown of them, wherever they occur, and what is never shown."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.audited import AuditedGateway, Record, audited
from support.gateway import eventually
from support.leaks import leaks
from support.raw import Raw
from support.witness import running_witness

AUDIT = """\
audit:
  mask: {fields: [query.token, header.x-customer-id, client.ip], visible: 3}
  hash: [query.account, header.x-tenant, header.user-agent]
"""
DENY = """\
  - {id: evil, routes: [open], when: {header.x-customer-id: {prefix: Evil}}}
"""
ROUTES = """\
  - id: asked
    match: {methods: [GET], path: /asked}
    upstream: echo
    require: authenticated
    when:
      any_of:
        - {header.x-customer-id: {prefix: Customer}}
        - {query.token: {is: "let me in"}, query.account: {is: "4711"}}
        - {header.x-tenant: {present: true}}
        - {header.x-open: {is: "yes"}}
"""
PASSWORD = "a reader's password"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditedGateway]:
    with (
        running_witness() as witness,
        audited(
            tmp_path_factory.mktemp("masking"),
            policies=POLICIES.replace("routes:\n", DENY + AUDIT + "routes:\n", 1) + ROUTES,
            upstreams=UPSTREAMS,
            environ={"TEST_SERVICE": witness.address, "GATEWAY_LOG_LEVEL": "debug"},
        ) as gateway,
    ):
        gateway.create_user("rita", PASSWORD, "reader")
        yield gateway


@pytest.fixture(scope="module")
def bearer(gateway: AuditedGateway) -> str:
    """The field that says that one is rita."""
    return f"Authorization: Bearer {gateway.login('rita', PASSWORD)['access_token']}\r\n"


def asked(gateway: AuditedGateway, target: str, fields: str = "") -> Record:
    """Send a request and return its record."""
    with Raw(gateway.port) as raw:
        raw.send(
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n".encode("latin-1")
        )
        reply = raw.reply()
    assert reply is not None
    request_id = reply.header("x-request-id")
    assert request_id is not None
    found: list[Record] = eventually(lambda: gateway.audit("--request-id", request_id, "--kind", "decision"))
    return found[0]


def hashed(gateway: AuditedGateway, value: str) -> str:
    """Return what stands for a value."""
    done = gateway.run("audit", "hash", stdin=value)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_values_of_a_query_are_hidden_unless_they_are_listed(gateway: AuditedGateway) -> None:
    record = asked(gateway, "/open/x?token=abcdefgh&account=4711&other=secret&flag")
    assert record["path"] == f"/open/x?token=abc***&account={hashed(gateway, '4711')}&other=***&flag"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("token=abc", "token=***"),
        ("token=ab", "token=***"),
        ("token=", "token="),
        ("token", "token"),
        ("token=abcd&token=wxyz", "token=abc***&token=wxy***"),
        # The name is the same, however it is written; the value is never longer than it may be.
        ("%74oken=abcdefgh", "%74oken=abc***"),
        ("token=%61%62%63", "token=***"),
        # Other names are others.
        ("Token=abcdefgh", "Token=***"),
        ("token[]=abcdefgh", "token[]=***"),
        ("xtoken=abcdefgh", "xtoken=***"),
    ],
)
def test_a_masked_value_shows_its_beginning_or_nothing(
    gateway: AuditedGateway, query: str, shown: str
) -> None:
    assert asked(gateway, f"/open/x?{query}")["path"] == f"/open/x?{shown}"


def test_a_hash_is_that_of_the_value_whichever_way_it_was_written(gateway: AuditedGateway) -> None:
    plain, encoded = asked(gateway, "/open/x?account=47-11"), asked(gateway, "/open/x?account=%34%37-11")
    assert plain["path"] == encoded["path"] == f"/open/x?account={hashed(gateway, '47-11')}"
    assert hashed(gateway, "47-11") != hashed(gateway, "47-12")
    digits = hashed(gateway, "47-11").removeprefix("hmac:")
    assert (len(digits), set(digits) <= set("0123456789abcdef")) == (32, True)


def test_address_and_user_agent_are_hidden_when_they_are_listed(gateway: AuditedGateway) -> None:
    record = asked(gateway, "/open/x", "User-Agent: canary-browser\r\n")
    assert record["source_ip"] == "127***"
    assert record["user_agent"] == hashed(gateway, "canary-browser")


@pytest.mark.parametrize(
    "target", ["/open/x?token=abcdefgh", "/nowhere", "/gateway/v1", "/gateway/v1/auth/login"]
)
def test_the_log_shows_no_more_of_a_client_than_the_trail_does(gateway: AuditedGateway, target: str) -> None:
    begun = len(gateway.lines)
    record = asked(gateway, target, "User-Agent: canary-browser\r\n")
    line = eventually(lambda: [each for each in gateway.lines[begun:] if record["request_id"] in each])[0]
    assert json.loads(line)["source_ip"] == record["source_ip"] == "127***"
    assert "canary-browser" not in line


def test_what_a_condition_looked_at_is_recorded_and_hidden_in_the_same_way(
    gateway: AuditedGateway, bearer: str
) -> None:
    record = asked(
        gateway,
        "/asked?token=let+me+in&account=4711",
        f"{bearer}X-Customer-Id: Customer-4711\r\nX-Tenant: acme\r\nX-Open: yes\r\n",
    )
    assert record["decision"] == "allow"
    known = record["attributes"]
    assert known["header.x-customer-id"] == "Cus***"
    assert known["header.x-tenant"] == hashed(gateway, "acme")
    assert known["query.token"].startswith("let")
    assert known["query.token"].endswith("***")
    assert known["query.account"] == hashed(gateway, "4711")
    assert known["header.x-open"] == "yes", "what nobody hides is there for a replay"


def test_what_a_deny_rule_looked_at_is_recorded_of_anonymous_callers_too(gateway: AuditedGateway) -> None:
    record = asked(gateway, "/open/x", "X-Customer-Id: Evil-4711\r\n")
    assert (record["decision"], record["actor"]) == ("deny", None)
    assert record["attributes"]["header.x-customer-id"] == "Evi***"
    assert asked(gateway, "/open/x", "X-Customer-Id: Good-4711\r\n")["decision"] == "allow"


def test_a_decision_on_something_missing_is_recorded_as_broken(gateway: AuditedGateway, bearer: str) -> None:
    record = asked(gateway, "/open/x")
    assert (record["decision"], record["attributes"].get("broken")) == ("deny", True)
    record = asked(gateway, "/asked", f"{bearer}X-Customer-Id: Somebody\r\n")
    assert (record["decision"], record["reason"]) == ("deny", "condition-not-met")
    assert record["attributes"].get("broken") is True


def test_nothing_that_is_hidden_is_anywhere_in_full(gateway: AuditedGateway, bearer: str) -> None:
    canaries = [f"canary{number}-0123456789" for number in range(5)]
    one, two, three, four, five = canaries
    asked(
        gateway,
        f"/asked?token=abc{one}&account={two}",
        f"{bearer}X-Customer-Id: abc{three}\r\nX-Tenant: {four}\r\nUser-Agent: {five}\r\n",
    )
    assert leaks(gateway, canaries) == []


def test_hashes_are_the_same_after_a_restart_and_others_elsewhere(
    gateway: AuditedGateway, tmp_path: Path
) -> None:
    before = hashed(gateway, "4711")
    gateway.stop()
    gateway.start()
    assert asked(gateway, "/open/x?account=4711")["path"].endswith(before)
    with audited(
        tmp_path,
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": "127.0.0.1:1"},
        started=False,
    ) as other:
        assert hashed(other, "4711") != before


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{mask: {fields: [query.token], visible: 3}, hash: [query.token]}", "query.token"),
        ("{mask: {fields: [token], visible: 3}}", "token"),
        ("{mask: {fields: [body.token], visible: 3}}", "body.token"),
        ("{mask: {fields: [query.token], visible: -1}}", "too small"),
        ("{hash: [principal.id]}", "principal.id"),
        ("{hash: query.token}", "write [query.token]"),
        ("{masks: {fields: [query.token]}}", "masks"),
    ],
)
def test_fields_that_cannot_be_hidden_are_findings(
    gateway: AuditedGateway, tmp_path: Path, section: str, said: str
) -> None:
    policies = tmp_path / "policies.yaml"
    policies.write_text(POLICIES.replace("routes:\n", f"audit: {section}\nroutes:\n", 1))
    done = gateway.run("check", "--policies", str(policies), "--format", "json")
    assert done.returncode == 1, done.stdout + done.stderr
    assert said in json.dumps(json.loads(done.stdout))
