"""What the page on encryption shows in JavaScript does what the page says."""

import json
import subprocess
from pathlib import Path

import pytest
from flows_encryption import make_client, make_key, symmetric_jwk
from joserfc.jwk import ECKey
from support.gateway import running_gateway
from support.node import FOLDER
from support.pasted import blocks_of

BLOCKS = blocks_of((Path(__file__).resolve().parents[2] / "docs" / "encryption.md").read_text())
UPSTREAMS = 'version: 1\nupstreams: {shop: {targets: [{url: "http://${env:TEST_SERVICE}"}]}}\n'


@pytest.mark.usefixtures("node")
def test_a_client_with_jose_reads_and_is_read_as_the_page_has_it(service: str, tmp_path: Path) -> None:
    policies = next(block.text for block in BLOCKS if block.language == "yaml")
    (script,) = (block.text for block in BLOCKS if block.language == "mjs")
    pair = ECKey.generate_key("P-256", auto_kid=True)
    with running_gateway(
        tmp_path / "gateway", policies=policies, upstreams=UPSTREAMS, environ={"TEST_SERVICE": service}
    ) as gateway:
        inbox = make_key(gateway, "inbox")
        token = make_client(gateway, "ledger", json.dumps(pair.as_dict(private=False)), role="clerk").token()
        for name, text in (
            ("private", json.dumps(pair.as_dict(private=True))),
            ("inbox", symmetric_jwk(inbox)),
        ):
            (tmp_path / f"{name}.jwk").write_text(text)
            script = script.replace(f'"{name}.jwk"', json.dumps(str(tmp_path / f"{name}.jwk")))
        script = script.replace("https://api.example.com", gateway.url).replace("ACCESS_TOKEN", token)
        done = subprocess.run(
            ["node", "--input-type=module"],
            cwd=FOLDER,
            input=script,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert (done.stdout, done.stderr) == ("false\n12\n", "")
