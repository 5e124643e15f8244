"""All findings at once, each only once, none that is only the shadow of another."""

from collections.abc import Callable

import pytest

from gateway.config import Loaded

Load = Callable[..., Loaded]


def _found(loaded: Loaded) -> list[str]:
    return [f"{each.line}:{each.column} {each.code}" for each in loaded.findings if each.code[0] == "E"]


def test_many_mistakes_are_found_in_one_go(load: Load, policies: str, upstreams: str) -> None:
    broken = (
        policies.replace("[198.51.100.0/24]", "[198.51.100.0/99]")
        .replace("default_roles: [customer]", "default_roles: [custmer]")
        .replace("authn: [gateway, keys]", "authn: [gateway, kyes]")
        .replace("in_network: blocked", "in_network: blokced")
        .replace("GET: [orders:read]", "GET: [orders:raed]")
        .replace("upstream: reports, require: auth", "upsteam: reports, require: auth")
    )
    loaded = load(broken, upstreams.replace("500ms", "500").replace("weight: 2", "wieght: 2"))
    assert _found(loaded) == [
        "4:13 E109",
        "22:19 E104",
        "24:20 E116",
        "27:50 E106",
        "36:21 E103",
        "45:63 E101",
        "8:46 E101",
        "10:26 E109",
    ]


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        # A name whose entry is broken is declared all the same.
        ("office: [203.0.113.0/24,", "office: [203.0.113.0/2x,", ["E109"]),
        ("days: mon-fri", "days: mo-fr", ["E109"]),
        ("{days: mon-fri,", "{", ["E102"]),
        ("orders:read: List and view orders", "orders:read: 7", ["E100"]),
        ("customer:\n    scopes: [orders:read]", "customer:\n    scopes: orders:read", ["E100"]),
        ("keys: {kind: api_key, header: X-API-Key}", "keys: {kind: api_kye}", ["E109"]),
        ("keys: {kind: api_key, header: X-API-Key}", "keys: {header: X-API-Key}", ["E102"]),
        ("keys: {kind: api_key, header: X-API-Key}", "keys: api_key", ["E100"]),
        ("keys: {kind: api_key, header: X-API-Key}", "keys: {kind: gateway_jwt}", ["E118"]),
        ("header: X-API-Key", "header: Authorization", ["E109"]),
        # A whole section that is misspelt knows every name.
        ("networks:\n", "netwroks:\n", ["E101"]),
        ("schedules:\n", "schedule:\n", ["E101"]),
        ("scopes:\n  orders", "scope:\n  orders", ["E101"]),
        ("roles:\n  customer", "rules:\n  customer", ["E101"]),
        ("authenticators:\n", "authenticator:\n", ["E101"]),
        ("defaults:\n", "default:\n", ["E101"]),
        ("routes:\n  - {id: health", "route:\n  - {id: health", ["E101"]),
        # A value that is there and wrong is not also missing.
        ("upstream: orders\n    require: {GET", "upstream: [orders]\n    require: {GET", ["E100"]),
        ("upstream: orders\n    require: {GET", "upsream: orders\n    require: {GET", ["E101"]),
        ("require: [orders:write]", "require: orders:write", ["E109"]),
        ("require: [orders:write]", "require: []", ["E113"]),
        ("require: [orders:write]", "require: ~", ["E100"]),
        ("require: [orders:write]", "requires: [orders:write]", ["E101"]),
        ("because: Probe", "becuase: Probe", ["E101"]),
        ("because: Probe", "because: ''", ["E109"]),
        ("authn: public,", "authn: publik,", ["E109"]),
        ("methods: [GET, POST]", "methods: [get, POST]", ["E109"]),
        ("methods: [GET, POST]", "methods: []", ["E113"]),
        ("id: change", "id: 7", ["E100"]),
        ("path: /healthz", "path: 7", ["E100"]),
        ("path: /healthz", "pfad: /healthz", ["E102", "E101"]),
        ("limit: 5/15min", "limit: often", ["E109"]),
        ("rate: 10/s, burst: 3", "rate: 10/s, burst: many", ["E100"]),
        ("rate: 10/s, burst: 3", "rate: 10/s, burst: 0", ["E109"]),
        ("id: slow}", "id: 'defaults:0'}", ["E118"]),
        ("{in_network: office}", "{in_network: }", ["E100"]),
        ("routes: [change], when: {path", "routes: [chnge], when: {path", ["E117"]),
        ("routes: [change], when: {path", "routes: [change, orders], when: {path", ["E107"]),
        ("version: 1", "version: one", ["E100"]),
        ("version: 1", "version: '1'", ["E100"]),
        ("version: 1", "version: 1.0", ["E100"]),
        ("version: 1", "version: true", ["E100"]),
        ("registration: open", "registration: ~", ["E100"]),
        ("default_roles: [customer]", "default_roles: [customer, customer]", ["E118"]),
        ("inherits: [customer]", "inherits: [support]", ["E105"]),
        ('scopes: ["orders:*"]', 'scopes: ["order:*"]', ["E119"]),
        ("id: report,", "id: reports,", ["E118"]),
        ("methods: [PUT], path: /reports/**", "methods: [HEAD], path: /reports/**", ["E201"]),
        (
            "path: /reports/**}, upstream: reports, require: auth",
            "path: /%67ateway/**}, upstream: reports, require: auth",
            ["E202"],
        ),
        ("path: /healthz", "path: /health?z", ["E203"]),
        ('    match: {methods: [PUT], path: "/orders/{order_id}"}\n', "", ["E102"]),
        ("per: all", "per: [all, route]", ["E127"]),
        ("limit: 5/15min, per: all", "limit: 5/15min, rate: 5/s, burst: 1, per: all", ["E127"]),
    ],
)
def test_one_mistake_is_one_finding(load: Load, policies: str, old: str, new: str, codes: list[str]) -> None:
    assert old in policies
    loaded = load(policies.replace(old, new, 1))
    assert [each.code for each in loaded.findings if each.code[0] == "E"] == codes, [
        str(x) for x in loaded.findings
    ]
    assert loaded.snapshot is None


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ("  orders:\n    targets", "  Orders!:\n    targets", ["E115", "E115", "E115", "E109"]),
        ("targets: [{url:", "target: [{url:", ["E101"]),
        ("upstreams:\n", "upstream:\n", ["E101"]),
        ("host: upstream", "host: upsteram", ["E109"]),
        ("credentials: pass", "credentials: true", ["E109"]),
        ("x-region: ", "X-REGION: a, x-region: ", ["E118"]),
        ("x-region: ", "connection: ", ["E109"]),
        ("remove_response_headers: [server]", "remove_response_headers: [transfer-*]", ["E109"]),
        ("identity: headers", "remove_request_headers: [host]", ["E109"]),
        ("max_connections: 7", "max_connections: 0", ["E109"]),
        ("weight: 2", "weight: 0", ["E109"]),
        ("weight: 2", "weight: 2.5", ["E100"]),
        ("version: 1\n", "", ["E102"]),
    ],
)
def test_one_mistake_in_the_upstreams_is_one_finding(
    load: Load, upstreams: str, old: str, new: str, codes: list[str]
) -> None:
    assert old in upstreams
    loaded = load(upstreams=upstreams.replace(old, new, 1))
    found = [each.code for each in loaded.findings if each.code[0] == "E"]
    assert found == codes, [str(x) for x in loaded.findings]


def test_a_file_that_is_no_yaml_does_not_hide_the_findings_of_the_other(load: Load, policies: str) -> None:
    loaded = load(policies.replace("require: [orders:write]", "require: [orders:wirte]"), "version: [")
    assert [each.code for each in loaded.findings] == ["E103", "E001"]


def test_a_warning_may_be_switched_off_on_its_line_but_an_error_may_not(load: Load, policies: str) -> None:
    spare = "  reports:read: Download reports\n"
    warned = policies.replace(spare, spare + "  spare:x: Nothing\n")
    assert [each.code for each in load(warned).findings if each.code == "W301"] == ["W301"]
    quiet = policies.replace(spare, spare + "  spare:x: Nothing  # gateway: ignore W303, W301\n")
    assert [each.code for each in load(quiet).findings if each.code == "W301"] == []
    error = policies.replace("upstream: orders\n", "upstream: odrers # gateway: ignore E115\n", 1)
    assert _found(load(error)) != []


def test_warnings_rest_on_whole_files(load: Load, policies: str) -> None:
    """With a route missing, "no route requires this scope" would be a guess."""
    spare = policies.replace("  reports:read: Download reports\n", "  reports:read: x\n  spare:x: Nothing\n")
    assert "W301" in {each.code for each in load(spare).findings}
    broken = spare.replace("upstream: orders\n", "upstream: odrers\n", 1)
    assert "W301" not in {each.code for each in load(broken).findings}


def test_numbers_from_the_environment_are_numbers_where_no_quotes_say_otherwise(
    load: Load, upstreams: str
) -> None:
    environ = {"TOKEN": "t", "REPORTS": "http://r", "POOL": "9"}
    plain = upstreams.replace(
        "    pool: {max_connections: 7}", "    pool:\n      max_connections: ${env:POOL}"
    )
    loaded = load(upstreams=plain, environ=environ)
    assert loaded.snapshot is not None
    assert loaded.snapshot.upstreams["orders"].pool.max_connections == 9
    quoted = upstreams.replace("max_connections: 7", 'max_connections: "${env:POOL}"')
    assert _found(load(upstreams=quoted, environ=environ)) == ["11:29 E100"]


@pytest.mark.parametrize(
    ("written", "environ", "value"),
    [
        ("${env:X}", {"X": "a"}, "a"),
        ("${env:X}", {"X": ""}, ""),
        ("${env:X:-b}", {}, "b"),
        ("${env:X:-b}", {"X": ""}, "b"),
        ("${env:X:-}", {}, ""),
        ("${env:X:-a:b}", {}, "a:b"),
        ("$${env:X}", {"X": "a"}, "${env:X}"),
        ("$$$${env:X}", {"X": "a"}, "$${env:X}"),
        ("$X $5", {"X": "a"}, "$X $5"),
        ("a${env:X}b${env:X}", {"X": "-"}, "a-b-"),
        ("${env:X}", {"X": "${env:Y}"}, "${env:Y}"),
    ],
)
def test_interpolation_replaces_once_and_only_values(
    load: Load, upstreams: str, written: str, environ: dict[str, str], value: str
) -> None:
    loaded = load(
        upstreams=upstreams.replace('"Bearer ${env:TOKEN}"', f'"{written}"'),
        environ={"REPORTS": "http://r", **environ},
    )
    assert loaded.snapshot is not None, loaded.findings
    headers = dict(loaded.snapshot.upstreams["orders"].forward.set_request_headers)
    assert headers["authorization"] == value


@pytest.mark.parametrize(
    ("written", "environ", "code"),
    [
        ("${env:X}", {}, "E013"),
        ("${env:X:?say so}", {"X": ""}, "E013"),
        ("${env:X:+a}", {"X": "a"}, "E012"),
        ("${env:}", {}, "E012"),
        ("${env:1X}", {}, "E012"),
        ("${}", {}, "E012"),
        ("${X}", {"X": "a"}, "E012"),
        ("${evn:X}", {"X": "a"}, "E012"),
        ("${file:relative}", {}, "E012"),
        ("${file:/nowhere/x}", {}, "E014"),
        ("${file:/}", {}, "E014"),
        ("${env:X", {"X": "a"}, "E012"),
        ("${env:X}", {"X": "a\nb"}, "E109"),
    ],
)
def test_an_interpolation_that_fails_is_a_finding_at_its_place(
    load: Load, upstreams: str, written: str, environ: dict[str, str], code: str
) -> None:
    loaded = load(
        upstreams=upstreams.replace('"Bearer ${env:TOKEN}"', f'"{written}"'),
        environ={"REPORTS": "http://r", **environ},
    )
    assert _found(loaded) == [f"18:44 {code}"]


def test_interpolation_adds_no_keys(load: Load, upstreams: str) -> None:
    loaded = load(
        upstreams=upstreams.replace("${env:REPORTS}", "${env:REPORTS}"),
        environ={"TOKEN": "t", "REPORTS": 'http://r"}], balance: round_robin, x: [{"a": "'},
    )
    assert [each.code for each in loaded.findings if each.code[0] == "E"] == ["E205"]
