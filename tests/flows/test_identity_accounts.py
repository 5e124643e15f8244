"""Accounts from outside: made, confirmed by mail, given another password, taken back, disabled."""

import json
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from flows_identity import (
    AUTH,
    PASSWORD,
    POLICIES,
    UPSTREAMS,
    dies,
    events,
    is_dead,
    mails,
    me,
    next_mail,
    post,
    register,
    slug,
    text_of,
    token_in,
    tries,
)
from support.gateway import Gateway, eventually, running_gateway

OTHER = "another long enough password"


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("accounts"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service, "GATEWAY_PUBLIC_URL": "https://id.example.com"},
    ) as running:
        yield running


def _confirmed(gateway: Gateway, name: str, password: str = PASSWORD) -> str:
    """Make an account as people do, and return its access token."""
    assert register(gateway, name, password).status == 202
    verified = post(gateway, "email/verify", {"token": token_in(next_mail(gateway, f"{name}@example.com"))})
    assert verified.status == 204, verified.body
    logged_in = tries(gateway, name, password)
    assert logged_in.status == 200, logged_in.body
    token: str = logged_in.json["access_token"]
    return token


def test_an_account_is_made_confirmed_and_used(gateway: Gateway) -> None:
    asked = register(gateway, "anna")
    assert asked.status == 202
    refused = tries(gateway, "anna", PASSWORD)
    assert (refused.status, slug(refused)) == (403, "email-unverified")
    assert slug(tries(gateway, "anna", OTHER)) == "credentials-invalid"
    token = token_in(next_mail(gateway, "anna@example.com"))
    assert post(gateway, "email/verify", {"token": token}).status == 204
    tokens = tries(gateway, "anna", PASSWORD)
    assert tokens.status == 200
    assert set(tokens.json) == {
        *("access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in", "scope")
    }
    assert tokens.json["token_type"] == "Bearer"
    assert tokens.json["expires_in"] == 600
    assert tokens.json["scope"] == "things:read"
    assert (tokens.headers["Cache-Control"], tokens.headers["Pragma"]) == ("no-store", "no-cache")
    shown = me(gateway, tokens.json["access_token"]).json
    assert (shown["username"], shown["email"], shown["roles"]) == ("anna", "anna@example.com", ["reader"])
    assert shown["id"].startswith("usr_")
    assert gateway.request("GET", "/orders", token=tokens.json["access_token"]).status == 200


def test_the_link_of_a_mail_leads_to_the_public_url_whatever_the_request_said(gateway: Gateway) -> None:
    headers = {"Host": "evil.example.com", "X-Forwarded-Host": "evil.example.com"}
    body = {"username": "hosted", "email": "hosted@example.com", "password": PASSWORD}
    assert gateway.request("POST", AUTH + "register", body=body, headers=headers).status == 202
    text = text_of(next_mail(gateway, "hosted@example.com"))
    assert "https://id.example.com/" in text
    assert "evil" not in text


def test_whether_somebody_has_an_account_is_not_told(gateway: Gateway) -> None:
    _confirmed(gateway, "known")
    again = register(gateway, "known")
    taken_address = register(gateway, "somebody-else", email="known@example.com")
    new = register(gateway, "never-seen")
    assert (again.status, again.body) == (taken_address.status, taken_address.body) == (new.status, new.body)
    assert set(again.headers) == set(new.headers)
    # Who has the account learns of it.
    assert token_in(next_mail(gateway, "never-seen@example.com"))
    told = text_of(next_mail(gateway, "known@example.com", after=1))
    assert "token=" not in told
    assert tries(gateway, "known", PASSWORD).status == 200
    forgot = [
        post(gateway, "password/forgot", {"email": f"{name}@example.com"}) for name in ("known", "nobody")
    ]
    resent = [post(gateway, "email/resend", {"email": f"{name}@example.com"}) for name in ("known", "nobody")]
    for one, other in (forgot, resent):
        assert (one.status, one.body) == (other.status, other.body)
        assert one.status == 202


def test_nobody_gives_themselves_a_role(gateway: Gateway) -> None:
    body = {"username": "mallory", "email": "mallory@example.com", "password": PASSWORD, "roles": ["writer"]}
    reply = post(gateway, "register", body)
    assert (reply.status, slug(reply)) == (400, "invalid-request")
    assert [error["field"] for error in reply.json["errors"]] == ["roles"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"username", "email", "password"}),
        ({"username": "x1", "email": "no address", "password": PASSWORD}, {"email"}),
        ({"username": "x1", "email": "x1@example.com", "password": "short"}, {"password"}),
        ({"username": "x1", "email": "x1@example.com", "password": "password1234"}, {"password"}),
        ({"username": "x1", "email": "x1@example.com", "password": 12345678901234}, {"password"}),
        ({"username": "", "email": "x1@example.com", "password": PASSWORD}, {"username"}),
        ({"username": "x\u0000y", "email": "x1@example.com", "password": PASSWORD}, {"username"}),
        (
            {"username": "x1", "email": "x1@example.com\r\nBcc: y@example.com", "password": PASSWORD},
            {"email"},
        ),
    ],
)
def test_what_is_wrong_with_a_body_is_said_and_never_repeated(
    gateway: Gateway, body: dict[str, Any], fields: set[str]
) -> None:
    reply = post(gateway, "register", body)
    assert (reply.status, slug(reply)) == (400, "invalid-request")
    assert {error["field"] for error in reply.json["errors"]} == fields
    assert "password" not in body or str(body["password"]) not in reply.body.decode()


@pytest.mark.parametrize(
    "path",
    ["register", "login", "refresh", "password/forgot", "password/reset", "email/verify", "email/resend"],
)
def test_only_json_objects_are_read(gateway: Gateway, path: str) -> None:
    form = gateway.request(
        "POST",
        AUTH + path,
        body=b"username=x",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (form.status, slug(form)) == (415, "unsupported-media-type")
    for text in (b"{", b"[]", b'"x"', b'{"a": 1, "a": 2}'):
        reply = gateway.request("POST", AUTH + path, body=text, headers={"Content-Type": "application/json"})
        assert (reply.status, slug(reply)) == (400, "invalid-request")
        assert reply.json["errors"]


def test_names_are_compared_as_people_read_them(gateway: Gateway) -> None:
    assert register(gateway, "Straße", email="Street@example.com").status == 202
    token = token_in(next_mail(gateway, "treet@example.com"))
    assert post(gateway, "email/verify", {"token": token}).status == 204
    spellings = ("straße", "STRASSE", "Straße", unicodedata.normalize("NFKD", "ﬆraße"), "street@EXAMPLE.com")
    for spelled in spellings:
        assert tries(gateway, spelled, PASSWORD).status == 200, spelled
    assert tries(gateway, "strase", PASSWORD).status == 401


def test_a_password_counts_to_its_last_character_in_any_composition(gateway: Gateway) -> None:
    long = "ä" * 60 + " and a tail"
    _confirmed(gateway, "longwinded", long)
    assert tries(gateway, "longwinded", unicodedata.normalize("NFD", long)).status == 200
    assert tries(gateway, "longwinded", long[:-1]).status == 401
    assert tries(gateway, "longwinded", long[:-1] + "X").status == 401


def test_another_password_ends_every_other_session(gateway: Gateway) -> None:
    mine = _confirmed(gateway, "changer")
    other = tries(gateway, "changer", PASSWORD).json
    wrong = post(gateway, "password", {"current_password": OTHER, "new_password": OTHER}, token=mine)
    assert (wrong.status, slug(wrong)) == (401, "credentials-invalid")
    weak = post(gateway, "password", {"current_password": PASSWORD, "new_password": "short"}, token=mine)
    assert (weak.status, weak.json["errors"][0]["field"]) == (400, "new_password")
    anonymous = post(gateway, "password", {"current_password": PASSWORD, "new_password": OTHER})
    assert (anonymous.status, slug(anonymous)) == (401, "credentials-missing")
    assert (
        post(gateway, "password", {"current_password": PASSWORD, "new_password": OTHER}, token=mine).status
        == 204
    )
    dies(gateway, other["access_token"])
    assert post(gateway, "refresh", {"refresh_token": other["refresh_token"]}).status == 401
    assert tries(gateway, "changer", PASSWORD).status == 401
    assert tries(gateway, "changer", OTHER).status == 200
    assert events(gateway, "auth.password_changed")


def test_who_has_forgotten_a_password_gets_a_link_that_works_once(gateway: Gateway) -> None:
    token = _confirmed(gateway, "forgetful")
    session = tries(gateway, "forgetful", PASSWORD).json
    address = "forgetful@example.com"
    before = len(mails(gateway, address))
    assert post(gateway, "password/forgot", {"email": address}).status == 202
    first = token_in(next_mail(gateway, address, after=before))
    assert post(gateway, "password/forgot", {"email": address}).status == 202
    second = token_in(next_mail(gateway, address, after=before + 1))
    superseded = post(gateway, "password/reset", {"token": first, "new_password": OTHER})
    assert (superseded.status, slug(superseded)) == (400, "invalid-request")
    made_up = post(gateway, "password/reset", {"token": second[:-4] + "AAAA", "new_password": OTHER})
    assert made_up.body.replace(made_up.json["instance"].encode(), b"") == superseded.body.replace(
        superseded.json["instance"].encode(), b""
    )
    weak = post(gateway, "password/reset", {"token": second, "new_password": "short"})
    assert weak.json["errors"][0]["field"] == "new_password"
    assert post(gateway, "password/reset", {"token": second, "new_password": OTHER}).status == 204
    assert post(gateway, "password/reset", {"token": second, "new_password": PASSWORD}).status == 400
    for dead in (token, session["access_token"]):
        dies(gateway, dead)
    assert post(gateway, "refresh", {"refresh_token": session["refresh_token"]}).status == 401
    assert tries(gateway, "forgetful", PASSWORD).status == 401
    assert tries(gateway, "forgetful", OTHER).status == 200
    assert events(gateway, "auth.password_reset")
    # The owner is told.
    eventually(lambda: len(mails(gateway, address)) > before + 2, what="a notice")
    assert "token=" not in text_of(mails(gateway, address)[before + 2])


def test_a_link_for_one_thing_does_nothing_else(gateway: Gateway) -> None:
    assert register(gateway, "crossed").status == 202
    verify = token_in(next_mail(gateway, "crossed@example.com"))
    assert post(gateway, "password/reset", {"token": verify, "new_password": OTHER}).status == 400
    assert post(gateway, "email/verify", {"token": verify}).status == 204
    assert post(gateway, "email/verify", {"token": verify}).status == 400


def test_a_mail_can_be_had_again_and_replaces_the_one_before(gateway: Gateway) -> None:
    assert register(gateway, "again").status == 202
    first = token_in(next_mail(gateway, "again@example.com"))
    assert post(gateway, "email/resend", {"email": "again@example.com"}).status == 202
    second = token_in(next_mail(gateway, "again@example.com", after=1))
    assert post(gateway, "email/verify", {"token": first}).status == 400
    assert post(gateway, "email/verify", {"token": second}).status == 204
    assert events(gateway, "auth.email_verified")


def test_looking_at_a_link_does_not_use_it(gateway: Gateway) -> None:
    """Programs that look for harm in mails open every link."""
    assert register(gateway, "scanned").status == 202
    token = token_in(next_mail(gateway, "scanned@example.com"))
    seen = gateway.request("GET", f"{AUTH}email/verify?token={token}")
    assert seen.status in {200, 404, 405}
    assert post(gateway, "email/verify", {"token": token}).status == 204


def test_a_disabled_account_is_as_good_as_none_until_it_is_enabled(gateway: Gateway) -> None:
    token = _confirmed(gateway, "banned")
    tokens = tries(gateway, "banned", PASSWORD).json
    done = gateway.run("users", "disable", "banned")
    assert done.returncode == 0, done.stderr
    dies(gateway, token)
    assert post(gateway, "refresh", {"refresh_token": tokens["refresh_token"]}).status == 401
    right, wrong, unknown = (
        tries(gateway, name, password)
        for name, password in [("banned", PASSWORD), ("banned", OTHER), ("no-such-user", OTHER)]
    )
    for reply in (right, wrong, unknown):
        assert (reply.status, slug(reply)) == (401, "credentials-invalid")
        assert {**reply.json, "instance": ""} == {**wrong.json, "instance": ""}
        assert set(reply.headers) == set(wrong.headers)
    assert gateway.run("users", "enable", "banned").returncode == 0
    assert tries(gateway, "banned", PASSWORD).status == 200
    assert is_dead(gateway, token)
    assert events(gateway, "user.disabled")
    assert events(gateway, "user.enabled")


def test_changed_roles_hold_at_once_and_refresh_gives_the_new_ones(gateway: Gateway) -> None:
    _confirmed(gateway, "promoted")
    tokens = tries(gateway, "promoted", PASSWORD).json
    done = gateway.run("users", "set-roles", "promoted", "--role", "writer", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["roles"] == ["writer"]
    dies(gateway, tokens["access_token"])
    renewed = post(gateway, "refresh", {"refresh_token": tokens["refresh_token"]})
    assert renewed.status == 200
    assert renewed.json["scope"] == "things:read things:write"
    assert me(gateway, renewed.json["access_token"]).json["roles"] == ["writer"]
    assert events(gateway, "role.changed")


def test_an_operator_sets_a_password(gateway: Gateway) -> None:
    token = _confirmed(gateway, "helped")
    done = gateway.run("users", "set-password", "helped", "--password-stdin", stdin=OTHER + "\n")
    assert done.returncode == 0, done.stderr
    dies(gateway, token)
    assert tries(gateway, "helped", PASSWORD).status == 401
    assert tries(gateway, "helped", OTHER).status == 200
    weak = gateway.run("users", "set-password", "helped", "--password-stdin", stdin="short\n")
    assert weak.returncode in {1, 2}
    assert "Traceback" not in weak.stderr
    assert "short" not in weak.stderr.replace("too short", "").replace("shorter", "")


def test_a_deleted_account_is_gone(gateway: Gateway) -> None:
    token = _confirmed(gateway, "deleted")
    assert gateway.run("users", "delete", "deleted").returncode == 0
    dies(gateway, token)
    assert tries(gateway, "deleted", PASSWORD).status == 401


def test_an_operator_sees_accounts_without_their_secrets(gateway: Gateway) -> None:
    _confirmed(gateway, "shown")
    shown = gateway.run("users", "show", "shown", "--format", "json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["username" if "username" in shown.stdout else "name"] == "shown"
    listed = gateway.run("users", "list", "--format", "json")
    assert isinstance(json.loads(listed.stdout), list)
    for text in (shown.stdout, listed.stdout):
        assert "$2b$" not in text
        assert "hash" not in text
    missing = gateway.run("users", "show", "nobody-like-that")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.count("\n") == 1


def test_two_who_want_one_name_do_not_both_get_it(gateway: Gateway) -> None:
    for address in ("first@example.com", "second@example.com"):
        assert register(gateway, "contested", email=address).status == 202
    first = token_in(next_mail(gateway, "first@example.com"))
    assert post(gateway, "email/verify", {"token": first}).status == 204
    assert tries(gateway, "contested", PASSWORD).status == 200
    listed = json.loads(gateway.run("users", "list", "--format", "json").stdout)
    assert len([one for one in listed if "contested" in one.values()]) == 1


def test_nothing_secret_is_in_the_trail_or_in_the_log(gateway: Gateway) -> None:
    token = _confirmed(gateway, "discreet")
    address = "discreet@example.com"
    before = len(mails(gateway, address))
    post(gateway, "password/forgot", {"email": address})
    link = token_in(next_mail(gateway, address, after=before))
    post(gateway, "password/reset", {"token": link, "new_password": OTHER})
    trail = json.dumps(gateway.audit())
    log = "\n".join(gateway.lines)
    for secret in (PASSWORD, OTHER, token, token.rpartition(".")[2], link):
        assert secret not in trail
        assert secret not in log
    assert address not in log


def test_registered_accounts_are_recorded_before_they_are_told_of(gateway: Gateway) -> None:
    _confirmed(gateway, "recorded")
    assert events(gateway, "auth.registered")
    logins = events(gateway, "auth.login")
    assert logins
    assert all(one["actor"]["id"].startswith("usr_") for one in logins)


@pytest.fixture(scope="module")
def inviting(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    policies = POLICIES.replace("registration: open", "registration: invite").replace(
        "email_verification: required", "email_verification: off"
    )
    with running_gateway(
        tmp_path_factory.mktemp("inviting"),
        policies=policies,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service},
    ) as running:
        yield running


def _invite(gateway: Gateway, *flags: str) -> dict[str, Any]:
    made = gateway.run("invites", "create", "--format", "json", *flags)
    assert made.returncode == 0, made.stderr
    invite: dict[str, Any] = json.loads(made.stdout)
    return invite


def _code(invite: dict[str, Any]) -> str:
    (found,) = [value for name, value in invite.items() if name in {"code", "invite", "token"}]
    return str(found)


def test_who_is_invited_gets_the_roles_of_the_invitation_once(inviting: Gateway) -> None:
    uninvited = register(inviting, "uninvited")
    assert uninvited.status in {400, 403}
    invite = _code(_invite(inviting, "--role", "writer"))
    made = register(inviting, "guest", invite=invite)
    assert made.status == 201, made.body
    assert (made.json["username"], made.json["roles"]) == ("guest", ["writer"])
    assert set(made.json) == {"id", "username", "email", "roles"}
    again = register(inviting, "freeloader", invite=invite)
    made_up = register(inviting, "guesser", invite=invite[:-3] + "AAA")
    assert again.status == made_up.status == uninvited.status
    assert {**again.json, "instance": ""} == {**made_up.json, "instance": ""}
    assert events(inviting, "invite.created")


def test_an_invitation_for_an_address_is_for_that_one(inviting: Gateway) -> None:
    invite = _code(_invite(inviting, "--role", "reader", "--email", "wanted@example.com"))
    assert register(inviting, "unwanted", invite=invite).status in {400, 403}
    assert register(inviting, "wanted", invite=invite).status == 201


def test_an_invitation_ends_when_it_is_revoked_or_too_old(inviting: Gateway) -> None:
    invite = _invite(inviting, "--role", "reader")
    assert inviting.run("invites", "revoke", invite["id"]).returncode == 0
    assert register(inviting, "late", invite=_code(invite)).status in {400, 403}
    listed = json.loads(inviting.run("invites", "list", "--format", "json").stdout)
    assert invite["id"] in {one["id"] for one in listed}
    assert _code(invite) not in json.dumps(listed)
    assert inviting.run("invites", "create", "--role", "no-such-role").returncode in {1, 2}


def test_a_taken_name_is_a_conflict_where_no_mail_confirms(inviting: Gateway) -> None:
    assert register(inviting, "taken", invite=_code(_invite(inviting, "--role", "reader"))).status == 201
    again = register(
        inviting, "TAKEN", invite=_code(_invite(inviting, "--role", "reader")), email="t2@example.com"
    )
    assert (again.status, slug(again)) == (409, "conflict")


def test_without_accounts_there_is_nothing_to_register_at(service: str, tmp_path: Any) -> None:
    start = POLICIES.index("accounts:")
    policies = POLICIES[:start] + POLICIES[POLICIES.index("defaults:") :].replace(
        ", mfa: {max_age: 10min}", ""
    )
    with running_gateway(
        tmp_path / "none", policies=policies, upstreams=UPSTREAMS, environ={"TEST_SERVICE": service}
    ) as running:
        for path in ("register", "login", "refresh", "password/forgot"):
            reply = post(running, path, {})
            assert (reply.status, slug(reply)) == (404, "not-found")


def test_closed_means_nobody_registers(service: str, tmp_path: Any) -> None:
    policies = POLICIES.replace("registration: open", "registration: closed")
    with running_gateway(
        tmp_path / "closed",
        policies=policies,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service},
    ) as running:
        assert register(running, "anybody").status in {403, 404}
        running.create_user("carla", PASSWORD, "reader")
        assert tries(running, "carla", PASSWORD).status == 200
