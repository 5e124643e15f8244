"""A policy enforcement point: it proves what it did, explains why, and says what would change."""

__version__ = "0.1.0"
