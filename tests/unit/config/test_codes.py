"""The table of codes and the code agree."""

import re
from pathlib import Path

from gateway.config import CODES

GATEWAY = Path(__file__).parents[3] / "gateway"


def test_every_code_that_is_used_is_in_the_table_and_the_other_way_round() -> None:
    used = set()
    for room in ("config", "policy"):
        for path in (GATEWAY / room).rglob("*.py"):
            if path.name != "codes.py":
                used |= set(re.findall(r'"([EW][0-9]{3})"', path.read_text()))
    assert used == set(CODES)
