from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto import HEAD_BYTES, beginning, link

WRITER = "0199c5a8-0000-4000-8000-000000000001"
RECORDS = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=12)


def heads(bodies: list[bytes], *, first: int = 1) -> list[bytes]:
    head, found = beginning(WRITER), []
    for number, body in enumerate(bodies, first):
        head = link(head, number, body)
        found.append(head)
    return found


def test_a_head_is_what_the_page_says_it_is() -> None:
    before = sha256(b"gateway audit chain 1\n" + WRITER.encode()).digest()
    assert beginning(WRITER) == before
    assert link(before, 258, b"{}") == sha256(before + bytes([2, 1, 0, 0, 0, 0, 0, 0]) + b"{}").digest()
    assert len(before) == HEAD_BYTES


def test_writers_begin_apart() -> None:
    assert beginning(WRITER) != beginning(WRITER[:-1] + "2")


@given(RECORDS, st.data())
def test_every_head_from_a_changed_record_on_is_another(bodies: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(bodies) - 1))
    changed = [*bodies[:place], bodies[place] + b"x", *bodies[place + 1 :]]
    before, after = heads(bodies), heads(changed)
    assert before[:place] == after[:place]
    assert all(one != other for one, other in zip(before[place:], after[place:], strict=True))


@given(RECORDS, st.data())
def test_a_removed_record_shows_in_every_later_head(bodies: list[bytes], data: st.DataObject) -> None:
    bodies = [*bodies, b"last"]
    place = data.draw(st.integers(0, len(bodies) - 2))
    assert heads(bodies)[-1] != heads(bodies[:place] + bodies[place + 1 :])[-1]


def test_the_number_is_part_of_the_link() -> None:
    assert heads([b"one", b"two"]) != heads([b"one", b"two"], first=2)
