"""What commands say when the answer is no: one sentence each, on stderr, without a traceback."""

import asyncio
import sys
from collections.abc import Coroutine

from gateway.accounts import AccountRefusal
from gateway.model import Reason
from gateway.ports import AuditUnavailable, StoreUnavailable

FAILED = 1
USAGE = 2


def complain(message: str) -> None:
    """Print one sentence to stderr."""
    print(f"gateway: {message}", file=sys.stderr)


def explain_refusal(refusal: AccountRefusal) -> int:
    """Say why not, everything at once; return the exit code: what was written cannot be taken, or it was
    refused for how things are."""
    if refusal.detail is not None:
        complain(refusal.detail)
    else:
        for error in refusal.errors:
            complain(f"{error['field']} {error['message']}")
        if not refusal.errors:
            complain(refusal.reason.value)
    return USAGE if refusal.reason is Reason.INVALID_REQUEST else FAILED


def run_command(work: Coroutine[None, None, int]) -> int:
    """Run a command to its end and return its exit code; a store that cannot answer is one sentence."""
    try:
        return asyncio.run(work)
    except AuditUnavailable as unavailable:
        complain(f"nothing was done, because it could not be recorded: {unavailable}")
    except StoreUnavailable as unavailable:
        complain(str(unavailable))
    return FAILED
