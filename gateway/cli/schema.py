"""`gateway schema`: the JSON Schema of a file, for editors that complete and check while one writes."""

import sys

from gateway.config import json_schema


def schema(which: str) -> int:
    """Print the JSON Schema of `policies` or `upstreams`. Return 0, 2 for another name."""
    match which:
        case "policies" | "upstreams":
            print(json_schema(which), end="")
            return 0
        case _:
            print(f'gateway: there is no schema "{which}": write policies or upstreams', file=sys.stderr)
            return 2
