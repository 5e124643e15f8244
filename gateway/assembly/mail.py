"""Mails, put together: who asks for them, who writes them, who sends them."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.accounts import Correspondence, Letters, Links, MailRound
from gateway.assembly.stores import StartRefused, Stores
from gateway.ports import CounterStore
from gateway.stores.mail import MailAddress, MailUnusable, open_postman


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What the accounts need to have mails sent, and what is to run for that."""

    links: Links
    round: MailRound


def open_mail(stores: Stores, counters: CounterStore) -> Mail:
    """Put it together; nothing is connected yet. Raise `StartRefused` when the setting names no way to send
    mail."""
    settings, clock = stores.settings, stores.clock
    try:
        postman = open_postman(
            MailAddress.parse(settings.smtp_url),
            outbox=settings.data_dir / "outbox",
            host=urlsplit(settings.issuer).hostname or "localhost",
            clock=clock,
        )
    except MailUnusable as unusable:
        raise StartRefused(f"GATEWAY_SMTP_URL: {unusable}") from None
    links = Links(store=stores.links, base=settings.issuer, clock=clock)
    correspondence = Correspondence(
        users=stores.users, links=links, letters=Letters(settings.issuer), counters=counters
    )
    return Mail(links=links, round=MailRound(stores.mailing, correspondence, postman, clock))
