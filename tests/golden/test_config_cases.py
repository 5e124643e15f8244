"""Configuration files with mistakes, and every word that is said about them.

A case is one or both files, each after a line `==> NAME <==`, then a line of dashes, then the findings. A file
that is left out is a sound one. `GOLDEN=write pytest tests/golden` writes what is found now: read the
difference before keeping it.
"""

import os
import re
from pathlib import Path

import pytest

from gateway.config import load_configuration, render_text, summary

CASES = sorted((Path(__file__).parent / "config").glob("*.case"))

SOUND = {
    "policies.yaml": """\
version: 1
scopes: {orders:read: See orders}
roles: {customer: {scopes: [orders:read]}}
authenticators: {gateway: {kind: gateway_jwt}}
defaults: {authn: [gateway]}
routes:
  - {id: orders, match: {methods: [GET], path: /orders}, upstream: orders, require: [orders:read]}
""",
    "upstreams.yaml": """\
version: 1
upstreams:
  orders: {targets: [{url: http://orders.internal:8080}]}
""",
}


def _read(case: Path) -> tuple[dict[str, bytes], str]:
    given, _, expected = case.read_bytes().partition(b"\n----------\n")
    parts = re.split(rb"^==> ([a-z.]+) <==\n", given + b"\n", flags=re.MULTILINE)
    files = dict(zip((name.decode() for name in parts[1::2]), parts[2::2], strict=True))
    return files, expected.decode()


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_mistake_is_answered_with_its_place_and_what_to_write(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files, expected = _read(case)
    for name, sound in SOUND.items():
        (tmp_path / name).write_bytes(files.get(name, sound.encode()))

    loaded = load_configuration(
        Path("policies.yaml"), Path("upstreams.yaml"), environ={"PORT": "8080"}, now=lambda: 1_790_000_000.0
    )

    text = render_text(loaded.findings)
    found = "\n".join(line.rstrip() for line in [*text.splitlines(), summary(loaded.findings)]) + "\n"
    if os.environ.get("GOLDEN") == "write":
        given = case.read_bytes().partition(b"\n----------\n")[0].rstrip(b"\n")
        case.write_bytes(given + b"\n----------\n" + found.encode())
        expected = found
    assert found == expected


def test_there_are_cases() -> None:
    assert len(CASES) > 30
