"""A small real service to put the gateway in front of: what `make run` shows, and what load is tried on."""
