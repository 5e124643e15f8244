"""Adapters for the ports. Only `gateway.assembly` may import this room."""
