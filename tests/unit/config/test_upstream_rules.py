"""Everything that an upstream may say comes out as it is written, or as it is in `defaults`."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.certificates import Authority

from gateway.config import (
    CircuitRules,
    HealthRules,
    Loaded,
    OpenAfter,
    OutlierRules,
    Retries,
    Rewrite,
    TlsRules,
    Upstream,
    load_configuration,
)

Load = Callable[[str], Upstream]

POLICIES = """\
version: 1
scopes: {orders:read: See orders}
roles: {customer: {scopes: [orders:read]}}
authenticators: {gateway: {kind: gateway_jwt}}
defaults: {authn: [gateway]}
routes:
  - {id: orders, match: {methods: [GET], path: /orders}, upstream: orders, require: [orders:read]}
"""


def _loaded(folder: Path, upstreams: str, *, read_secrets: bool = True) -> Loaded:
    (folder / "policies.yaml").write_text(POLICIES)
    (folder / "upstreams.yaml").write_text(f"version: 1\n{upstreams}\n")
    return load_configuration(
        folder / "policies.yaml",
        folder / "upstreams.yaml",
        environ={"DIRECTORY": str(folder)},
        read_secrets=read_secrets,
    )


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return what reads an upstreams file that is sound, and gives its upstream `orders`."""

    def read(upstreams: str) -> Upstream:
        loaded = _loaded(tmp_path, upstreams)
        assert loaded.snapshot is not None, [str(each) for each in loaded.findings]
        return loaded.snapshot.upstreams["orders"]

    return read


def _orders(rest: str = "", targets: str = "{url: http://orders:80}") -> str:
    return f"upstreams:\n  orders:\n    targets: [{targets}]\n    {rest}"


def test_what_is_not_written_is_off_or_built_in(load: Load) -> None:
    upstream = load(_orders())
    assert (upstream.balance, upstream.hash_by) == ("round_robin", None)
    assert (upstream.health, upstream.outlier, upstream.circuit) == (None, None, None)
    assert (upstream.rewrite, upstream.paths, upstream.tls) == (None, frozenset(), TlsRules())
    assert upstream.retries == Retries(max=1, on=frozenset({"connect_failure"}), budget=0.2)
    assert not upstream.forward.binds_request
    assert upstream.max_request == 10 * 1024 * 1024


def test_targets_are_plain_over_tls_or_on_a_socket(load: Load) -> None:
    targets = load(
        _orders(
            targets='{url: http://a}, {url: "https://[2001:db8::1]", weight: 3}, {url: unix:/run/orders.sock}'
        )
    ).targets
    assert [each.name for each in targets] == [
        "http://a:80",
        "https://[2001:db8::1]:443",
        "unix:/run/orders.sock",
    ]
    assert [each.weight for each in targets] == [1, 3, 1]


@pytest.mark.parametrize("word", ["round_robin", "least_requests", "random_two"])
def test_a_target_is_chosen_by_a_word(load: Load, word: str) -> None:
    assert load(_orders(f"balance: {word}")).balance == word


@pytest.mark.parametrize(
    "name",
    ["client.ip", "principal.id", "host", "claims.org.id", "header.x-tenant", "query.customer"],
)
def test_a_target_is_chosen_by_an_attribute(load: Load, name: str) -> None:
    upstream = load(_orders(f"balance: {{hash: {name}}}"))
    assert upstream.balance == "hash"
    assert upstream.hash_by is not None
    assert upstream.hash_by.name == name


def test_answers_to_retry_on_are_kept_apart_from_failures(load: Load) -> None:
    assert load(_orders("retries: {retry_on: [503, 502]}")).retries.on == {"502", "503"}
    assert load(_orders("retries: {max: 3, retry_on: [connect_failure, 503]}")).retries.max == 3


def test_without_a_reason_nothing_is_retried(load: Load) -> None:
    assert load(_orders("retries: {max: 3, retry_on: []}")).retries.max == 0


def test_rules_for_what_fails_come_out_as_written(load: Load) -> None:
    upstream = load(
        _orders(
            targets="{url: http://a}, {url: http://b}",
            rest="health: {path: /healthz?deep, interval: 500ms, timeout: 250ms, healthy_after: 1}\n"
            "    outlier: {consecutive_errors: 3, eject_for: 1min, max_ejected: 25%}\n"
            "    circuit: {max_concurrent: 9, open_after: {errors: 40%, within: 5s}, probe_every: 2s}",
        )
    )
    assert upstream.health == HealthRules(path="/healthz?deep", interval=0.5, timeout=0.25, healthy_after=1)
    assert upstream.outlier == OutlierRules(consecutive_errors=3, eject_for=60.0, max_ejected=0.25)
    assert upstream.circuit == CircuitRules(
        max_concurrent=9,
        open_after=OpenAfter(errors=0.4, within=5.0, at_least=20),
        probe_every=2.0,
    )


def test_rules_of_an_upstream_replace_those_of_the_defaults_whole(load: Load) -> None:
    defaults = (
        "defaults:\n  health: {path: /healthz, interval: 9s}\n  outlier: {eject_for: 5s}\n"
        "  circuit: {max_concurrent: 5, open_after: {errors: 10%, within: 1s}}\n"
    )
    inherited = load(defaults + _orders())
    assert inherited.health == HealthRules(path="/healthz", interval=9.0)
    assert inherited.outlier == OutlierRules(eject_for=5.0)
    own = load(
        defaults + _orders("health: {path: /up}\n    circuit: {max_concurrent: 7}"),
    )
    assert own.health == HealthRules(path="/up")
    assert own.circuit == CircuitRules(max_concurrent=7)
    assert own.outlier == OutlierRules(eject_for=5.0)


def test_paths_are_rewritten_and_let_through_as_written(load: Load) -> None:
    upstream = load(
        _orders(
            "rewrite: {strip_prefix: /reports, add_prefix: /v2/caf%C3%A9}\n    paths: {allow: [semicolon]}"
        )
    )
    assert upstream.rewrite == Rewrite(strip_prefix="/reports", add_prefix="/v2/caf%C3%A9")
    assert upstream.paths == {"semicolon"}
    assert load(_orders("rewrite: {strip_prefix: /reports}")).rewrite == Rewrite(strip_prefix="/reports")


def test_an_assertion_may_be_bound_to_its_request(load: Load) -> None:
    assert load(_orders("forward: {bind: request}")).forward.binds_request
    inherited = "defaults:\n  forward: {bind: request}\n"
    assert load(inherited + _orders()).forward.binds_request
    assert not load(inherited + _orders("forward: {bind: caller}")).forward.binds_request


@pytest.mark.parametrize(("size", "length"), [("unlimited", None), ("0B", 0), ("2KiB", 2048)])
def test_a_body_may_have_any_length_or_at_most_so_much(load: Load, size: str, length: int | None) -> None:
    assert load(_orders(f"body: {{max_request: {size}}}")).max_request == length


def test_an_upstream_takes_back_a_limit_of_the_defaults(load: Load) -> None:
    defaults = "defaults:\n  body: {max_request: 1KiB}\n"
    assert load(defaults + _orders("body: {max_request: unlimited}")).max_request is None


# TLS.


def _tls(rules: str) -> str:
    return _orders(f"tls: {{{rules}}}", targets="{url: https://orders}")


def _problems(loaded: Loaded) -> list[str]:
    return [f"{each.code} {each.message}" for each in loaded.findings]


def test_certificates_and_keys_are_named_by_their_paths(load: Load, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("gateway")
    upstream = load(
        _tls(
            f"ca: file:{authority.file}, client_cert: file:{pair.certificate}, "
            'client_key: "file:${env:DIRECTORY}/gateway.key", server_name: Orders.Internal.'
        )
    )
    assert upstream.tls == TlsRules(
        ca=authority.file,
        client_cert=pair.certificate,
        client_key=pair.key,
        server_name="orders.internal",
    )


@pytest.mark.parametrize("name", ["orders.internal", "10.0.0.1", '"2001:db8::1"'])
def test_a_certificate_is_for_a_name_or_an_address(load: Load, name: str) -> None:
    assert load(_tls(f"server_name: {name}")).tls.server_name == name.strip('"')


def test_a_key_must_be_that_of_the_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue("one")
    authority.issue("two")
    loaded = _loaded(
        tmp_path, _tls(f"client_cert: file:{tmp_path}/one.crt, client_key: file:{tmp_path}/two.key")
    )
    (problem,) = _problems(loaded)
    assert problem.startswith("E128")
    assert 'is not the key of "client_cert"' in problem


def test_a_key_with_a_password_is_refused_without_asking_for_it(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("locked", password=b"hunter2")
    loaded = _loaded(tmp_path, _tls(f"client_cert: file:{pair.certificate}, client_key: file:{pair.key}"))
    (problem,) = _problems(loaded)
    assert "is encrypted with a password" in problem


@pytest.mark.parametrize(("key", "words"), [("ca", "no certificate"), ("client_key", "no private key")])
def test_a_file_must_hold_what_it_is_named_for(tmp_path: Path, key: str, words: str) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("gateway")
    files = {"ca": authority.file, "client_cert": pair.certificate, "client_key": pair.key}
    files[key].write_text("-----BEGIN SOMETHING-----\nhunter2\n")
    loaded = _loaded(tmp_path, _tls(", ".join(f"{name}: file:{file}" for name, file in files.items())))
    (problem,) = _problems(loaded)
    assert words in problem
    assert "hunter2" not in problem


def test_without_secrets_no_certificate_and_no_key_is_read(tmp_path: Path) -> None:
    rules = "ca: file:/nowhere/ca.pem, client_cert: file:/nowhere/a.crt, client_key: file:/nowhere/a.key"
    assert _problems(_loaded(tmp_path, _tls(rules), read_secrets=False)) == []


def test_what_was_not_read_is_not_judged(tmp_path: Path) -> None:
    upstreams = (
        "upstreams:\n  orders:\n    targets: [{url: '${file:/nowhere/url}'}]\n"
        "    tls: {server_name: a, ca: '${file:/nowhere/ca}'}\n    balance: {hash: '${file:/nowhere/by}'}"
    )
    assert _problems(_loaded(tmp_path, upstreams, read_secrets=False)) == []
