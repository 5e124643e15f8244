"""Who signs notes, through changes of the master secret."""

import pytest

from gateway.crypto import NoteBroken, NoteSigner, NoteSigners, Roots, names_signer, open_note
from gateway.ports import StoreUnavailable

OTHER = NoteSigner("these-tests", bytes(32))


def signers_of(roots: Roots) -> NoteSigners:
    return NoteSigners("these-tests", roots.keys_for("audit-checkpoints"))


async def test_the_generation_in_use_signs() -> None:
    roots = Roots.new()
    signers = signers_of(roots)
    first = await signers.after(None)
    roots.learn(roots.with_next())
    assert await signers.after(None) is first
    roots.turn()
    second = await signers.after(first.sign("a\n"))
    assert [signer.key for signer in (first, second)] == list(signers.keys)


async def test_behind_a_newer_one_an_older_one_signs_nothing() -> None:
    roots = Roots.new()
    signers, quicker = signers_of(roots), roots.with_next()
    note = (await signers_of(quicker).after(None)).sign("a\n")
    roots.learn(quicker)
    assert roots.current == 1
    assert (await signers.after(note)).key == signers.keys[1]


async def test_a_signer_that_is_not_known_is_looked_for() -> None:
    roots = Roots.new()
    signers, more = signers_of(roots), roots.with_next()
    note = (await signers_of(more).after(None)).sign("a\n")

    async def look() -> None:
        roots.learn(more)

    roots.refresh_with(look)
    assert (await signers.after(note)).key == signers.keys[1]


async def test_a_process_that_cannot_know_the_newest_signs_nothing() -> None:
    roots = Roots.new()
    signers = signers_of(roots)
    note = (await signers_of(roots.with_next()).after(None)).sign("a\n")

    async def look() -> None:
        raise StoreUnavailable("shut out")

    roots.refresh_with(look)
    with pytest.raises(StoreUnavailable):
        await signers.after(note)


@pytest.mark.parametrize("note", [OTHER.sign("a\n"), "no note at all"])
async def test_what_nobody_here_has_signed_stops_nobody(note: str) -> None:
    signers = signers_of(Roots.new())
    assert (await signers.after(note)).key == signers.keys[0]


async def test_a_note_names_who_says_to_have_signed_it() -> None:
    signers = signers_of(Roots.new().with_next())
    note = (await signers.after(None)).sign("a\n")
    assert [names_signer(note, key) for key in signers.keys] == [False, True]
    assert names_signer(note.replace("a\n", "b\n"), signers.keys[1])
    assert open_note(note, signers.keys) == "a\n"
    with pytest.raises(NoteBroken):
        open_note(note, signers.keys[:1])
