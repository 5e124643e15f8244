"""Commands on their way to Redis (RESP2)."""


def encode(*parts: bytes) -> bytes:
    """Return a command as Redis reads it: an array of bulk strings."""
    return b"*%d\r\n" % len(parts) + b"".join(map(bulk, parts))


def bulk(data: bytes) -> bytes:
    """Return one word of a command."""
    return b"$%d\r\n%b\r\n" % (len(data), data)
