"""What the page on encryption shows is true."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flows_encryption import make_client
from support.gateway import Gateway, running_gateway
from support.pasted import blocks_of, curl_below, expected, gateway_below, paste

from gateway.model import EventKind

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "encryption.md").read_text()
BLOCKS = blocks_of(PAGE)
POLICIES = next(block.text for block in BLOCKS if block.language == "yaml")
UPSTREAMS = 'version: 1\nupstreams: {shop: {targets: [{url: "http://${env:TEST_SERVICE}"}]}}\n'
RULE = "=== next ==="


@pytest.fixture
def gateway(service: str, tmp_path: Path) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path / "gateway", policies=POLICIES, upstreams=UPSTREAMS, environ={"TEST_SERVICE": service}
    ) as running:
        yield running


def test_what_the_page_says_to_paste_prints_what_it_says(gateway: Gateway, tmp_path: Path) -> None:
    blocks = [block for block in BLOCKS if block.language in {"sh", "text"}]
    steps = [
        (block.text, after.text if after is not None and after.language == "text" else "")
        for block, after in zip(blocks, [*blocks[1:], None], strict=True)
        if block.language == "sh"
    ]
    assert len(steps) >= 8
    tools = curl_below(tmp_path / "bin")
    path = f"{gateway_below(tmp_path / 'bin')}:{gateway.environ['PATH']}"
    assert tools is None or tools in path
    script = f"echo '{RULE}'\n".join(text for text, _ in steps).replace("http://localhost:8000", gateway.url)
    printed = paste(script, folder=gateway.directory, environ=gateway.environ | {"PATH": path})
    for (text, promised), output in zip(steps, printed.split(f"{RULE}\n"), strict=True):
        assert re.fullmatch(expected(promised), output.strip()), f"{text}\nprinted\n{output}\nnot\n{promised}"


def test_a_client_that_is_written_as_the_page_says_reads_and_is_read(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, client = (block.text for block in BLOCKS if block.language == "python")
    monkeypatch.chdir(tmp_path)
    exec(keys, {})
    inbox = next(block.text for block in BLOCKS if "inbox.jwk" in block.text).splitlines()[0]
    paste(inbox, folder=tmp_path, environ=gateway.environ)
    given = (tmp_path / "inbox.jwk").read_text()
    assert gateway.run("crypto-keys", "create", "inbox", "--jwk-file", "-", stdin=given).returncode == 0
    token = make_client(gateway, "ledger", (tmp_path / "public.jwk").read_text(), role="clerk").token()
    exec(client.replace("https://api.example.com", gateway.url).replace("ACCESS_TOKEN", token), {})
    assert capsys.readouterr().out == "False\n12\n"


def test_the_page_names_every_event_of_encryption() -> None:
    kinds = [kind for kind in EventKind if kind.startswith(("crypto", "client.key"))]
    assert [kind for kind in kinds if f"`{kind}`" not in PAGE] == []
