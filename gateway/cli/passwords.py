"""Passwords as commands take them: from stdin or a prompt, never from an argument, which other users of the
machine could read."""

import getpass
import sys

from gateway.cli.refusals import complain


def read_password(*, from_stdin: bool) -> str | None:
    """Return the password, None after saying why there is none. On a terminal it is asked for twice."""
    if from_stdin:
        return _from_stdin()
    if not sys.stdin.isatty():
        complain(
            "there is no terminal to ask for the password on: write it to stdin and add --password-stdin"
        )
        return None
    try:
        password = getpass.getpass("Password: ")
        again = getpass.getpass("Once more: ")
    except EOFError:
        complain("no password was given")
        return None
    if password != again:
        complain("the two passwords differ")
        return None
    return password


def _from_stdin() -> str | None:
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        complain("the password on stdin is not UTF-8")
        return None
    # One line break at the end is the shell's; anything else belongs to the password, or is a mistake.
    password = text.removesuffix("\n").removesuffix("\r")
    if "\n" in password:
        complain("the password on stdin has more than one line")
        return None
    return password
