"""The texts of mails: plain, short, and clear about what to do when one did not ask for them."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gateway.ports import Mail

_PLAIN: Final = re.compile(r"[\w-]+")
_WIDTH: Final = 76


@dataclass(frozen=True, slots=True)
class Letters:
    """Writes mails about accounts of the gateway with this public URL."""

    base: str

    def confirm(self, to: str, username: str, link: str) -> Mail:
        """Return the mail that asks to confirm an address."""
        return self._mail(
            to,
            "Confirm your e-mail address",
            f"an account{_called(username)} was made with this address at {self._place}. Confirm that the "
            "address is yours:",
            link,
            "The link works once, within 24 hours.",
            "If you have not made this account, do nothing: it is of no use until the address is confirmed.",
        )

    def waiting(self, to: str, username: str, link: str) -> Mail:
        """Return the mail to the address of an account that is not confirmed, when another is asked for."""
        return self._mail(
            to,
            "Finish your registration",
            f"somebody asked for an account with this address at {self._place}. There is one already"
            f"{_called(username)}, and it waits for its confirmation. If you want it, choose a password for "
            "it; that confirms the address too, and no earlier password works after it:",
            link,
            "The link works once, within 15 minutes.",
            "If you have not asked for an account, do nothing.",
        )

    def known(self, to: str, username: str) -> Mail:
        """Return the mail to the address of an account, when another is asked for."""
        return self._mail(
            to,
            "You already have an account",
            f"somebody asked for an account with this address at {self._place}. You have one already"
            f"{_called(username)}, and nothing was changed. Log in with it; if its password is forgotten, "
            "ask for a new one there.",
            "If it was not you who asked, there is nothing to do.",
        )

    def name_taken(self, to: str, username: str) -> Mail:
        """Return the mail to an address without an account, when the name that was asked for is taken."""
        return self._mail(
            to,
            "Choose another user name",
            f"somebody asked for an account with this address at {self._place}, and the user name"
            f"{_quoted(username)} is taken. No account was made: register again with another name.",
            "If it was not you who asked, there is nothing to do.",
        )

    def reset(self, to: str, username: str, link: str) -> Mail:
        """Return the mail that lets somebody choose a new password."""
        return self._mail(
            to,
            "Choose a new password",
            f"somebody asked for a new password for your account{_called(username)} at {self._place}. "
            "Choose one here:",
            link,
            "The link works once, within 15 minutes, and only the newest does.",
            "If it was not you who asked, do nothing: your password stays as it is.",
        )

    def password_changed(self, to: str, username: str) -> Mail:
        """Return the mail that says that a password was changed."""
        return self._mail(
            to,
            "Your password was changed",
            f"the password of your account{_called(username)} at {self._place} was changed, and other "
            "devices were logged out.",
            "If it was not you, ask for a new password there at once: whoever knows this one is locked "
            "out by that.",
        )

    def factor_begun(self, to: str, username: str) -> Mail:
        """Return the mail that says that an account has a second factor from now on."""
        return self._mail(
            to,
            "Your account asks for a second factor",
            f"an authenticator app was set up for your account{_called(username)} at {self._place}: logging "
            "in takes a code of it, or a recovery code, besides the password.",
            "If it was not you, ask whoever runs the service to remove it, and choose a new password.",
        )

    def factor_removed(self, to: str, username: str) -> Mail:
        """Return the mail that says that an account has no second factor any more."""
        return self._mail(
            to,
            "Your second factor was removed",
            f"the authenticator app and the recovery codes of your account{_called(username)} at "
            f"{self._place} were removed: the password alone is enough to log in.",
            "If it was not you, choose a new password at once, and set up an authenticator app again.",
        )

    @property
    def _place(self) -> str:
        return urlsplit(self.base).netloc

    def _mail(self, to: str, subject: str, *paragraphs: str) -> Mail:
        text = "\n\n".join(("Hello,", *map(_wrapped, paragraphs), self._place))
        return Mail(to=to, subject=f"{subject} ({self._place})", text=text + "\n")


def _called(username: str) -> str:
    quoted = _quoted(username)
    return f" with the user name{quoted}" if quoted else ""


def _quoted(username: str) -> str:
    """Return a user name for a sentence; nothing when a mail program could make a link of it, because
    strangers choose names."""
    return f" {username}" if _PLAIN.fullmatch(username) else ""


def _wrapped(paragraph: str) -> str:
    """Return a paragraph in lines of at most 76 characters; what has no space, as a link, stays whole."""
    lines = [""]
    for word in paragraph.split(" "):
        longer = f"{lines[-1]} {word}".lstrip()
        if len(longer) > _WIDTH and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)
