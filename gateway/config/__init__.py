"""The two files: read strictly, checked whole, and turned into one snapshot."""

from gateway.config.codes import CODES, Severity, severity_of
from gateway.config.current import Current
from gateway.config.finding import Finding, has_errors
from gateway.config.json_pointers import write_pointer
from gateway.config.load import Loaded, Tally, load_configuration
from gateway.config.render import render_github, render_json, render_sarif, render_text, summary
from gateway.config.schema import json_schema
from gateway.config.snapshot import (
    BalanceKind,
    CircuitRules,
    CorsRules,
    ForwardRules,
    HealthRules,
    OpenAfter,
    OutlierRules,
    Plan,
    PoolRules,
    Recorded,
    Respond,
    ResponseEncryption,
    Retries,
    Rewrite,
    Snapshot,
    Target,
    Timeouts,
    TlsRules,
    Upstream,
    WebsocketRules,
)

__all__ = [
    "CODES",
    "BalanceKind",
    "CircuitRules",
    "CorsRules",
    "Current",
    "Finding",
    "ForwardRules",
    "HealthRules",
    "Loaded",
    "OpenAfter",
    "OutlierRules",
    "Plan",
    "PoolRules",
    "Recorded",
    "Respond",
    "ResponseEncryption",
    "Retries",
    "Rewrite",
    "Severity",
    "Snapshot",
    "Tally",
    "Target",
    "Timeouts",
    "TlsRules",
    "Upstream",
    "WebsocketRules",
    "has_errors",
    "json_schema",
    "load_configuration",
    "render_github",
    "render_json",
    "render_sarif",
    "render_text",
    "severity_of",
    "summary",
    "write_pointer",
]
