"""Keys as commands take them: as a JSON Web Key in a file or on stdin, never as an argument, which other
users of the machine could read."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.cli.refusals import complain
from gateway.crypto import JwsMalformed, read_json_object

_LONGEST: Final = 64 * 1024
"""Bytes of a file with one key; that of the longest one is a tenth of it."""


def read_jwk_file(path: str) -> Mapping[str, object] | None:
    """Return the members of a JSON Web Key (RFC 7517) in a file, `-` for stdin; None after saying why there
    are none. What the members mean is for the caller to read."""
    where = "stdin" if path == "-" else path
    try:
        if path == "-":
            text = sys.stdin.buffer.read(_LONGEST + 1)
        else:
            with Path(path).open("rb") as file:
                text = file.read(_LONGEST + 1)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else "it is no path"
        complain(f"--jwk-file {where} cannot be read: {said}")
        return None
    if len(text) > _LONGEST:
        complain(f"--jwk-file {where} is longer than one key can be")
        return None
    try:
        members = read_json_object(text)
    except JwsMalformed as malformed:
        complain(f"--jwk-file {where} holds no JSON Web Key: {malformed}")
        return None
    if "keys" in members and "kty" not in members:
        complain(f"--jwk-file {where} holds a set of keys; write the one that is meant")
        return None
    return members
