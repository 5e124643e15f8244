"""Adapters that keep everything in this process: the product for a single one, and what tests use."""

from gateway.stores.memory.blocks import FollowedBlocks
from gateway.stores.memory.counters import MemoryCounters
from gateway.stores.memory.revocations import FollowedRevocations

__all__ = ["FollowedBlocks", "FollowedRevocations", "MemoryCounters"]
