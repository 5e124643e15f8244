"""Records as the contract has them: one JSON object a line."""

from typing import Final

from gateway.formats.format import Format
from gateway.formats.text import json_line

JSONL: Final = Format(name="jsonl", media_type="application/x-ndjson", line=json_line)
"""Lines of JSON, every field of the contract in its order."""
