"""Adapters for what is kept by other servers of the web."""

from gateway.stores.http.pages import HttpPages

__all__ = ["HttpPages"]
