"""From the setting to who sends mails."""

import ssl
from pathlib import Path

from gateway.ports import Clock, Postman
from gateway.stores.mail.address import MailAddress, MailUnusable
from gateway.stores.mail.outbox import Outbox


def open_postman(address: MailAddress, *, outbox: Path, host: str, clock: Clock) -> Postman:
    """Return who sends mails; `host` is that of the public URL, for a sender when none is set. Nothing is
    connected yet, files of certificates are read. Raise `MailUnusable`."""
    sender = _for_the_network(address.sender or f"gateway@{host}")
    if sender is None:
        raise MailUnusable("from is no address; write from=gateway@example.com")
    if address.scheme == "outbox":
        return Outbox(outbox, sender=sender, clock=clock)
    from gateway.stores.mail.smtp import SmtpPostman  # noqa: PLC0415 - a client that others do not need

    try:
        context = ssl.create_default_context(cafile=address.ca)
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "strerror", None) or "no certificates"
        raise MailUnusable(f"ca: {address.ca} cannot be used: {why}") from None
    return SmtpPostman(address, sender=sender, clock=clock, context=context)


def _for_the_network(sender: str) -> str | None:
    """Return the address of a sender as every server takes it; None when it has no such form."""
    local, _, domain = sender.rpartition("@")
    try:
        plain = f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return None
    is_one = local and domain and plain.isascii() and plain.isprintable() and not set(plain) & set(' <>"')
    return plain if is_one else None
