"""TLS on the clients' listener, as real clients meet it: one process and several, and a certificate renewed."""

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.certificates import Authority, KeyPair
from support.commands import commands
from support.gateway import Gateway, eventually, running_gateway
from support.servers import redis_url
from support.websocket_servers import WebsocketUpstream, websocket_upstream
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

POLICIES = """\
version: 1
scopes: {things:read: See things}
roles: {reader: {scopes: [things:read]}}
authenticators:
  gateway: {kind: gateway_jwt}
  machines: {kind: mtls, subject: san_uri}
grants:
  - {role: reader, from: [machines], when: {client.cert.san_uri: {prefix: "spiffe://example.com/"}}}
accounts: {registration: open, default_roles: [reader]}
defaults: {authn: [gateway]}
deny:
  - {id: stolen, when: {client.cert.fingerprint: {present: true}, header.x-stolen: {present: true}}}
routes:
  - {id: open, match: {methods: [GET, POST], path: /echo/open}, upstream: echo, authn: public, because: For tests}
  - {id: big, match: {methods: [GET], path: /download}, upstream: service, authn: public, because: For tests}
  - id: upload
    match: {methods: [POST], path: /upload}
    upstream: service
    authn: public
    because: For tests
    body: {max_request: unlimited}
  - {id: orders, match: {methods: [GET], path: /orders}, upstream: service, authn: [machines], require: [things:read]}
  - {id: both, match: {methods: [GET], path: /echo/both}, upstream: echo, authn: [gateway], also: [machines], require: authenticated}
  - {id: any, match: {methods: [GET], path: /echo/any}, upstream: echo, authn: [gateway, machines], require: authenticated}
  - {id: events, match: {methods: [GET], path: /events}, upstream: service, authn: [machines], require: authenticated}
  - {id: ws, match: {methods: [GET], path: /ws/**}, upstream: ws, authn: [machines], require: authenticated, websocket: true}
"""

UPSTREAMS = """\
version: 1
upstreams:
  service: {targets: [{url: "http://${env:TEST_SERVICE}"}]}
  echo: {targets: [{url: "http://${env:TEST_SERVICE}"}], forward: {identity: headers}}
  ws: {targets: [{url: "http://127.0.0.1:${env:WS_PORT}"}]}
"""


class Site:
    """A gateway that speaks TLS, and clients that trust it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.authority = Authority(folder)
        self.pair = self.authority.issue("site", "localhost", "127.0.0.1")
        self.environ = {
            "GATEWAY_TLS_CERT": str(self.pair.certificate),
            "GATEWAY_TLS_KEY": str(self.pair.key),
            "GATEWAY_TLS_CLIENT_CA": str(self.authority.file),
            "GATEWAY_PUBLIC_URL": "https://localhost",
        }
        self.gateway: Gateway

    def trust(self, own: KeyPair | None = None) -> ssl.SSLContext:
        """Return what a client connects with, that shows a certificate or none."""
        context = ssl.create_default_context(cafile=self.authority.file)
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
        return context

    def connect(self, own: KeyPair | None = None) -> http.client.HTTPSConnection:
        """Return a client."""
        return http.client.HTTPSConnection(
            "localhost", self.gateway.port, timeout=20, context=self.trust(own)
        )

    def get(
        self, path: str, own: KeyPair | None = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of one request."""
        client = self.connect(own)
        try:
            client.request("GET", path, headers=dict(headers or {}))
            answer = client.getresponse()
            return answer.status, answer.read()
        finally:
            client.close()

    def token(self) -> str:
        """Return an access token of a new user."""
        name = f"user{os.urandom(4).hex()}"
        self.gateway.create_user(name, "a user's password", "reader")
        client = self.connect()
        body = json.dumps({"username": name, "password": "a user's password"})
        client.request("POST", "/gateway/v1/auth/login", body, {"Content-Type": "application/json"})
        token: str = json.loads(client.getresponse().read())["access_token"]
        client.close()
        return token


@pytest.fixture(scope="module")
def pages() -> Iterator[WebsocketUpstream]:
    """A service that speaks WebSocket."""
    with websocket_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def site(service: str, pages: WebsocketUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One gateway for all that leave it as it was."""
    folder = tmp_path_factory.mktemp("tls")
    made = Site(folder / "certificates")
    environ = {**made.environ, "TEST_SERVICE": service, "WS_PORT": str(pages.port)}
    with running_gateway(folder, policies=POLICIES, upstreams=UPSTREAMS, environ=environ) as made.gateway:
        yield made


@pytest.fixture
def own_site(service: str, tmp_path: Path) -> Iterator[Site]:
    """One of one's own, not yet running."""
    made = Site(tmp_path / "certificates")
    environ = {**made.environ, "TEST_SERVICE": service, "WS_PORT": "1"}
    made.gateway = Gateway(tmp_path, policies=POLICIES, upstreams=UPSTREAMS, environ=environ)
    yield made
    made.gateway.kill()


def curl(site: Site, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["curl", "-sS", "--cacert", str(site.authority.file), *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def url(site: Site, path: str) -> str:
    return f"https://localhost:{site.gateway.port}{path}"


def test_a_service_is_told_that_the_client_came_over_https(site: Site) -> None:
    status, body = site.get("/echo/open", headers={"X-Forwarded-Proto": "http"})
    assert status == 200
    fields = {name.lower(): value for name, value in json.loads(body)["headers"]}
    assert fields["x-forwarded-proto"] == "https"


@pytest.mark.parametrize("version", ["--tlsv1.2 --tls-max 1.2", "--tlsv1.3"])
def test_curl_keeps_its_connection_and_sends_large_bodies(site: Site, tmp_path: Path, version: str) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(3_000_000))
    sent = curl(
        site,
        *version.split(),
        "--data-binary",
        f"@{large}",
        "-w",
        "%{http_code} %{ssl_verify_result} %{http_version}\n",
        url(site, "/upload"),
        "--next",
        "-sS",
        "--cacert",
        str(site.authority.file),
        *version.split(),
        "-w",
        "%{num_connects}\n",
        "-o",
        str(tmp_path / "got"),
        url(site, "/download?bytes=3000000"),
    )
    assert sent.stderr == ""
    # The second request needed no connection of its own.
    assert sent.stdout.split("\n")[-2:] == ["0", ""]
    assert "200 0 1.1" in sent.stdout
    assert (tmp_path / "got").stat().st_size > 0


def test_the_versions_are_those_that_are_safe(site: Site) -> None:
    for flag, is_good in (("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
        done = subprocess.run(
            [
                *("openssl", "s_client", flag, "-cipher", "ALL:@SECLEVEL=0", "-alpn", "h2,http/1.1"),
                *("-connect", f"localhost:{site.gateway.port}"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert ("Cipher is (NONE)" not in done.stdout) is is_good
        if is_good:
            assert "ALPN protocol: http/1.1" in done.stdout


def test_plain_http_is_closed_without_an_answer_and_counted(site: Site) -> None:
    done = curl(site, f"http://localhost:{site.gateway.port}/echo/open")
    assert done.returncode in {52, 56}
    assert done.stdout == ""
    metrics = site.gateway.request("GET", "/metrics", port=site.gateway.admin_port).body.decode()
    assert 'gateway_tls_handshakes_total{result="not_tls"}' in metrics
    assert "gateway_tls_certificate_expiry_timestamp_seconds" in metrics
    assert "gateway_tls_files_unusable 0" in metrics


def test_a_slow_handshake_keeps_nobody_else_waiting(site: Site) -> None:
    with socket.create_connection(("localhost", site.gateway.port)) as slow:
        slow.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert site.get("/echo/open")[0] == 200


def test_a_machine_is_known_by_its_certificate(site: Site) -> None:
    job = site.authority.issue("job", "spiffe://example.com/job")
    assert site.get("/orders", job)[0] == 200
    assert site.get("/orders")[0] == 401
    # Nothing grants it a role.
    assert site.get("/orders", site.authority.issue("odd", "spiffe://example.org/job"))[0] == 403
    # Neither names one holder.
    for names in ((), ("spiffe://example.com/a", "spiffe://example.com/b"), ("job.example.com",)):
        assert site.get("/orders", site.authority.issue("vague", *names))[0] == 401
    status, body = site.get("/echo/any", job)
    assert status == 200
    fields = {name.lower(): value for name, value in json.loads(body)["headers"]}
    assert fields["x-gateway-subject"] == "machines|spiffe://example.com/job"
    assert (fields["x-gateway-roles"], fields["x-gateway-auth-kind"]) == ("reader", "mtls")


def test_the_record_names_the_machine_and_what_decided(site: Site) -> None:
    job = site.authority.issue("teller", "spiffe://example.com/teller")
    assert site.get("/orders", job)[0] == 200

    def found() -> object:
        records = site.gateway.audit("--actor", "machines|spiffe://example.com/teller")
        return [each for each in records if each["kind"] == "decision"]

    (record,) = eventually(found)
    assert record["actor"]["kind"] == "external"
    assert (record["authn"], record["roles"]) == ("machines", ["reader"])
    assert record["attributes"]["client.cert.san_uri"] == "spiffe://example.com/teller"


def test_a_certificate_that_does_not_hold_never_gets_as_far_as_a_request(site: Site, tmp_path: Path) -> None:
    for bad in (
        site.authority.issue("late", "spiffe://example.com/job", ended=True),
        Authority(tmp_path, "Another").issue("foreign", "spiffe://example.com/job"),
    ):
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            site.get("/orders", bad)


def test_a_certificate_in_addition_is_not_the_caller(site: Site) -> None:
    job = site.authority.issue("job", "spiffe://example.com/job")
    bearer = {"Authorization": f"Bearer {site.token()}"}
    assert site.get("/echo/both", headers=bearer)[0] == 401
    assert site.get("/echo/both", job)[0] == 401
    assert site.get("/echo/both", site.authority.issue("vague"), headers=bearer)[0] == 401
    status, body = site.get("/echo/both", job, headers=bearer)
    assert status == 200
    fields = {name.lower(): value for name, value in json.loads(body)["headers"]}
    assert fields["x-gateway-subject"].startswith("usr_")
    # Where both may say who is asking, they must say the same.
    status, body = site.get("/echo/any", job, headers=bearer)
    assert (status, json.loads(body)["type"]) == (400, "urn:gateway:problem:credentials-conflicting")


def test_a_rule_may_look_at_the_certificate_of_anybody(site: Site) -> None:
    job = site.authority.issue("job", "spiffe://example.com/job")
    stolen = {"X-Stolen": "yes"}
    assert site.get("/echo/open", job, headers=stolen)[0] == 403
    assert site.get("/echo/open", headers=stolen)[0] == 200
    assert site.get("/echo/open", job)[0] == 200


def test_a_stream_ends_with_the_certificate_and_so_do_later_requests(site: Site) -> None:
    short = site.authority.issue("short", "spiffe://example.com/short", lasts=3.0)
    client = site.connect(short)
    client.request("GET", "/orders")
    answer = client.getresponse()
    assert (answer.status, bool(answer.read())) == (200, True)
    streaming = site.connect(short)
    streaming.request("GET", "/events")
    stream = streaming.getresponse()
    assert stream.status == 200
    ended = threading.Event()

    def listen() -> None:
        try:
            while stream.readline():
                pass
        except (OSError, http.client.HTTPException):
            pass
        ended.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert ended.wait(8)
    client.request("GET", "/orders")
    late = client.getresponse()
    assert (late.status, json.loads(late.read())["type"]) == (
        401,
        "urn:gateway:problem:credentials-invalid",
    )
    client.close()
    streaming.close()


def opened(site: Site, own: KeyPair) -> ClientConnection:
    """Return a WebSocket over TLS that says back what it is sent."""
    return connect(
        f"wss://localhost:{site.gateway.port}/ws/echo",
        ssl=site.trust(own),
        server_hostname="localhost",
        proxy=None,
        max_size=None,
    )


def test_a_websocket_goes_through_tls_both_ways(site: Site) -> None:
    with opened(site, site.authority.issue("page", "spiffe://example.com/page")) as page:
        for message in ("text", os.urandom(3), os.urandom(2_000_000)):
            page.send(message)
            assert page.recv(timeout=20) == message
        page.close(4000, "done")
        assert page.close_code == 4000


def test_a_websocket_ends_with_the_certificate(site: Site) -> None:
    with opened(site, site.authority.issue("brief", "spiffe://example.com/brief", lasts=2.0)) as page:
        page.send("here")
        assert page.recv(timeout=20) == "here"
        with pytest.raises(ConnectionClosed):
            page.recv(timeout=10)
        assert page.close_code == 1008


@pytest.mark.slow
def test_several_workers_speak_tls_and_take_a_renewed_certificate(own_site: Site, tmp_path: Path) -> None:
    gateway = own_site.gateway
    gateway.environ |= {"GATEWAY_WORKERS": "2", "GATEWAY_REDIS_URL": redis_url()}
    gateway.start()
    job = own_site.authority.issue("job", "spiffe://example.com/job")
    kept = [own_site.connect(job) for _ in range(6)]
    for client in kept:
        client.request("GET", "/orders")
        answer = client.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)

    renewed = own_site.authority.issue("renewed", "localhost", "127.0.0.1")
    for old, new in ((own_site.pair.certificate, renewed.certificate), (own_site.pair.key, renewed.key)):
        fresh = tmp_path / "fresh"
        shutil.copy(new, fresh)
        fresh.replace(old)

    def shown() -> bytes:
        with (
            socket.create_connection(("localhost", gateway.port)) as plain,
            own_site.trust().wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            return secured.getpeercert(binary_form=True) or b""

    wanted = ssl.PEM_cert_to_DER_cert(renewed.certificate.read_text())
    eventually(lambda: all(shown() == wanted for _ in range(8)), within=10)
    # Whoever was connected is none the wiser.
    for client in kept:
        client.request("GET", "/orders")
        answer = client.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
        client.close()
    assert gateway.stop() == 0


def test_files_that_cannot_be_used_later_are_told_and_the_old_ones_stay(own_site: Site) -> None:
    gateway = own_site.gateway.start()
    own_site.pair.certificate.write_text("noise")
    eventually(lambda: gateway.events("tls_files_unusable"), within=10)
    assert own_site.get("/echo/open")[0] == 200
    metrics = gateway.request("GET", "/metrics", port=gateway.admin_port).body.decode()
    assert "gateway_tls_files_unusable 1" in metrics
    ready = gateway.readyz()
    assert ready.status == 200
    assert b"the certificate is not PEM" in ready.body


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_start_without_files_that_can_be_used_is_refused_with_a_sentence(
    own_site: Site, workers: str
) -> None:
    other = own_site.authority.issue("other")
    environ = own_site.gateway.environ | {"GATEWAY_TLS_KEY": str(other.key)}
    if workers != "1":
        environ |= {"GATEWAY_WORKERS": workers, "GATEWAY_REDIS_URL": "redis://127.0.0.1:1"}
    done = commands().run("serve", cwd=own_site.gateway.directory, env=environ)
    assert done.returncode == 2
    assert "the key does not belong to the certificate" in done.stderr
    assert "Traceback" not in done.stderr
