"""Commands on their way to Redis (RESP2)."""


def encode(*parts: bytes) -> bytes:
    """Return a command as Redis reads it: an array of bulk strings."""
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])
