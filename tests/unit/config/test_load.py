import gc
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config import Loaded, Severity, load_configuration, render_json, render_text
from gateway.identity import AuthenticatorSpec
from gateway.model import Algorithm, OnStoreError
from gateway.routing import Match

Load = Callable[..., Loaded]


def _errors(loaded: Loaded) -> list[str]:
    return [str(each) for each in loaded.findings if each.severity is Severity.ERROR]


def test_a_sound_configuration_gives_a_snapshot_and_no_errors(load: Load) -> None:
    loaded = load()
    assert _errors(loaded) == []
    assert loaded.snapshot is not None
    assert not loaded.unreadable
    assert (loaded.tally.routes, loaded.tally.pairs, loaded.tally.roles, loaded.tally.upstreams) == (
        5,
        6,
        3,
        2,
    )


def test_a_route_finds_its_plan_by_host_path_and_method(load: Load) -> None:
    snapshot = load().snapshot
    assert snapshot is not None
    match = snapshot.routes.match("api.example.com", ("orders",), "HEAD")
    assert isinstance(match, Match)
    assert match.value is snapshot.plans["orders"]
    assert match.value.require == {"GET": frozenset({"orders:read"}), "POST": frozenset({"orders:write"})}
    assert match.value.route.place == "policies.yaml:33"
    assert match.value.authn == ("gateway", "keys")
    assert list(snapshot.plans) == ["health", "orders", "change", "reports", "report"]


def test_a_public_route_asks_for_nothing_and_says_why(load: Load) -> None:
    snapshot = load().snapshot
    assert snapshot is not None
    plan = snapshot.plans["health"]
    assert plan.is_public
    assert plan.because == "Probe"
    assert (plan.authn, plan.require, plan.when, plan.deny_identity) == ((), {}, None, ())


def test_authenticated_asks_for_any_principal(load: Load) -> None:
    snapshot = load().snapshot
    assert snapshot is not None
    assert snapshot.plans["reports"].require == {"GET": frozenset()}
    assert not snapshot.plans["reports"].is_public


def test_deny_rules_stand_at_the_earliest_step_that_can_decide_them(load: Load) -> None:
    snapshot = load().snapshot
    assert snapshot is not None
    assert [rule.id for rule in snapshot.deny_everywhere] == ["blocked"]
    assert [rule.id for rule in snapshot.plans["change"].deny_early] == ["no-seven"]
    assert [rule.id for rule in snapshot.plans["change"].deny_identity] == ["no-keys", "no-robots"]
    assert [rule.id for rule in snapshot.plans["reports"].deny_identity] == ["no-robots"]
    assert snapshot.plans["health"].deny_identity == ()


@pytest.mark.parametrize("word", ["local", "open", "closed"])
def test_a_limit_says_what_happens_while_counters_cannot_be_reached(
    load: Load, policies: str, word: str
) -> None:
    written = policies.replace("5/15min, per: all}", f"5/15min, per: all, on_store_error: {word}}}")
    snapshot = load(written).snapshot
    assert snapshot is not None
    slow, window = snapshot.plans["change"].limits.route
    assert slow.on_store_error is OnStoreError.LOCAL
    assert window.on_store_error is OnStoreError(word)


def test_limits_have_ids_places_and_their_own_way_of_counting(load: Load) -> None:
    snapshot = load().snapshot
    assert snapshot is not None
    slow, window = snapshot.plans["change"].limits.route
    assert (slow.id, slow.algorithm, slow.quota, slow.window_us, slow.burst) == (
        "slow",
        Algorithm.GCRA,
        10,
        1_000_000,
        3,
    )
    assert slow.per == ("principal", "route")
    assert (window.id, window.place, window.quota, window.window_us) == (
        "route:change:1",
        "policies.yaml:43",
        5,
        900_000_000,
    )
    assert [each.id for each in snapshot.own_limits.defaults] == ["defaults:0", "defaults:1"]
    assert snapshot.own_limits.by_role == {}
    assert [each.id for each in snapshot.plans["orders"].limits.by_role["customer"]] == ["role:customer:0"]


def test_roles_hold_what_they_inherit_and_what_wildcards_stand_for(load: Load) -> None:
    snapshot = load().snapshot
    assert snapshot is not None
    assert snapshot.roles.scopes_of(frozenset({"support"})) == {"orders:read", "orders:write"}
    assert "gateway:users" in snapshot.roles.scopes_of(frozenset({"admin"}))


def test_authenticators_and_accounts_are_as_written_with_defaults_for_the_rest(load: Load) -> None:
    snapshot = load().snapshot
    assert snapshot is not None
    assert snapshot.authenticators["keys"] == AuthenticatorSpec(
        name="keys", kind="api_key", header="x-api-key"
    )
    assert snapshot.default_authn == ("gateway", "keys")
    rules = snapshot.accounts
    assert rules is not None
    assert rules.registration == "open"
    assert rules.default_roles == {"customer"}
    assert (rules.password_min_length, rules.access_lifetime, rules.reuse_grace) == (12, 600.0, 10.0)
    assert (rules.refresh_idle, rules.refresh_absolute) == (7 * 86400.0, 30 * 86400.0)


def test_how_accounts_are_made_is_as_written(load: Load, policies: str) -> None:
    more = "registration: invite\n  email_verification: required\n  password: {min_length: 15, reject_common: true}"
    snapshot = load(policies.replace("registration: open", more)).snapshot
    assert snapshot is not None
    rules = snapshot.accounts
    assert rules is not None
    assert (rules.registration, rules.verifies_email) == ("invite", True)
    assert (rules.password_min_length, rules.rejects_common) == (15, True)


def test_without_accounts_there_are_no_users(load: Load, policies: str) -> None:
    text = policies.replace("accounts:\n  registration: open\n  default_roles: [customer]\n", "")
    snapshot = load(text).snapshot
    assert snapshot is not None
    assert snapshot.accounts is None


def test_an_upstream_has_its_own_rules_then_the_defaults_then_the_built_in_ones(load: Load) -> None:
    snapshot = load().snapshot
    assert snapshot is not None
    orders, reports = snapshot.upstreams["orders"], snapshot.upstreams["reports"]
    assert [(target.authority, target.weight) for target in orders.targets] == [
        ("orders-1.internal:8080", 2),
        ("[2001:db8::1]:80", 1),
    ]
    assert (orders.timeouts.connect, orders.timeouts.response, orders.timeouts.idle) == (1.0, 0.5, 120.0)
    assert (orders.retries.max, orders.retries.budget) == (0, 0.05)
    assert (orders.pool.max_connections, orders.pool.max_waiting, orders.pool.keepalive) == (7, 500, 30.0)
    assert orders.max_request == 2048
    assert (orders.forward.host, orders.forward.identity) == ("upstream", "headers")
    assert orders.forward.pass_credentials
    assert orders.forward.remove_request_headers == ("x-internal-*",)
    assert orders.forward.remove_response_headers == ("server",)
    assert orders.forward.set_request_headers == (
        ("authorization", "Bearer s3cret-token"),
        ("x-region", "eu-1"),
    )
    assert [target.authority for target in reports.targets] == ["reports.internal:9090"]
    assert reports.max_request == 10 * 1024 * 1024
    assert reports.forward.identity == "signed_jwt"
    assert not reports.forward.pass_credentials


def test_the_body_limit_of_a_route_comes_before_that_of_its_upstream(load: Load) -> None:
    snapshot = load().snapshot
    assert snapshot is not None
    assert snapshot.plans["change"].max_request is None
    assert snapshot.plans["orders"].max_request == 2048


def test_retries_without_a_reason_to_retry_are_none(load: Load, upstreams: str) -> None:
    snapshot = load(upstreams=upstreams.replace("max: 0,", "max: 3, retry_on: [],")).snapshot
    assert snapshot is not None
    assert snapshot.upstreams["orders"].retries.max == 0


def test_the_revision_follows_content_and_environment_but_not_secrets(
    load: Load, policies: str, environ: Mapping[str, str]
) -> None:
    def revision(text: str = policies, **changed: str) -> str:
        snapshot = load(text, environ={**environ, **changed}).snapshot
        assert snapshot is not None
        return snapshot.revision

    first = revision()
    assert revision() == first
    assert len(first) == 12
    assert revision(policies + "# a comment\n") != first
    assert revision(REPORTS="http://elsewhere:1") != first
    # The revision is public: nobody may try out guesses of a secret against it.
    assert revision(TOKEN="another") == first


def test_nothing_is_served_with_stand_ins_for_secrets(load: Load, upstreams: str) -> None:
    text = upstreams.replace("${env:TOKEN}", "${file:/nowhere/token}")
    assert [each.split("error")[1][:6] for each in _errors(load(upstreams=text))] == ["[E014]"]
    loaded = load(upstreams=text, read_secrets=False)
    assert _errors(loaded) == []
    assert loaded.snapshot is None


def test_a_secret_file_is_read_and_its_last_line_break_is_not_part_of_it(
    load: Load, upstreams: str, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    loaded = load(upstreams=upstreams.replace("${env:TOKEN}", f"${{file:{tmp_path}/token}}"))
    assert loaded.snapshot is not None
    orders = loaded.snapshot.upstreams["orders"]
    assert dict(orders.forward.set_request_headers)["authorization"] == "Bearer from-a-file"
    assert "from-a-file" not in repr(loaded)
    assert "s3cret" not in repr(load())


@pytest.mark.parametrize("which", ["policies", "upstreams"])
def test_a_file_that_is_missing_is_a_finding_beside_those_of_the_other(
    load: Load, tmp_path: Path, which: str
) -> None:
    load()
    (tmp_path / f"{which}.yaml").unlink()
    loaded = load_configuration(tmp_path / "policies.yaml", tmp_path / "upstreams.yaml", environ={})
    assert loaded.unreadable
    assert loaded.snapshot is None
    first = loaded.findings[0]
    assert (first.code, first.line) == ("E002", 0)
    assert "no such file" in first.message
    if which == "upstreams":
        assert [each.code for each in loaded.findings] == ["E002"]
    else:
        assert {each.code for each in loaded.findings} == {"E002", "E013"}


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    loaded = load_configuration(tmp_path, tmp_path, environ={})
    assert loaded.unreadable
    assert [each.code for each in loaded.findings] == ["E002"]


def test_the_collector_is_on_again_after_loading(load: Load) -> None:
    assert gc.isenabled()
    load()
    assert gc.isenabled()
    gc.disable()
    try:
        load()
        assert not gc.isenabled()
    finally:
        gc.enable()


_SETTINGS = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@_SETTINGS
@given(data=st.data())
def test_a_broken_file_is_answered_with_findings_inside_of_it_and_never_with_an_exception(
    load: Load, policies: str, upstreams: str, data: st.DataObject
) -> None:
    texts = [policies, upstreams]
    which = data.draw(st.sampled_from([0, 1]))
    text = texts[which]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 30)))
        put = data.draw(
            st.one_of(
                st.sampled_from(
                    ["", "\t", "- ", ": ", "{", "}", "[", "]", "*", "&a ", '"', "12", "~", "\n  ", "é"]
                ),
                st.text(max_size=6),
            )
        )
        text = text[:start] + put + text[end:]
    texts[which] = text
    loaded = load(texts[0].encode("utf-8", "surrogatepass"), texts[1].encode("utf-8", "surrogatepass"))
    assert (loaded.snapshot is None) == bool(_errors(loaded))
    lines = [
        each.count("\n") + each.count("\r") + each.count("\u2028") + each.count("\x85") + 2 for each in texts
    ]
    for finding in loaded.findings:
        assert finding.line <= lines[finding.file.endswith("upstreams.yaml")] + texts[0].count(
            "\u2029"
        ) + texts[1].count("\u2029")
        assert finding.length >= 1
        assert finding.message
        assert "\x1b" not in str(finding)
    assert render_text(loaded.findings).count("\n") >= len(loaded.findings) - 1


_PLACES = (
    "idle: 2min",
    "weight: 2",
    "response: 500ms",
    "max_connections: 7",
    "budget: 5%",
    "max_request: 2KiB",
    "host: upstream",
    "identity: headers",
    "credentials: pass",
    "remove_response_headers: [server]",
    "url: http://orders-1.internal:8080",
    "retries: {max: 0, budget: 5%}",
    "x-region: ",
)


@pytest.mark.parametrize("place", _PLACES)
@pytest.mark.parametrize(
    "secret", ["hunter2", "424242", "line\nbreak hunter2", "\x1b[2Jhunter2", "9 minutes 424242", "0.424242"]
)
def test_a_value_from_the_environment_is_never_shown(
    load: Load, upstreams: str, environ: Mapping[str, str], place: str, secret: str
) -> None:
    key = place.split(":", maxsplit=1)[0]
    assert place in upstreams
    for value in ('"${env:LEAK}"', "['${env:LEAK}']", '"${env:LEAK}${env:LEAK}"'):
        text = upstreams.replace(place, f"{key}: {value} #" if key == "x-region" else f"{key}: {value}", 1)
        text = text.replace('#"${env:REGION:-eu-1}"}', "\n      }")
        loaded = load(upstreams=text, environ={**environ, "LEAK": secret})
        for shown in (render_text(loaded.findings), render_json(loaded.findings), repr(loaded.findings)):
            assert "hunter2" not in shown
            assert "4242" not in shown
