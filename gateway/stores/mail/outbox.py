"""Mails as files in a directory: for trying things out, and for whoever sends them in another way."""

import asyncio
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from gateway.ports import Clock, Mail, MailRefused
from gateway.stores.mail.message import message_of


class Outbox:
    """A directory of `.eml` files. A file appears under its name when it is whole; names sort by time."""

    def __init__(self, directory: Path, *, sender: str, clock: Clock) -> None:
        self._directory = directory
        self._sender = sender
        self._clock = clock

    async def send(self, mail: Mail) -> None:
        """Write one file. Raise `MailRefused`."""
        now = self._clock.now()
        content = message_of(mail, sender=self._sender, at=now).as_bytes()
        name = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}.eml"
        try:
            await asyncio.to_thread(self._write, name, content)
        except OSError as error:
            raise MailRefused(f"cannot write to {self._directory}: {error.strerror}") from None

    def _write(self, name: str, content: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._directory / f".{name}"
        # Links in it are as good as a password for as long as they live.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        draft.rename(self._directory / name)
