"""What records say of persons, kept apart from them: sealed once for many requests of one caller.

A record about a person does not say the name, the address or what the client calls itself: all that goes into
the person's part, and the record has a commitment to it.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from gateway.audit.fragments import Introduction
from gateway.audit.record import encode
from gateway.audit.redact import Redactor, storable
from gateway.crypto import PersonalPart, Sealer, seal_parts

Fields = Mapping[str, object]

KEPT: Final = 4096
"""What is kept to be said again; beyond that all is made anew."""
KEPT_BYTES: Final = 8 << 20
"""What all of that takes at most, sealed and as it is looked up."""
_LONGEST_KEPT: Final = 16 << 10
"""Bytes of what is said, sealed and as it is looked up, beyond which it is made anew each time."""


class Said(NamedTuple):
    """What one record says of persons."""

    member: str
    """The member that stands for it in the record, with a comma before it; empty for nothing."""
    personal: bytes
    """It, sealed; empty for nothing."""


NOTHING: Final = Said("", b"")


class Persons:
    """Seals what records say of persons, and keeps what is likely to be said again."""

    __slots__ = ("_bytes", "_kept", "_redactor", "_sealer")

    def __init__(self, sealer: Sealer, redactor: Redactor) -> None:
        self._sealer = sealer
        self._redactor = redactor
        self._kept: dict[tuple[object, ...], Said] = {}
        self._bytes = 0

    def adopt(self, redactor: Redactor) -> None:
        """Say everything as another configuration wants it."""
        self._redactor = redactor
        self._forget()

    def say(self, parts: Sequence[tuple[str, Fields]]) -> Said:
        """Seal what is said of each subject."""
        if not parts:
            return NOTHING
        made = [PersonalPart.of(str(storable(subject)), _told(fields)) for subject, fields in parts]
        member = encode({"personal": {part.subject: part.commitment for part in made}})
        return Said("," + member[1:-1].decode(), seal_parts(self._sealer, made))

    def of_request(
        self, subject: str, known: Introduction, client: str, agent: bytes | None, apart: Fields
    ) -> Said:
        """Seal what a request says of the person behind it, who is not always identified as the caller. Most
        requests say what the one before said.

        `apart` are attributes that the record does not show, as they are to be shown.
        """
        shown = encode(apart) if apart else b""
        name = None if known.subject is None else known.principal.name
        key = (subject, name, client, agent, shown)
        said = self._kept.get(key)
        if said is not None:
            return said
        fields: dict[str, object] = {} if name is None else {"name": name}
        fields["source_ip"] = self._redactor.address(client)
        if agent is not None:
            fields["user_agent"] = self._redactor.agent(agent)
        if apart:
            fields["attributes"] = apart
        said = self.say([(subject, fields)])
        size = len(agent or b"") + len(shown) + len(said.personal)
        if size <= _LONGEST_KEPT:
            if len(self._kept) >= KEPT or self._bytes + size > KEPT_BYTES:
                self._forget()
            self._kept[key] = said
            self._bytes += size
        return said

    def _forget(self) -> None:
        self._kept.clear()
        self._bytes = 0


def _told(fields: Fields) -> dict[str, object]:
    kept = storable(dict(fields))
    return kept if isinstance(kept, dict) else {}
