"""Who signs notes: the newest generation of the roots, and never an older one behind a newer one.

So whoever gets hold of a root that was replaced can sign nothing that anybody would believe from then on.
"""

from collections.abc import Sequence

from gateway.crypto.note import NoteKey, NoteSigner, names_signer
from gateway.crypto.roots import FIRST, DerivedKeys


class NoteSigners:
    """The signers of one name: one for each generation."""

    __slots__ = ("_keys", "_name", "_signers")

    def __init__(self, name: str, keys: DerivedKeys) -> None:
        self._name = name
        self._keys = keys
        self._signers: list[NoteSigner] = []

    @property
    def keys(self) -> Sequence[NoteKey]:
        """The public halves, the oldest first: what notes may be signed with."""
        return [signer.key for signer in self._all()]

    async def after(self, note: str | None) -> NoteSigner:
        """Return who signs the note that follows another; None: it is the first.

        Raise `StoreUnavailable` when that one was signed by a generation that this process cannot know.
        """
        signers = self._all()
        if note is not None and not any(names_signer(note, signer.key) for signer in signers):
            await self._keys.roots.refresh()
            signers = self._all()
        number = self._keys.current - FIRST
        for younger in range(number + 1, len(signers)):
            if note is not None and names_signer(note, signers[younger].key):
                number = younger
        return signers[number]

    def _all(self) -> Sequence[NoteSigner]:
        while (generation := len(self._signers) + FIRST) in self._keys:
            self._signers.append(NoteSigner(self._name, self._keys[generation]))
        return self._signers
