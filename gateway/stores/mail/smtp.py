"""Mails over SMTP (RFC 5321), each on a connection of its own."""

import asyncio
import ssl
from typing import Final

import aiosmtplib

from gateway.ports import Clock, Mail, MailRefused
from gateway.stores.mail.address import MailAddress
from gateway.stores.mail.message import message_of

SECONDS: Final = 20.0
"""How long the server may take for one mail, from the connection to the end."""
_PERMANENT: Final = 500
"""RFC 5321 section 4.2.1: from here on a reply says that trying again changes nothing."""


class SmtpPostman:
    """A server that takes mails over. `context` says whom to believe that it is that server."""

    def __init__(self, address: MailAddress, *, sender: str, clock: Clock, context: ssl.SSLContext) -> None:
        self._address = address
        self._sender = sender
        self._clock = clock
        self._context = context

    async def send(self, mail: Mail) -> None:
        """Return when the server has taken the mail over. Raise `MailRefused`; `final` when it is this mail
        that it will never take."""
        message = message_of(mail, sender=self._sender, at=self._clock.now())
        address = self._address
        client = aiosmtplib.SMTP(
            hostname=address.host,
            port=address.port,
            use_tls=address.scheme == "smtps",
            start_tls=False if address.scheme == "smtps" else address.starttls,
            tls_context=self._context,
            # Said first to the server (RFC 5321 section 4.1.1.1), and no name of the network inside.
            local_hostname=self._sender.rpartition("@")[2],
            timeout=SECONDS,
        )
        try:
            async with asyncio.timeout(SECONDS), client:
                if address.username:
                    await client.login(address.username, address.password)
                await client.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            codes = [each.code for each in refused.recipients]
            final = all(code >= _PERMANENT for code in codes)
            raise MailRefused(f"{self._place} refused the recipient: {codes[0]}", final=final) from None
        except aiosmtplib.SMTPNotSupported:
            raise MailRefused(f"{self._place} cannot take its address", final=True) from None
        except aiosmtplib.SMTPDataError as refused:
            final = refused.code >= _PERMANENT
            raise MailRefused(f"{self._place} refused the mail: {refused.code}", final=final) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailRefused(f"{self._place}: {_said(error)}") from None

    @property
    def _place(self) -> str:
        return f"{self._address.scheme}://{self._address.host}:{self._address.port}"


def _said(error: Exception) -> str:
    """Return what went wrong, without what the server has quoted of us."""
    cause = error if error.__cause__ is None else error.__cause__
    match error, cause:
        case aiosmtplib.SMTPAuthenticationError(), _:
            return "the name or the password is not accepted"
        case aiosmtplib.SMTPResponseException(code=code), _:
            return f"it answered {code}"
        case _, ssl.SSLCertVerificationError(verify_message=message):
            return f"its certificate cannot be verified: {message}"
        case _, ssl.SSLError():
            return "TLS failed"
        case aiosmtplib.SMTPTimeoutError() | TimeoutError(), _:
            return f"no answer within {SECONDS:.0f} seconds"
        case _, OSError(strerror=str(why)):
            return why
        case aiosmtplib.SMTPException(message=str(message)), _ if "STARTTLS" in message:
            return "it offers no STARTTLS; write starttls=never to send mails in the clear"
        case _:
            return type(error).__name__
