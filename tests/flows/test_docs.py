"""What the documentation shows is true."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from support.certificates import Authority
from support.gateway import Gateway, eventually, running_gateway
from support.own_server import free_port
from support.pasted import Block, blocks_of, curl_below, expected, gateway_below, paste

from gateway.cli.check import check

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
EXAMPLES = [
    pytest.param(block.text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks_of(page.read_text()))
    if block.language == "yaml"
]
PROXYING = blocks_of((ROOT / "docs" / "proxying.md").read_text())
ROUTE = """\
routes:
  - {id: any, match: {methods: [GET], path: /any}, authn: public, because: For tests, respond: {status: 204}}
"""


def as_file(text: str) -> tuple[str, Mapping[str, Any]]:
    """Return an example as a whole file, and what is in it."""
    text = text if re.search("^version:", text, flags=re.MULTILINE) else f"version: 1\n{text}"
    return text, yaml.safe_load(text)


def policies_for(upstreams: Mapping[str, Any]) -> str:
    """Return a policy with a route to each upstream."""
    routes = "".join(
        f"  - {{id: {name}, match: {{methods: [GET], path: /{name}/**}}, upstream: {name}, authn: public, "
        "because: For tests}\n"
        for name in upstreams
    )
    return f"version: 1\nroutes:\n{routes}"


def completed(policy: str, content: Mapping[str, Any]) -> str:
    """Return a policy with what its routes need and it does not say: scopes, and how callers prove who they
    are."""
    needs = [route.get("require", []) for route in content["routes"]]
    scopes = sorted({scope for need in needs if isinstance(need, list) for scope in need})
    if "authenticators" not in content:
        policy += "authenticators: {gateway: {kind: gateway_jwt}, keys: {kind: api_key, header: x-api-key}}\n"
        policy += "accounts: {registration: closed}\n"
    if "defaults" not in content:
        policy += "defaults: {authn: [gateway]}\n"
    if scopes and "scopes" not in content:
        policy += "scopes:\n" + "".join(f'  "{scope}": For tests\n' for scope in scopes)
        policy += f"roles: {{tester: {{scopes: {scopes}}}}}\n"
    networks = set(re.findall(r"in_network: (\w+)", policy))
    if networks and "networks" not in content:
        policy += "networks: {" + ", ".join(f"{name}: [192.0.2.0/24]" for name in sorted(networks)) + "}\n"
    return policy


def upstreams_for(content: Mapping[str, Any]) -> str:
    """Return an upstreams file with those that the routes name."""
    names = sorted({route["upstream"] for route in content["routes"] if "upstream" in route})
    upstreams = "".join(f'  {name}: {{targets: [{{url: "http://127.0.0.1:9"}}]}}\n' for name in names)
    return f"version: 1\nupstreams:\n{upstreams}" if names else "version: 1\n"


def with_real_files(text: str, authority: Authority) -> str:
    """Return an upstreams file whose certificates and keys are there."""
    pair = authority.issue("gateway", "gateway.test")

    def real(found: re.Match[str]) -> str:
        return f"file:{pair.key if found[1].endswith('.key') else pair.certificate}"

    return re.sub(r"file:(/[^ ,}\n]+)", real, text)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_passes_the_check_without_a_warning(
    example: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, content = as_file(example)
    if "upstreams" in content:
        policies, upstreams = policies_for(content["upstreams"]), text
    else:
        if "routes" not in content:
            text, content = as_file(text + ROUTE)
        policies, upstreams = completed(text, content), upstreams_for(content)
    (tmp_path / "policies.yaml").write_text(policies)
    (tmp_path / "upstreams.yaml").write_text(with_real_files(upstreams, Authority(tmp_path)))
    code = check(
        tmp_path / "policies.yaml", tmp_path / "upstreams.yaml", strict=True, no_secrets=False, output="text"
    )
    assert code == 0, capsys.readouterr().out


class Service:
    """One instance of a service, which may be killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gateway.demo.upstream", "--port", "0", "--until-stdin-ends"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = "http://" + self._process.stdout.readline().strip().rpartition("//")[2]

    def kill(self) -> None:
        with self._process:
            self._process.kill()


class Example:
    """The two files of the page at work, and a shell in which the page's addresses are the real ones."""

    def __init__(self, gateway: Gateway, services: Mapping[str, Service], tools: str) -> None:
        self.gateway = gateway
        self.services = services
        self._addresses = {
            "http://localhost:8000": gateway.url,
            "http://localhost:8001": f"http://127.0.0.1:{gateway.admin_port}",
        }
        self._targets = {doc: service.url for doc, service in services.items()}
        self._path = f"{tools}:{os.environ['PATH']}"

    def paste(self, script: str) -> str:
        """Return what a block of the page prints, in the page's words."""
        script = self.real(script).replace(
            "orders-2.*", self.services["http://orders-2.internal:8080"].url + ".*"
        )
        environ = self.gateway.environ | {"PATH": self._path}
        printed = paste(script, folder=self.gateway.directory, environ=environ)
        for shown, real in self._targets.items():
            printed = printed.replace(real, shown)
        return printed

    def real(self, text: str) -> str:
        """Return a text with the real addresses of the gateway."""
        for shown, real in self._addresses.items():
            text = text.replace(shown, real)
        return text


@contextmanager
def example(directory: Path, change: Callable[[str], str] = str) -> Iterator[Example]:
    """Run the two files that the page begins with, the upstreams changed in some way."""
    upstreams, policies = [block.text for block in PROXYING if block.language == "yaml"][:2]
    services = {url: Service() for url in re.findall(r"http://orders-\d\.internal:8080", upstreams)}
    for shown, service in services.items():
        upstreams = upstreams.replace(shown, service.url)
    port = free_port()
    environ = {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "GATEWAY_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    try:
        with running_gateway(
            directory, policies=policies, upstreams=change(upstreams), environ=environ
        ) as gateway:
            curl_below(directory / "bin")
            yield Example(gateway, services, gateway_below(directory / "bin"))
    finally:
        for service in services.values():
            service.kill()


def follow(shown: Example, block: Block) -> None:
    """Do what a comment of the page says."""
    said = re.fullmatch(r"(orders-\d) stops(, and the checks have seen it)?", block.text)
    assert said is not None, block.text
    service = shown.services[f"http://{said[1]}.internal:8080"]
    service.kill()
    if said[2]:
        gone = f'state="unhealthy",target="{service.url}",upstream="orders",worker="0"}} 1.0'
        metrics = "/metrics"
        eventually(
            lambda: gone in shown.gateway.request("GET", metrics, port=shown.gateway.admin_port).body.decode()
        )


def test_what_the_page_on_proxying_says_to_paste_prints_what_it_says(tmp_path: Path) -> None:
    steps = 0
    # Nobody waits for fifteen seconds here.
    with example(
        tmp_path, lambda text: text.replace("interval: 5s, timeout: 1s", "interval: 200ms, timeout: 200ms")
    ) as shown:
        for block, following in zip(PROXYING, [*PROXYING[1:], Block("", "")], strict=True):
            if block.language == "<!--":
                follow(shown, block)
            elif block.language == "sh":
                printed = shown.paste(block.text).strip()
                promised = expected(following.text if following.language == "text" else "")
                assert re.fullmatch(promised, printed), f"{block.text}\nprinted\n{printed}\nnot\n{promised}"
                steps += 1
    assert steps >= 5


def verifying(shown: Example) -> dict[str, Any]:
    """Return the functions of the page with which a service finds out who asks."""
    known: dict[str, Any] = {}
    for block in PROXYING:
        if block.language == "python":
            exec(shown.real(block.text), known)
    return known


def what_arrived(shown: Example, path: str, token: str) -> dict[str, str]:
    """Return the fields that the service got."""
    reply = shown.gateway.request("GET", path, token=token)
    assert reply.status == 200, reply.body
    return {name.lower(): value for name, value in reply.json["headers"]}


def test_a_service_that_does_what_the_page_says_knows_who_asks(tmp_path: Path) -> None:
    def bound(upstreams: str) -> str:
        return upstreams.replace("    balance:", "    forward: {bind: request}\n    balance:")

    with example(tmp_path, bound) as shown:
        shown.gateway.create_user("rita", "a reader's password")
        token = shown.gateway.login("rita", "a reader's password")["access_token"]
        fields = what_arrived(shown, "/echo/here?x=1", token)
        functions = verifying(shown)
        assertion = fields["x-gateway-assertion"]
        claims = functions["caller"](assertion)
        assert claims["sub"]
        assert claims["auth_kind"] == "gateway_jwt"
        url = f"http://{fields['host']}/echo/here"
        request = {"request_id": fields["x-request-id"], "method": "GET", "url": url}
        assert functions["caller_of"](assertion, **request) == claims
        for other in ({"method": "POST"}, {"url": f"{url}/else"}, {"request_id": "another"}):
            with pytest.raises(jwt.InvalidTokenError):
                functions["caller_of"](assertion, **request | other)
        # Another kind of token with the same keys, and one that somebody has changed.
        head, _, signature = assertion.split(".")
        for wrong in (token, f"{head}.e30.{signature}"):
            with pytest.raises(jwt.PyJWTError):
                functions["caller"](wrong)


def anchors_of(page: Path) -> set[str]:
    """Return what the headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_to_a_part_of_a_page_leads_to_a_heading() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]*)\)", page.read_text()):
            assert anchor in anchors_of(page.parent / target if target else page), (
                f"{page.name}: {target}#{anchor}"
            )
