"""What routes that encrypt and decrypt must never do, seen from outside: by clients, by services, by proxies."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flows_encryption import (
    JSON,
    PASSWORD,
    POLICIES,
    UPSTREAMS,
    crypto,
    decrypt,
    encrypt,
    environ,
    header_of,
    make_key,
    opened,
    sealed_by_others,
)
from flows_identity import slug
from support.gateway import Gateway, Reply, eventually
from support.raw import Raw
from support.scripted import Scripted, scripted

BODY = b'{"total": 12345678901234567890.10, "name": "a \\u00e9"}'
INBOX = b"inbox key inbox key inbox key 32"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
REPORTS = b"report key report key report k32"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Scripted]:
    with scripted() as running:
        running.says("thing", BODY, JSON)
        running.says("ok", b"ok", "Content-Type: text/plain")
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(
        tmp_path_factory.mktemp("routes"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ=environ(upstream, GATEWAY_TRUSTED_PROXIES="127.0.0.1"),
    )
    gateway.create_user("kim", PASSWORD, "keeper")
    gateway.create_user("rita", PASSWORD, "reader")
    make_key(gateway, "reports", REPORTS)
    make_key(gateway, "inbox", INBOX)
    try:
        yield gateway.start()
    finally:
        gateway.kill()


@pytest.fixture(scope="module")
def token(gateway: Gateway) -> str:
    found: str = gateway.login("kim", PASSWORD)["access_token"]
    return found


def send(gateway: Gateway, token: str, body: str | bytes, path: str = "/taken/ok", **headers: str) -> Reply:
    data = body if isinstance(body, bytes) else body.encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.request("POST", path, token=token, body=data, headers=fields)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def with_header(header: bytes, plaintext: bytes = b"secret", *, nonce: bytes = b"twelve bytes") -> str:
    """Return a message under any header, which is authenticated as it stands."""
    shown = b64(header)
    made = AESGCM(INBOX).encrypt(nonce, plaintext, shown.encode())
    return f"{shown}..{b64(nonce)}.{b64(made[:-16])}.{b64(made[-16:])}"


# What a client gets


@pytest.mark.parametrize("path", ["/sealed/thing", "/open-sealed/thing"])
def test_an_answer_is_the_same_bytes_under_the_key_and_says_what_they_are(
    gateway: Gateway, token: str, path: str
) -> None:
    reply = gateway.request("GET", path, token=token)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/jose")
    assert opened(reply.body, REPORTS) == BODY
    assert list(header_of(reply.body).items()) == [
        ("alg", "dir"),
        ("enc", "A256GCM"),
        ("kid", "reports:v1"),
        ("cty", "application/json"),
    ]
    again = gateway.request("GET", path, token=token)
    assert again.body != reply.body
    assert again.body.split(b".")[2] != reply.body.split(b".")[2], "a fresh nonce for every message"


def test_nothing_in_the_head_tells_what_the_body_was(
    gateway: Gateway, upstream: Scripted, token: str
) -> None:
    validators = {
        "ETag": '"0123-of-the-plaintext"',
        "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
        "Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg==",
        "Digest": "sha-256=x",
        "Content-Digest": "sha-256=:x:",
        "Repr-Digest": "sha-256=:x:",
        "Accept-Ranges": "bytes",
    }
    upstream.says("valid", BODY, JSON, *(f"{name}: {value}" for name, value in validators.items()))
    for path in ("/sealed/valid", "/fields/valid"):
        reply = gateway.request("GET", path, token=token)
        assert reply.status == 200
        assert not [name for name in reply.headers if name.lower() in {each.lower() for each in validators}]
        head = gateway.request("HEAD", path, token=token)
        assert (head.status, head.body) == (200, b"")
        assert "ETag" not in head.headers
        # The length of the plaintext is not that of the answer to a GET.
        assert head.headers.get("Content-Length") in {None, "0"}


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "500 Oops"])
def test_errors_of_the_service_are_encrypted_like_everything_else(
    gateway: Gateway, upstream: Scripted, token: str, status: str
) -> None:
    upstream.says("error", b'{"why": "a secret"}', JSON, status=status)
    reply = gateway.request("GET", "/sealed/error", token=token)
    assert reply.status == int(status[:3])
    assert opened(reply.body, REPORTS) == b'{"why": "a secret"}'


def test_a_body_is_encrypted_up_to_the_limit_and_never_sent_in_part(
    gateway: Gateway, upstream: Scripted, token: str
) -> None:
    limit = 64 * 1024
    upstream.says("large", b"x" * limit)
    reply = gateway.request("GET", "/sealed/large", token=token)
    assert opened(reply.body, REPORTS) == b"x" * limit
    assert "cty" not in header_of(reply.body), "the service did not say what it was"
    upstream.says("large", b"x" * (limit + 1))
    refused = gateway.request("GET", "/sealed/large", token=token)
    assert (refused.status, slug(refused)) == (502, "response-not-encryptable")
    # Without a length nobody knows before it is too late.
    upstream.answers["large"] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * (limit + 1)
    refused = gateway.request("GET", "/sealed/large", token=token)
    assert (refused.status, slug(refused)) == (502, "response-not-encryptable")
    upstream.answers["large"] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * limit
    assert opened(gateway.request("GET", "/sealed/large", token=token).body, REPORTS) == b"x" * limit


def test_chosen_fields_alone_change_and_all_else_is_as_the_service_wrote_it(
    gateway: Gateway, upstream: Scripted, token: str
) -> None:
    text = (
        '{ "card":\t{"number": "4711", "number": "4712", "brand": "x"},\r\n'
        '"items":[{"pan":1.10,"n":1e400},{"pan":null},{},7],"card2":{"number":0.10}, "\\u0063ard": {"number":[1, 2]} }'
    )
    upstream.says("doc", text.encode(), "Content-Type: application/json; charset=utf-8")
    reply = gateway.request("GET", "/fields/doc", token=token)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    found: list[bytes] = []
    rest = reply.body.decode()
    while '{"$enc":' in rest:
        before, _, after = rest.partition('{"$enc":')
        sealed, _, after = after.partition("}")
        found.append(opened(sealed.strip().strip('"'), REPORTS))
        assert header_of(sealed.strip().strip('"'))["cty"] == "application/json"
        rest = f"{before}@{len(found)}@{after}"
    assert found == [b'"4711"', b'"4712"', b"1.10", b"null", b"[1, 2]"]
    assert rest == (
        '{ "card":\t{"number": @1@, "number": @2@, "brand": "x"},\r\n'
        '"items":[{"pan":@3@,"n":1e400},{"pan":@4@},{},7],"card2":{"number":0.10}, "\\u0063ard": {"number":@5@} }'
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"card": {"number": "4711"}} x',
        b'{"card": {"number": "4711"},}',
        b'\xef\xbb\xbf{"card": {"number": "4711"}}',
        b'{"card": {"number": "\xff"}}',
        b'{"card": {"number": 4711}, "x": NaN}',
        b'{"card": {"number": "47\n11"}}',
        b"[" * 5000 + b"]" * 5000,
        '{"card": {"number": "4711"}}'.encode("utf-16"),
    ],
)
def test_a_document_that_two_readers_could_read_in_two_ways_is_not_passed_on(
    gateway: Gateway, upstream: Scripted, token: str, body: bytes
) -> None:
    upstream.says("doc", body, JSON)
    reply = gateway.request("GET", "/fields/doc", token=token)
    assert (reply.status, slug(reply)) == (502, "response-not-encryptable")
    assert b"4711" not in reply.body


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'[{"card": {"number": 4711}}]', "/card/number"),
        (b'{"card": [{"number": 4711}]}', "/card/number"),
        (b'{"items": [[{"pan": 4711}]]}', "/items/*/pan"),
    ],
)
def test_a_list_where_an_object_was_expected_is_not_passed_on(
    gateway: Gateway, upstream: Scripted, token: str, body: bytes, pointer: str
) -> None:
    upstream.says("doc", body, JSON)
    reply = gateway.request("GET", "/fields/doc", token=token)
    assert (reply.status, slug(reply)) == (502, "response-not-encryptable")
    assert b"4711" not in reply.body
    wanted = ("--request-id", reply.headers["X-Request-Id"], "--kind", "completion")
    (record,) = eventually(lambda: gateway.audit(*wanted), within=10)
    assert f"a list where {pointer} names a member" in json.dumps(record)


def test_a_document_without_the_fields_passes_and_other_types_do_not(
    gateway: Gateway, upstream: Scripted, token: str
) -> None:
    for body in (b'{"cards": {"number": 1}}', b'{"card": null, "items": []}', b'"card"'):
        upstream.says("doc", body, "Content-Type: application/problem+json")
        assert gateway.request("GET", "/fields/doc", token=token).body == body
    for kind in ("text/html", "text/plain", "application/jsonp", "multipart/mixed"):
        upstream.says("doc", b'{"card": {"number": 4711}}', f"Content-Type: {kind}")
        reply = gateway.request("GET", "/fields/doc", token=token)
        assert (reply.status, slug(reply)) == (502, "response-not-encryptable")


def test_a_key_that_is_not_there_stops_the_request_before_the_service_does_anything(
    gateway: Gateway, upstream: Scripted, token: str
) -> None:
    count = len(upstream.asked)
    assert gateway.request("POST", "/keyless/ok", token=token, body=b"x").status == 502
    reply = gateway.request("GET", "/keyless/ok", token=token)
    assert (reply.status, slug(reply)) == (502, "response-not-encryptable")
    assert "detail" not in reply.json
    assert len(upstream.asked) == count
    (record,) = gateway.audit("--request-id", reply.headers["X-Request-Id"])
    assert (record["kind"], record["decision"], record["status"]) == ("decision", "deny", 502)
    assert "gateway crypto-keys create missing" in json.dumps(record)
    make_key(gateway, "missing")
    eventually(lambda: gateway.request("GET", "/keyless/ok", token=token).status == 200, within=1.0)


# What a service gets


def test_a_service_gets_the_plaintext_and_no_trace_of_its_envelope(
    gateway: Gateway, upstream: Scripted, token: str
) -> None:
    plain = b'{"pay": 1}'
    sealed = sealed_by_others(plain, INBOX, cty="json")
    digests = {"Content_MD5": "x", "Digest": "x", "Content_Digest": "x", "Repr_Digest": "x"}
    assert send(gateway, token, sealed, Content_Type="application/jose", **digests).status == 200
    came = upstream.last("ok")
    assert came.body == plain
    assert came.fields["content-type"] == "application/json"
    assert came.fields["content-length"] == str(len(plain))
    assert "transfer-encoding" not in came.fields
    assert {
        "content-md5",
        "digest",
        "content-digest",
        "repr-digest",
        "content-encoding",
    } & came.fields.keys() == set()


def test_a_text_of_the_api_and_a_body_in_chunks_are_opened_too(
    gateway: Gateway, upstream: Scripted, token: str
) -> None:
    text = encrypt(gateway, "inbox", b"by the API", token)
    with Raw(gateway.port) as raw:
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (text[:9].encode(), text[9:].encode()))
        raw.send(
            f"PUT /taken/ok HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
            "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert raw.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        raw.send(chunks + b"0\r\n\r\n")
        reply = raw.reply()
    assert reply is not None
    assert reply.status == 200
    came = upstream.last("ok")
    assert (came.body, came.fields["content-length"]) == (b"by the API", "10")
    assert "content-type" not in came.fields


def test_a_header_counts_as_it_came_and_not_as_somebody_would_write_it(
    gateway: Gateway, upstream: Scripted, token: str
) -> None:
    header = '{ "kid": "inbox:v1",\t"enc": "A256GCM", "x": {"y": [1]}, "al\\u0067": "dir", "typ": "JOSE" }'
    odd = with_header(header.encode(), b"odd")
    assert send(gateway, token, odd).status == 200
    assert upstream.last("ok").body == b"odd"
    same = ".".join([b64(header.replace("\t", " ").encode()), *odd.split(".")[1:]])
    assert send(gateway, token, same).status == 400, "the header is part of what is authenticated"


def version(number: str) -> bytes:
    return f'{{"alg":"dir","enc":"A256GCM","kid":"inbox:v{number}"}}'.encode()


def bad_messages() -> dict[str, str]:
    known = version("1")
    sealed = with_header(known)
    header, key, nonce, data, tag = sealed.split(".")
    named = '{"alg":"dir","enc":"A256GCM","kid":"inbox:v1"'
    found = {
        "plain text": "secret",
        "plain JSON": '{"a": 1}',
        "empty parts": "....",
        "four parts": f"{header}.{key}.{nonce}.{data}",
        "six parts": f"{sealed}.{tag}",
        "an encrypted key": f"{header}.AAAA.{nonce}.{data}.{tag}",
        "short tag": f"{header}.{key}.{nonce}.{data}.{b64(base64.urlsafe_b64decode(tag + '==')[:12])}",
        "no tag": f"{header}.{key}.{nonce}.{data}.",
        "long nonce": with_header(known, nonce=b"sixteen bytes do"),
        "short nonce": with_header(known, nonce=b"eight of"),
        "padding": f"{sealed}==",
        "unused bits": sealed[:-1] + ALPHABET[ALPHABET.index(sealed[-1]) + 1],
        "blanks": f" {sealed}",
        "a line end": f"{sealed}\n",
        "null": with_header(b"null"),
        "a list": with_header(b"[]"),
        "no header": with_header(b""),
        "not UTF-8": with_header(b'{"alg":"\xff"}'),
        "twice": with_header(f'{named},"kid":"inbox:v1"}}'.encode()),
        "nested": with_header(b'{"a":' * 2000 + b"1" + b"}" * 2000),
        "null members": with_header(b'{"alg":null,"enc":null,"kid":null}'),
        "no kid": with_header(b'{"alg":"dir","enc":"A256GCM"}'),
        "other name": with_header(b'{"alg":"dir","enc":"A256GCM","kid":"reports:v1"}'),
        "no such version": with_header(b'{"alg":"dir","enc":"A256GCM","kid":"inbox:v2"}'),
        "huge version": with_header(version("9" * 5000)),
        "version of other digits": with_header(version("\u0661")),
        "version zero": with_header(version("0")),
        "version with a zero before it": with_header(version("01")),
        "version with a sign": with_header(version("+1")),
        "zip": with_header(f'{named},"zip":"DEF"}}'.encode()),
        "crit": with_header(f'{named},"crit":["exp"],"exp":1}}'.encode()),
        "JSON serialization": json.dumps(
            {"protected": header, "iv": nonce, "ciphertext": data, "tag": tag, "unprotected": {"zip": "DEF"}}
        ),
        "a token": "eyJhbGciOiJub25lIn0.e30.",
        "text of nothing": "gw:v1:",
        "text of another form": "gw:v1:" + b64(b"x" * 40),
        "vault": "vault:v1:" + b64(b"x" * 40),
    }
    for name, change in (("alg", "A256KW"), ("alg", "none"), ("enc", "A128GCM"), ("enc", "A256CBC-HS512")):
        other = {"alg": "dir", "enc": "A256GCM", "kid": "inbox:v1", name: change}
        found[f"{name} {change}"] = with_header(json.dumps(other).encode())
    return found


def test_whatever_is_wrong_with_a_message_there_is_one_answer_and_nothing_reaches_the_service(
    gateway: Gateway, upstream: Scripted, token: str
) -> None:
    assert send(gateway, token, with_header(version("1"))).status == 200, "what is flawless"
    count = len(upstream.asked)
    answers: set[str] = set()
    for kind, text in bad_messages().items():
        reply = send(gateway, token, text)
        assert reply.status == 400, kind
        problem = reply.json
        del problem["instance"]
        changing = {"X-Request-Id", "Date", "RateLimit"}
        headers = {name: value for name, value in reply.headers.items() if name not in changing}
        answers.add(json.dumps([problem, headers], sort_keys=True))
        api = crypto(gateway, "decrypt", "inbox", {"ciphertext": text}, token)
        assert (api.status, slug(api)) == (400, "decryption-failed"), kind
    assert len(answers) == 1
    assert "decryption-failed" in answers.pop()
    assert len(upstream.asked) == count
    assert gateway.events("request_failed") == gateway.events("forwarding_failed") == []


def test_why_a_message_was_refused_is_told_to_operators(gateway: Gateway, token: str) -> None:
    reply = send(gateway, token, "secret-looking text")
    (record,) = gateway.audit("--request-id", reply.headers["X-Request-Id"])
    assert (record["kind"], record["decision"], record["status"]) == ("decision", "deny", 400)
    assert record["reason"] == "decryption-failed"
    assert record["rule"].startswith("taken ")
    assert record["actor"]["kind"] == "user"
    assert record["attributes"]["diagnosis"]
    assert "secret-looking" not in json.dumps(record)


def test_a_key_opens_nothing_of_another_key_and_no_form_passes_for_the_other(
    gateway: Gateway, token: str
) -> None:
    sealed = gateway.request("GET", "/sealed/thing", token=token).body.decode()
    assert decrypt(gateway, "reports", sealed, token) == BODY
    for verb in ("decrypt", "rewrap"):
        assert slug(crypto(gateway, verb, "inbox", {"ciphertext": sealed}, token)) == "decryption-failed"
    # The parts of one form, put together as the other.
    _, _, nonce, data, tag = sealed.split(".")
    raw = b"".join(base64.urlsafe_b64decode(part + "==") for part in (nonce, data, tag))
    text = f"gw:v1:{b64(raw)}"
    assert slug(crypto(gateway, "decrypt", "reports", {"ciphertext": text}, token)) == "decryption-failed"
    made = base64.urlsafe_b64decode(encrypt(gateway, "reports", b"text", token).split(":")[2] + "==")
    header = '{"alg":"dir","enc":"A256GCM","kid":"reports:v1"}'
    jwe = f"{b64(header.encode())}..{b64(made[:12])}.{b64(made[12:-16])}.{b64(made[-16:])}"
    assert slug(crypto(gateway, "decrypt", "reports", {"ciphertext": jwe}, token)) == "decryption-failed"


# What a proxy in front gets


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/sealed/thing", "response-not-encryptable"),
        ("/fields/thing", "response-not-encryptable"),
        ("/open-sealed/thing", "response-not-encryptable"),
        ("/mine/thing", "response-not-encryptable"),
        ("/taken/ok", "decryption-failed"),
    ],
)
def test_a_proxy_that_would_serve_it_in_the_clear_is_told_no(
    gateway: Gateway, token: str, path: str, reason: str
) -> None:
    forwarded = {
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "localhost",
        "X-Forwarded-Uri": path,
        "X-Forwarded-For": "192.0.2.1",
    }
    reply = gateway.request("GET", "/gateway/v1/check", token=token, headers=forwarded)
    assert reply.status >= 400
    assert slug(reply) == reason
    plain = gateway.request(
        "GET", "/gateway/v1/check", token=token, headers={**forwarded, "X-Forwarded-Uri": "/plain/x"}
    )
    assert plain.status == 200


# What the API never does


def calls(gateway: Gateway) -> list[dict[str, Any]]:
    return [one for one in gateway.audit("--kind", "event") if one["action"].startswith("crypto.")]


def test_nobody_encrypts_or_decrypts_without_a_token_and_the_scope(gateway: Gateway) -> None:
    rita = gateway.login("rita", PASSWORD)["access_token"]
    count = len(calls(gateway))
    for verb in ("encrypt", "decrypt", "rewrap"):
        for key in ("reports", "nothing"):
            body: dict[str, Any] = {"ciphertext": "gw:v1:x", "plaintext": ""}
            nobody = crypto(gateway, verb, key, body, None)
            assert (nobody.status, slug(nobody)) == (401, "credentials-missing")
            other = crypto(gateway, verb, key, body, rita)
            assert (other.status, slug(other)) == (403, "insufficient-scope")
    assert len(calls(gateway)) == count


# What other rules of an upstream mean here


def sent_raw(gateway: Gateway, *requests: bytes) -> list[Any]:
    with Raw(gateway.port) as raw:
        raw.send(b"".join(requests))
        return [raw.reply() for _ in requests]


def asking(method: str, path: str, token: str, *lines: str, body: bytes = b"") -> bytes:
    fields = ["Host: localhost", f"Authorization: Bearer {token}", *lines]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *fields, "", ""]).encode() + body


def test_there_is_a_limit_where_none_is_written(gateway: Gateway, token: str) -> None:
    (reply,) = sent_raw(gateway, asking("POST", "/wide/ok", token, f"Content-Length: {16 * 1024 * 1024 + 1}"))
    assert (reply.status, b"body-too-large" in reply.body) == (413, True)


def test_a_request_that_is_sent_again_has_its_body_again_or_is_not_sent_again(
    gateway: Gateway, upstream: Scripted, token: str
) -> None:
    upstream.says("failing", b"later", status="503 Service Unavailable")
    body = sealed_by_others(b"the body", INBOX).encode()
    count = len(upstream.asked)
    for method in ("GET", "POST"):
        (reply,) = sent_raw(
            gateway, asking(method, "/wide/failing", token, f"Content-Length: {len(body)}", body=body)
        )
        assert reply.status == 503
    assert {one.body for one in upstream.asked[count:]} == {b"the body"}
    count = len(upstream.asked)
    assert gateway.request("GET", "/again/failing", token=token).status == 503
    assert len(upstream.asked) == count + 2, "without a body it is"
