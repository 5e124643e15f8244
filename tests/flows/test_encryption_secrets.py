"""What is encrypted is nowhere in the clear: not in logs, files, tables, records or errors, and not when it fails."""

import json
from collections.abc import Iterator, Sequence

import pytest
from flows_encryption import (
    JSON,
    PASSWORD,
    POLICIES,
    UPSTREAMS,
    crypto,
    decrypt,
    encrypt,
    environ,
    make_key,
    opened,
    sealed_by_others,
    symmetric_jwk,
)
from support.audited import AuditedGateway, audited
from support.gateway import Reply
from support.leaks import leaks
from support.scripted import Scripted, scripted

KEY = b"canary-key-0123456789-0123456789"
LATER_KEY = b"canary-later-key-9876543210-9876"
KEYS = [KEY.decode(), LATER_KEY.decode()]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditedGateway]:
    with audited(
        tmp_path_factory.mktemp("secrets"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ=environ(upstream),
        started=False,
    ) as gateway:
        gateway.create_user("kim", PASSWORD, "keeper")
        gateway.create_user("rita", PASSWORD, "reader")
        for name in ("reports", "inbox"):
            make_key(gateway, name, KEY)
        yield gateway.start()


@pytest.fixture(scope="module")
def token(gateway: AuditedGateway) -> str:
    found: str = gateway.login("kim", PASSWORD)["access_token"]
    return found


def canaries(*names: str) -> list[str]:
    return [f"canary-{name}-plaintext-0123456789" for name in names]


def nowhere(gateway: AuditedGateway, texts: Sequence[str], *replies: Reply) -> None:
    """Fail when one of these texts is kept, said or answered."""
    for reply in replies:
        answer = f"{reply.headers} {reply.body!r}"
        assert not [text for text in texts if text in answer], answer
    assert leaks(gateway, [*texts, *KEYS]) == []


def test_what_passes_encrypted_is_kept_nowhere(
    gateway: AuditedGateway, upstream: Scripted, token: str
) -> None:
    sealed, fields, sent, back = texts = canaries("response", "field", "request", "back")
    upstream.says("one", json.dumps({"figure": sealed}).encode(), JSON)
    upstream.says("two", json.dumps({"card": {"number": fields}, "open": "yes"}).encode(), JSON)
    upstream.says("three", back.encode(), "Content-Type: text/plain")
    first = gateway.request("GET", "/sealed/one", token=token)
    assert json.loads(opened(first.body, KEY)) == {"figure": sealed}
    second = gateway.request("GET", "/fields/two", token=token)
    assert json.loads(opened(second.json["card"]["number"]["$enc"], KEY)) == fields
    body = sealed_by_others(sent.encode(), KEY).encode()
    third = gateway.request("POST", "/through/three", token=token, body=body)
    assert upstream.last("three").body == sent.encode()
    assert opened(third.body, KEY) == back.encode()
    nowhere(gateway, texts, first, second, third)


def test_what_the_api_seals_and_opens_is_kept_nowhere_and_neither_is_its_context(
    gateway: AuditedGateway, token: str
) -> None:
    plain, context, rewrapped = texts = canaries("api", "context", "rewrapped")
    ciphertext = encrypt(gateway, "reports", plain.encode(), token, context=context)
    assert decrypt(gateway, "reports", ciphertext, token, context=context) == plain.encode()
    other = encrypt(gateway, "reports", rewrapped.encode(), token)
    again = crypto(gateway, "rewrap", "reports", {"ciphertext": other}, token)
    assert again.status == 200
    wrong = crypto(gateway, "decrypt", "reports", {"ciphertext": ciphertext, "context": f"x{context}"}, token)
    assert wrong.status == 400
    nowhere(gateway, texts, again, wrong)
    # Not even what was sealed: whoever reads the trail and gets hold of a key could open it.
    assert leaks(gateway, [ciphertext, other, again.json["ciphertext"]]) == []


def test_a_body_that_is_not_what_it_should_be_is_not_repeated_in_the_answer(
    gateway: AuditedGateway, token: str
) -> None:
    one, two, three, four = texts = canaries("no-base64", "wrong-member", "no-json", "no-scope")
    replies = [
        crypto(gateway, "encrypt", "reports", {"plaintext": one}, token),
        crypto(gateway, "encrypt", "reports", {"plaintext": "", two: two}, token),
        gateway.request(
            "POST",
            "/gateway/v1/crypto/encrypt/reports",
            token=token,
            body=f'{{"plaintext": "{three}'.encode(),
            headers={"Content-Type": "application/json"},
        ),
        crypto(
            gateway,
            "encrypt",
            "reports",
            {"plaintext": four},
            gateway.login("rita", PASSWORD)["access_token"],
        ),
        crypto(gateway, "decrypt", "reports", {"ciphertext": four}, token),
    ]
    assert [reply.status for reply in replies] == [400, 400, 400, 403, 400]
    # The name of a member that is not known is told to whoever sent it.
    nowhere(gateway, [one, three, four], *replies)
    nowhere(gateway, texts)


@pytest.mark.parametrize("path", ["/sealed/broken", "/fields/broken", "/keyless/broken", "/mine/broken"])
@pytest.mark.parametrize("kind", ["malformed", "coded", "dying", "large", "part", "stream"])
def test_a_response_that_cannot_be_encrypted_is_told_to_nobody(
    gateway: AuditedGateway, upstream: Scripted, token: str, path: str, kind: str
) -> None:
    (text,) = canaries(f"{kind}-{path[1:4]}")
    body = f'{{"card": {{"number": "{text}"}}, "left": ['.encode()
    match kind:
        case "malformed":
            # To a route that encrypts whole bodies, this is one like any other.
            upstream.says("broken", body, "Content-Type: application/json; charset=latin-1")
        case "coded":
            upstream.says("broken", body, JSON, "Content-Encoding: gzip")
        case "dying":
            upstream.says("broken", body, JSON, whole=False)
        case "large":
            upstream.says("broken", body + b" " * 70_000, JSON)
        case "part":
            upstream.says("broken", body, JSON, "Content-Range: bytes 0-9/99", status="206 Partial Content")
        case _:
            upstream.says("broken", f"data: {text}\n\n".encode(), "Content-Type: text/event-stream")
    reply = gateway.request("GET", path, token=token)
    if (path, kind) == ("/sealed/broken", "malformed"):
        assert opened(reply.body, KEY) == body
    else:
        assert reply.status == (403 if path.startswith("/mine") else 502)
        assert reply.headers["Content-Type"] == "application/problem+json"
    assert text not in f"{reply.headers} {reply.body!r}"


def test_none_of_that_has_left_a_trace(gateway: AuditedGateway) -> None:
    texts = [
        text
        for kind in ("malformed", "coded", "dying", "large", "part", "stream")
        for path in ("sea", "fie", "key", "min")
        for text in canaries(f"{kind}-{path}")
    ]
    nowhere(gateway, texts)


@pytest.mark.parametrize("path", ["/taken/refused", "/through/refused", "/lost/refused"])
def test_a_request_that_cannot_be_opened_leaves_no_trace_and_no_hint(
    gateway: AuditedGateway, upstream: Scripted, token: str, path: str
) -> None:
    (text,) = canaries(f"refused-{path[1:4]}")
    upstream.says("refused", b"", JSON)
    sealed = sealed_by_others(text.encode(), KEY)
    tampered = f"{sealed[:-1]}{'A' if sealed[-1] != 'A' else 'B'}"
    bodies = [text, tampered, sealed_by_others(text.encode(), LATER_KEY), f"gw:v1:{text}", f"{text}..a.b.c"]
    replies = [gateway.request("POST", path, token=token, body=body.encode()) for body in bodies]
    if path.startswith("/lost"):
        replies.append(gateway.request("POST", path, token=token, body=sealed.encode()))
    for reply in replies:
        assert reply.status == 400
        problem = reply.json
        assert problem.pop("instance").startswith("urn:uuid:")
        assert problem == {
            "type": "urn:gateway:problem:decryption-failed",
            "title": replies[0].json["title"],
            "status": 400,
        }
    assert not [one for one in upstream.asked if one.target.endswith(path)], "nothing was passed on"
    nowhere(gateway, [text], *replies)


def test_commands_say_and_keep_nothing_of_keys_and_values(gateway: AuditedGateway) -> None:
    plain, context, secret = canaries("command", "command-context", "bad-jwk")
    done = gateway.run("crypto-keys", "rotate", "reports", "--jwk-file", "-", stdin=symmetric_jwk(LATER_KEY))
    assert done.returncode == 0, done.stderr
    listed = gateway.run("crypto-keys", "list", "--format", "json")
    refused = [
        gateway.run("crypto-keys", "create", "bad", "--jwk-file", "-", stdin=text)
        for text in (
            json.dumps({"kty": "oct", "k": secret}),
            json.dumps({"kty": "RSA", "d": secret}),
            f'{{"kty": "oct", "k": "{secret}"',
            secret,
        )
    ]
    assert all(each.returncode in {1, 2} for each in refused)
    sealed = gateway.run("crypto-keys", "encrypt", "reports", "--context", context, stdin=plain)
    assert sealed.returncode == 0, sealed.stderr
    wrong = gateway.run("crypto-keys", "decrypt", "reports", stdin=sealed.stdout)
    assert wrong.returncode == 1
    renewed = gateway.run("crypto-keys", "rewrap", "reports", "--context", context, stdin=sealed.stdout)
    assert renewed.returncode == 0, renewed.stderr
    back = gateway.run("crypto-keys", "decrypt", "reports", "--context", context, stdin=renewed.stdout)
    assert back.stdout == plain
    said = "".join(f"{each.stdout}{each.stderr}" for each in [done, listed, *refused, sealed, wrong, renewed])
    for text in (plain, context, secret, *KEYS):
        assert text not in said
        assert "Traceback" not in said
    assert json.loads(symmetric_jwk(LATER_KEY))["k"] not in said
    nowhere(gateway, [plain, context, secret])


def test_what_comes_after_the_gateway_has_ended_is_no_different(gateway: AuditedGateway) -> None:
    gateway.stop()
    texts = canaries("response", "field", "request", "back", "api", "context", "rewrapped", "command")
    assert leaks(gateway, [*texts, *KEYS]) == []
    gateway.start()
