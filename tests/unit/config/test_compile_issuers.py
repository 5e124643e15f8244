"""Issuers of other tokens, and grants, as they come out of the file; mistakes are in tests/golden."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.config.conftest import ENVIRON

from gateway.config import Loaded, Severity
from gateway.identity import AuthenticatorSpec, ExternalIssuer

Load = Callable[..., Loaded]
LONG = "0123456789" * 4


def with_issuer(policies: str, *lines: str, grants: str = "") -> str:
    entry = "\n    ".join(
        ["  outside:", "kind: jwt", "issuer: https://login.example.com", "audience: [a]", *lines]
    )
    return policies.replace("authenticators:\n", f"authenticators:\n{entry}\n") + grants


def spec(loaded: Loaded) -> AuthenticatorSpec:
    assert loaded.snapshot is not None, [str(each) for each in loaded.findings]
    return loaded.snapshot.authenticators["outside"]


def test_what_is_left_out_is_as_strict_as_it_can_be(load: Load, policies: str) -> None:
    found = spec(load(with_issuer(policies, "jwks: auto")))
    assert found == AuthenticatorSpec(
        name="outside",
        kind="jwt",
        external=ExternalIssuer(
            issuer="https://login.example.com",
            audience=frozenset({"a"}),
            algorithms=("RS256", "ES256"),
            types=frozenset({"at+jwt"}),
        ),
    )


def test_everything_can_be_said(load: Load, policies: str) -> None:
    found = spec(
        load(
            with_issuer(
                policies,
                "jwks: https://login.example.com/keys",
                "accept_typ: [application/at+jwt, JWT]",
                "algorithms: [EdDSA, PS512]",
            )
        )
    )
    assert found.external is not None
    assert found.external.jwks == "https://login.example.com/keys"
    assert found.external.types == {"at+jwt", "jwt"}
    assert found.external.algorithms == ("EdDSA", "PS512")


def test_a_secret_comes_from_the_environment_or_from_a_file(
    load: Load, policies: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(f"{LONG}\n")
    for written in ("${env:ISSUER_SECRET}", f"${{file:{tmp_path / 'secret'}}}"):
        # Without quotes, it would be a number.
        for quote in ('"', "'", ""):
            loaded = load(
                with_issuer(policies, f"secret: {quote}{written}{quote}"),
                environ={**ENVIRON, "ISSUER_SECRET": LONG},
            )
            external = spec(loaded).external
            assert external is not None
            assert external.secret == LONG.encode()
            assert external.algorithms == ("HS256",)
            assert LONG not in repr(loaded)
            assert LONG not in repr(spec(loaded))


def test_another_secret_is_another_authenticator(load: Load, policies: str) -> None:
    text = with_issuer(policies, 'secret: "${env:ISSUER_SECRET}"')
    one = load(text, environ={**ENVIRON, "ISSUER_SECRET": LONG})
    other = load(text, environ={**ENVIRON, "ISSUER_SECRET": LONG + "0"})
    assert spec(one) == spec(load(text, environ={**ENVIRON, "ISSUER_SECRET": LONG}))
    assert spec(one) != spec(other)
    assert one.snapshot is not None
    assert other.snapshot is not None
    # The revision is public, and says nothing of secrets.
    assert one.snapshot.revision == other.snapshot.revision


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (LONG[:31], "has 31 bytes"),
        ("", "is not set|is empty"),
        ("-----BEGIN PUBLIC KEY-----\n" + LONG, "this is a key"),
        ("ssh-ed25519 " + LONG, "this is a key"),
        ('{"kty": "oct", "k": "' + LONG + '"}', "this is a key"),
    ],
)
def test_what_is_no_secret_of_two_is_refused_and_not_shown(
    load: Load, policies: str, secret: str, why: str
) -> None:
    loaded = load(
        with_issuer(policies, 'secret: "${env:ISSUER_SECRET:?}"'),
        environ={**ENVIRON, "ISSUER_SECRET": secret},
    )
    (wrong,) = [each for each in loaded.findings if each.severity is Severity.ERROR]
    assert re.search(why, wrong.message)
    assert LONG not in f"{wrong} {wrong.excerpt}"


def test_without_reading_secrets_nothing_is_said_about_them(load: Load, policies: str) -> None:
    loaded = load(with_issuer(policies, 'secret: "${file:/nowhere/secret}"'), read_secrets=False)
    assert [each for each in loaded.findings if each.severity is Severity.ERROR] == []
    assert loaded.snapshot is None


@pytest.mark.parametrize(
    "written",
    [
        f"secret: {LONG}x",
        f'secret: "{LONG}x"',
        f"secret: |\n      {LONG}x\n      more",
        f'secret: "${{env:A:-{LONG}x}}"',
    ],
)
@pytest.mark.parametrize("other", ["", "jwks: 5", "algorithms: [ES256]"])
def test_a_secret_that_is_written_out_is_refused_and_shown_nowhere(
    load: Load, policies: str, written: str, other: str
) -> None:
    loaded = load(with_issuer(policies, written, *filter(None, [other])))
    assert loaded.snapshot is None
    assert any("does not stand in the policies file" in each.message for each in loaded.findings)
    assert not any(LONG in f"{each} {each.excerpt}" for each in loaded.findings)


@pytest.mark.parametrize(("name", "codes"), [("machines", ["E118"]), ("robots", [])])
def test_no_issuer_can_give_a_caller_the_id_of_somebody_with_a_certificate(
    load: Load, policies: str, name: str, codes: list[str]
) -> None:
    text = with_issuer(policies, "jwks: https://login.example.com/keys").replace(
        "issuer: https://login.example.com\n", "issuer: machines\n"
    )
    text = text.replace("authenticators:\n", f"authenticators:\n  {name}: {{kind: mtls, subject: san_uri}}\n")
    found = [each for each in load(text).findings if each.severity is Severity.ERROR]
    assert [each.code for each in found] == codes
    assert all("could be the same" in each.message for each in found)


def test_only_secrets_of_authenticators_are_interpolated(load: Load, policies: str) -> None:
    loaded = load(with_issuer(policies, "jwks: auto").replace("audience: [a]", 'audience: ["${env:A}"]'))
    assert [each.code for each in loaded.findings if each.severity is Severity.ERROR] == ["E015"]
    odd = with_issuer(policies, "jwks: auto") + 'secret: "${env:A}"\n'
    assert "E015" in {each.code for each in load(odd).findings}


def test_grants_are_part_of_the_snapshot_and_what_they_look_at_is_recorded(load: Load, policies: str) -> None:
    grants = "grants:\n  - {role: support, from: [outside], when: {claims.groups: {has: helpdesk}}}\n"
    text = with_issuer(policies, "jwks: auto", grants=grants).replace(
        "  - {id: reports,", "  - {id: reports, authn: [gateway, outside],"
    )
    loaded = load(text)
    assert loaded.snapshot is not None, loaded.findings
    assert repr(loaded.snapshot.grants) == "Grants(1)"
    recorded = {
        name: [one.name for one in plan.recorded.caller] for name, plan in loaded.snapshot.plans.items()
    }
    assert "claims.groups" in recorded["reports"]
    assert "claims.groups" not in recorded["orders"]
