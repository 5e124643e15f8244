"""Builds the running whole; the only room that knows every other. Resources are opened and closed here.

Commands work on the stores alone, and come in by this door; what listens imports `whole`, which takes as long
to load as everything else together.
"""

from gateway.assembly.commanding import at_the_command_line
from gateway.assembly.stores import Patience, StartRefused, StoreAway, Stores, open_stores

__all__ = ["Patience", "StartRefused", "StoreAway", "Stores", "at_the_command_line", "open_stores"]
