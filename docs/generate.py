"""Write docs/reference and schemas from the code: `make docs`. With `--check`: only fail when one is old.

What people would have to keep in step by hand is not written by hand.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main
from generate_endpoints import endpoints_page

from gateway.cli.main import app
from gateway.config import json_schema
from gateway.model import STATUS_AND_TITLE, Reason
from gateway.observability import families
from gateway.settings import FROM_FILES, NOT_YET, PREFIX, Settings, TrustedProxies

ROOT = Path(__file__).parents[1]
NOTE = "<!-- Written by `make docs` from the code. -->\n\n"


SETTINGS = """\
# Process settings

Environment variables; `gateway serve` has flags of the same names for the first of them, and a flag counts
before the variable. An unknown `GATEWAY_*` name, or a value that does not parse, stops the start. Ignored are
`GATEWAY_TEST_*`, and what Kubernetes injects (`GATEWAY_SERVICE_*`, `GATEWAY_PORT`, `GATEWAY_PORT_*`).

Durations are written `500ms`, `10s`, `5min`, `1h`, `7d`; sizes `512B`, `8KiB`, `10MiB`, `1GiB`. `..._FILE`
names a file that holds the value.

| variable | default | meaning |
|---|---|---|"""

PROBLEMS = """\
# Problems

Every answer that the gateway makes in place of the service is `application/problem+json` (RFC 9457): `type`
is `urn:gateway:problem:` and the slug; `instance` is `urn:uuid:` and the request's id, which is also in the
log, in the audit record and in the field `X-Request-Id`. The slug is the record's `reason`.

| slug | status | title |
|---|---|---|"""

METRICS = """\
# Metrics

`GET /metrics` on the operators' listener, in the text format of Prometheus, or as OpenMetrics for whom
accepts `application/openmetrics-text`. One page for all processes of a gateway: counters are sums that do not
fall when a process is replaced; what makes no sum has the label `worker`. A series appears when there is
something to count.

No label has a value that a client chose: `route`, `upstream` and `limit` are names of the configuration,
everything else comes from tables of the program.

| metric | kind | labels | meaning |
|---|---|---|---|"""


def settings_page() -> str:
    """Return the table of process settings."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        variable = f"`{PREFIX}{name.upper()}`"
        if name in FROM_FILES:
            variable += f", `{PREFIX}{name.upper()}_FILE`"
        shown = "" if default in (None, "", ()) else f"`{_shown(name, default)}`"
        rows.append(f"| {variable} | {shown} | {field.description} |")
    missing = [
        f"`{PREFIX}{name.upper()}`: {what}"
        for name, what in NOT_YET.items()
        if name not in Settings.model_fields
    ]
    lines = [SETTINGS, *rows, "", "Not supported by this version, and refused when set:", ""]
    return "\n".join([*lines, *(f"* {line}" for line in missing), ""])


def _shown(name: str, value: object) -> str:
    """Return a default as an operator would write it."""
    if isinstance(value, float):
        return f"{value:g}s"
    if isinstance(value, int) and name.endswith("_bytes"):
        return f"{value // 1024}KiB"
    if isinstance(value, int) and name.endswith("_limit"):
        return f"{value // 1024**3}GiB"
    return "none" if value == TrustedProxies() else str(value)


def problems_page() -> str:
    """Return the table of refusals and failures."""
    rows = [
        f"| `{reason.value}` | {status} | {title} |"
        for reason, (status, title) in STATUS_AND_TITLE.items()
        if reason is not Reason.OK
    ]
    return "\n".join([PROBLEMS, *rows, ""])


def metrics_page() -> str:
    """Return the table of metrics, and the buckets of the histograms."""
    rows = [
        f"| `{name}` | {family.kind.value} | {', '.join(f'`{label}`' for label in family.all_labels)} "
        f"| {family.help} |"
        for name, family in families.FAMILIES.items()
    ]
    bounds = [
        f"* `{name}`: {', '.join(f'{bound:g}' for bound in family.bounds)}"
        for name, family in families.FAMILIES.items()
        if family.bounds
    ]
    return "\n".join([METRICS, *rows, "", "Upper bounds of the buckets, in seconds:", "", *bounds, ""])


def commands_page() -> str:
    """Return every command with its options."""
    root: Any = typer.main.get_command(app)
    lines = ["# Commands", "", "Also `python -m gateway`. Every command knows `--help`.", ""]
    for path, command in _commands("gateway", root):
        lines += [f"## {path}", "", str(command.help).strip(), ""]
        options = [parameter for parameter in command.params if parameter.name != "help"]
        if options:
            lines += ["| option | meaning |", "|---|---|"]
            lines += [f"| {_option(each)} | {getattr(each, 'help', None) or ''} |" for each in options]
            lines.append("")
        if command.epilog:
            lines += [f"{command.epilog.replace('Example: ', 'Example: `', 1)}`", ""]
    return "\n".join(lines)


def _option(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from _commands(f"{path} {name}", child)


PAGES: Mapping[str, Callable[[], str]] = {
    "docs/reference/commands.md": lambda: NOTE + commands_page(),
    "docs/reference/endpoints.md": lambda: NOTE + endpoints_page(),
    "docs/reference/metrics.md": lambda: NOTE + metrics_page(),
    "docs/reference/problems.md": lambda: NOTE + problems_page(),
    "docs/reference/settings.md": lambda: NOTE + settings_page(),
    "schemas/policies-v1.json": lambda: json_schema("policies"),
    "schemas/upstreams-v1.json": lambda: json_schema("upstreams"),
}


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description="Write docs/reference and schemas from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a page is old")
    options = parser.parse_args()
    old = []
    for name, make in PAGES.items():
        file, text = ROOT / name, make()
        if not file.exists() or file.read_text() != text:
            old.append(name)
            if not options.check:
                file.parent.mkdir(exist_ok=True)
                file.write_text(text)
    if old and options.check:
        print(f"not what the code says: {', '.join(old)}. Write them with `make docs`.", file=sys.stderr)
        return 1
    print("\n".join(f"written: {name}" for name in old) or "What is written from the code is current.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
