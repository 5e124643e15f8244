import json

import pytest
from support.issuer import ISSUER, Issuer

from gateway.identity.discovery import discover_keys, metadata_addresses
from gateway.ports import PageUnavailable


@pytest.mark.parametrize(
    ("issuer", "openid", "oauth"),
    [
        ("https://a.example", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"),
        (
            "https://a.example/",
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
        ),
        (
            "https://a.example/realms/x",
            "/realms/x/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server/realms/x",
        ),
    ],
)
def test_metadata_is_where_the_standards_put_it(issuer: str, openid: str, oauth: str) -> None:
    assert metadata_addresses(issuer) == (f"https://a.example{openid}", f"https://a.example{oauth}")


@pytest.mark.parametrize(
    "path", ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]
)
async def test_either_document_leads_to_the_keys(path: str) -> None:
    assert await discover_keys(ISSUER, Issuer(metadata=path)) == f"{ISSUER}/keys"


def document(**changes: object) -> bytes:
    return json.dumps({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", **changes}).encode()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (document(issuer="https://login.example.com/"), "is about another issuer"),
        (document(issuer="https://LOGIN.example.com"), "is about another issuer"),
        (document(issuer="http://login.example.com"), "is about another issuer"),
        (document(issuer=[ISSUER]), "is about another issuer"),
        (document(issuer=None), "is about another issuer"),
        (document(jwks_uri=None), "no jwks_uri"),
        (document(jwks_uri=["https://a.example"]), "no jwks_uri"),
        (document(jwks_uri="/keys"), "no jwks_uri"),
        (document(jwks_uri="http://login.example.com/keys"), "no jwks_uri"),
        (document(jwks_uri="http://169.254.169.254/keys"), "no jwks_uri"),
        (document(jwks_uri="file:///etc/passwd"), "no jwks_uri"),
        (document(jwks_uri="data:application/json,{}"), "no jwks_uri"),
        (document(jwks_uri="https://user:pass@login.example.com/keys"), "no jwks_uri"),
        (document(jwks_uri="http://localhost/keys"), "without https"),
        (b"<html>", "cannot be read"),
        (b'{"issuer":"https://a.example","issuer":"https://login.example.com"}', "occurs twice"),
    ],
)
async def test_a_document_counts_only_when_it_is_this_issuers_and_names_a_safe_address(
    body: bytes, why: str
) -> None:
    issuer = Issuer()
    for address in metadata_addresses(ISSUER):
        issuer.bodies[address] = body
    with pytest.raises(PageUnavailable, match=why):
        await discover_keys(ISSUER, issuer)


async def test_both_failures_are_told() -> None:
    issuer = Issuer(metadata="")
    with pytest.raises(PageUnavailable, match=r"openid-configuration answers 404; .*server answers 404"):
        await discover_keys(ISSUER, issuer)


async def test_keys_on_another_host_are_the_issuers_word() -> None:
    issuer = Issuer()
    issuer.bodies[metadata_addresses(ISSUER)[0]] = document(jwks_uri="https://keys.example.net/all")
    assert await discover_keys(ISSUER, issuer) == "https://keys.example.net/all"


async def test_an_issuer_on_this_machine_may_do_without_https() -> None:
    issuer = Issuer(url="http://127.0.0.1:9")
    assert await discover_keys(issuer.url, issuer) == "http://127.0.0.1:9/keys"
