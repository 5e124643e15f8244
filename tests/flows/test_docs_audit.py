"""What the page on the audit trail shows is true."""

import re
from pathlib import Path

from support.gateway import eventually, running_gateway
from support.pasted import Block, blocks_of, expected, gateway_below, paste

from gateway.formats import FORMATS
from gateway.model import RECORD_FIELDS, EventKind

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "audit.md").read_text()
POLICIES = """\
version: 1
scopes:
  orders:read: See orders
  orders:write: Make orders
roles:
  customer: {scopes: [orders:read]}
authenticators:
  gateway: {kind: gateway_jwt}
accounts: {registration: closed}
defaults: {authn: [gateway]}
routes:
  - id: orders
    match: {methods: [GET, POST], path: /orders}
    upstream: shop
    require: {GET: [orders:read], POST: [orders:write]}
"""
ELSEWHERE = "/mnt/elsewhere"
"""Where the page keeps the checkpoints."""
UPSTREAMS = 'version: 1\nupstreams: {{shop: {{targets: [{{url: "http://{service}"}}]}}}}\n'


def test_what_the_page_says_to_paste_prints_what_it_says(service: str, tmp_path: Path) -> None:
    tools = gateway_below(tmp_path / "bin")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    page = PAGE.replace(ELSEWHERE, str(elsewhere))
    blocks = [block for block in blocks_of(page) if block.language in ("sh", "text")]
    with running_gateway(
        tmp_path / "gateway",
        policies=POLICIES,
        upstreams=UPSTREAMS.format(service=service),
        environ={"GATEWAY_AUDIT_CHECKPOINTS": f"file:{elsewhere}/checkpoints"},
    ) as gateway:
        gateway.create_user("alice", "a customer's password", "customer")
        token = gateway.login("alice", "a customer's password")["access_token"]
        assert gateway.request("GET", "/orders", token=token).status == 200
        assert gateway.request("GET", "/orders").status == 401
        assert gateway.request("POST", "/orders", token=token, body={}).status == 403
        eventually(lambda: gateway.audit("reason:insufficient-scope"))
        eventually((elsewhere / "checkpoints").exists)
        environ = gateway.environ | {"PATH": f"{tools}:{gateway.environ['PATH']}"}
        steps = 0
        for block, following in zip(blocks, [*blocks[1:], Block("", "")], strict=True):
            if block.language == "sh":
                printed = paste(block.text, folder=gateway.directory, environ=environ).strip()
                promised = expected(following.text if following.language == "text" else "")
                assert re.fullmatch(promised, printed), f"{block.text}\nprinted\n{printed}\nnot\n{promised}"
                steps += 1
    assert steps >= 10


def test_the_page_names_every_field_and_format() -> None:
    assert [name for name in RECORD_FIELDS if f"`{name}`" not in PAGE] == []
    assert [name for name in FORMATS if f"| `{name}` |" not in PAGE] == []


def test_the_page_has_a_class_for_every_event() -> None:
    families = [re.escape(found).replace(r"\*", ".*") for found in re.findall(r"`([a-z_]+\.[a-z_*]+)`", PAGE)]
    assert [kind for kind in EventKind if not any(re.fullmatch(one, kind) for one in families)] == []
