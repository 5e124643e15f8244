"""Signed notes: as the specification writes them, opened only when a known key has signed just this text."""

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto import NoteBroken, NoteKey, NoteSigner, open_note

SIGNER = NoteSigner("gateway-audit", bytes(range(32)))
OTHER = NoteSigner("gateway-audit", bytes(32))
TEXT = "gateway audit checkpoint 1\nnumber 1\n"

# The example of https://c2sp.org/signed-note and of Go's golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_note_of_another_implementation_is_opened() -> None:
    text = open_note(GO_NOTE, [NoteKey.parse(GO_KEY)])
    assert text.startswith("If you think cryptography")
    assert text.endswith("your problem is.\n")


def test_a_note_has_its_text_a_blank_line_and_a_signature() -> None:
    note = SIGNER.sign(TEXT)
    text, _, below = note.partition("\n\n")
    assert text + "\n" == TEXT
    assert below.startswith("— gateway-audit ")
    assert b64decode(below.rsplit(" ", 1)[1])[:4] == SIGNER.key.id
    assert open_note(note, [OTHER.key, SIGNER.key]) == TEXT


def test_the_same_seed_gives_the_same_key() -> None:
    assert NoteSigner("gateway-audit", bytes(32)).key == OTHER.key
    assert OTHER.key != SIGNER.key


@pytest.mark.parametrize("text", ["", "no line break", "a tab\t\n", "a return\r\n", "\x00\n"])
def test_a_text_that_a_note_cannot_have_is_not_signed(text: str) -> None:
    with pytest.raises(ValueError, match="consists of lines"):
        SIGNER.sign(text)


def test_a_text_may_have_blank_lines_of_its_own() -> None:
    assert open_note(SIGNER.sign("a\n\nb\n\n"), [SIGNER.key]) == "a\n\nb\n\n"


@given(place=st.integers(0, 200), char=st.characters(codec="utf-8"))
def test_a_note_in_which_anything_was_changed_is_not_opened(place: int, char: str) -> None:
    note = SIGNER.sign(TEXT)
    place %= len(note)
    if note[place] == char:
        return
    with pytest.raises(NoteBroken):
        open_note(note[:place] + char + note[place + 1 :], [SIGNER.key])


@given(st.text())
def test_any_text_is_opened_or_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(NoteBroken):
        open_note(text, [SIGNER.key])


def test_what_others_sign_below_does_not_matter() -> None:
    witness = NoteSigner("witness.example.com", b"w" * 32)
    note = SIGNER.sign(TEXT)
    line = witness.sign(TEXT).rsplit("\n\n", 1)[1]
    assert open_note(note + line, [SIGNER.key]) == TEXT
    assert open_note(note.replace("— gateway", line + "— gateway"), [SIGNER.key]) == TEXT
    with pytest.raises(NoteBroken, match="no known key"):
        open_note(note, [witness.key])


def test_another_keys_signature_under_our_name_does_not_count() -> None:
    with pytest.raises(NoteBroken, match="no known key"):
        open_note(OTHER.sign(TEXT), [SIGNER.key])
    # Nor with our key's id before it.
    text, _, below = OTHER.sign(TEXT).rpartition("\n\n")
    data = b64decode(below.rsplit(" ", 1)[1])
    forged = b64encode(SIGNER.key.id + data[4:]).decode()
    with pytest.raises(NoteBroken, match="not that of its text"):
        open_note(f"{text}\n\n— gateway-audit {forged}\n", [SIGNER.key])


def test_a_note_with_hundreds_of_signatures_is_refused() -> None:
    note = SIGNER.sign(TEXT)
    line = note.rsplit("\n\n", 1)[1]
    with pytest.raises(NoteBroken, match="no signed note"):
        open_note(note + line * 64, [SIGNER.key])


def test_a_key_is_its_text() -> None:
    assert NoteKey.parse(str(SIGNER.key)) == SIGNER.key
    assert str(NoteKey.parse(GO_KEY)) == GO_KEY


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no Ed25519 key"),
        ("name", "no Ed25519 key"),
        ("name+00000000+!!!", "no Ed25519 key"),
        ("name+00000000+AA==", "no Ed25519 key"),
        (GO_KEY.replace("c74f20a3", "c74f20a4"), "cut or changed"),
        (GO_KEY.replace("c74f20a3", "C74F20A3"), "cut or changed"),
        (GO_KEY.replace("Peter", "Paul"), "cut or changed"),
        (GO_KEY[:-4], "no Ed25519 key"),
        (GO_KEY.replace("PeterNeumann", ""), "no blanks"),
        (GO_KEY.replace("PeterNeumann", "Peter Neumann"), "no blanks"),
    ],
)
def test_a_text_that_is_no_key_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        NoteKey.parse(text)


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        NoteKey(name="a", public=b"")
