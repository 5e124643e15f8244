"""From a mail to the message that is sent (RFC 5322)."""

from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, make_msgid

from gateway.ports import Mail, MailRefused


def message_of(mail: Mail, *, sender: str, at: float) -> EmailMessage:
    """Return the message; `at` is when, in seconds since the epoch. Raise `MailRefused`.

    What goes into the header is an address and a subject without line breaks, or there is no message.
    """
    to = _address(mail.to)
    # An address that ASCII cannot write takes a server that knows RFC 6531.
    message = EmailMessage(policy=SMTP if to.addr_spec.isascii() else SMTPUTF8)
    try:
        message["From"] = _address(sender)
        message["To"] = to
        message["Subject"] = mail.subject
    except ValueError:
        raise MailRefused("it would have a line break in its header", final=True) from None
    message["Date"] = format_datetime(datetime.fromtimestamp(at, UTC))
    message["Message-ID"] = make_msgid(domain=_address(sender).domain or "localhost")
    # RFC 3834 section 5: nobody's absence note comes back.
    message["Auto-Submitted"] = "auto-generated"
    # Links stay in one piece where they can.
    message.set_content(mail.text, cte="7bit" if mail.text.isascii() else "quoted-printable")
    return message


def _address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    if "=?" in text:
        # Readers of headers decode it (RFC 2047): it would be another address.
        raise MailRefused("its address cannot be written into a header", final=True)
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            raise MailRefused("the domain of its address has no form for the network", final=True) from None
    try:
        return Address(username=local, domain=domain)
    except ValueError:
        raise MailRefused("its address cannot be written into a header", final=True) from None
