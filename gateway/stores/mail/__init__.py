"""Who takes mails over: a server that speaks SMTP, or a directory."""

from gateway.stores.mail.address import MailAddress, MailUnusable
from gateway.stores.mail.postman import open_postman

__all__ = ["MailAddress", "MailUnusable", "open_postman"]
