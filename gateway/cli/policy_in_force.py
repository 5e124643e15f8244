"""The policy as far as commands need it: to tell a typing error in a role or a scope from a new name."""

import os
from collections.abc import Iterable
from difflib import get_close_matches

from gateway.cli.refusals import complain
from gateway.config import Snapshot, load_configuration
from gateway.settings import Settings


def policy_in_force(settings: Settings) -> Snapshot | None:
    """Return the configuration that the two files make, None (and a word on stderr) when they make none."""
    loaded = load_configuration(settings.policies, settings.upstreams, environ=os.environ)
    if loaded.snapshot is None:
        complain(
            f"names of roles and scopes are not checked, because {settings.policies} and "
            f"{settings.upstreams} do not load; `gateway check` says why"
        )
    return loaded.snapshot


def unknown_name(what: str, names: Iterable[str], known: frozenset[str]) -> str | None:
    """Return a sentence about the first name that does not exist, and the nearest that does; None: all do."""
    for name in names:
        if name not in known:
            near = get_close_matches(name, sorted(known), n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(known)) or 'none'}"
            )
            return f"there is no {what} {name!r}; {hint}"
    return None
