"""What the documentation shows is true."""

import re
from pathlib import Path

from gateway.config import load_configuration, render_text

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_policy_of_the_how_to_loads_without_a_finding_worth_a_warning(tmp_path: Path) -> None:
    (policy,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "policies.md").read_text(), re.DOTALL)
    (tmp_path / "policies.yaml").write_text(policy)
    (tmp_path / "upstreams.yaml").write_text(
        'version: 1\nupstreams: {shop: {targets: [{url: "http://127.0.0.1:9"}]}}\n'
    )
    loaded = load_configuration(tmp_path / "policies.yaml", tmp_path / "upstreams.yaml", environ={})
    assert loaded.snapshot is not None, render_text(loaded.findings)
    assert not [one for one in loaded.findings if one.code.startswith(("E", "W30"))], loaded.findings
