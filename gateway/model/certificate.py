"""The certificate that a client has proved to hold, as far as anybody asks about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """A certificate whose chain was verified when the connection was made (RFC 5280)."""

    subject: str
    """Distinguished name as in RFC 4514."""
    issuer: str
    """Distinguished name of whoever signed it."""
    serial: str
    """Serial number in lower-case hexadecimal."""
    fingerprint: str
    """SHA-256 of the whole certificate in lower-case hexadecimal."""
    san_uri: tuple[str, ...] = ()
    san_dns: tuple[str, ...] = ()
    san_email: tuple[str, ...] = ()
    not_after: float
    """When it expires, in seconds since the epoch."""
