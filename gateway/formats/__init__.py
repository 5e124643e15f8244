"""How other systems want to read an audit record: lines of JSON, CSV, OCSF, ECS, CEF. Pure functions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.formats.cef import CEF
from gateway.formats.ecs import ECS
from gateway.formats.format import Format
from gateway.formats.jsonl import JSONL
from gateway.formats.ocsf import OCSF
from gateway.formats.table import CSV
from gateway.formats.text import json_line, legible

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {format.name: format for format in (JSONL, CSV, OCSF, ECS, CEF)}
)
"""All formats by name."""

__all__ = ["FORMATS", "Format", "json_line", "legible"]
