"""What is kept of tokens, and for how many."""

import pytest

from gateway.identity import FOREIGN
from gateway.identity.token_memory import MOST_CHARACTERS, MOST_TOKENS, TokenMemory


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def filled(count: int, *, length: int = 1) -> TokenMemory[str]:
    memory: TokenMemory[str] = TokenMemory()
    for number in range(count):
        memory.keep(digest(number), f"token {number}", length=length)
    return memory


def test_what_is_known_of_a_token_is_found_again() -> None:
    memory = filled(1)
    memory.keep_foreign(digest(7))
    assert memory.find(digest(0)) == "token 0"
    assert memory.find(digest(7)) is FOREIGN
    assert memory.find(digest(8)) is None
    assert repr(memory) == "TokenMemory(good=1, foreign=1)"


def test_the_tokens_that_were_used_last_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.identity.token_memory.MOST_TOKENS", 3)
    memory = filled(3)
    memory.find(digest(0))
    memory.keep(digest(3), "token 3", length=1)
    assert [memory.find(digest(number)) for number in range(4)] == ["token 0", None, "token 2", "token 3"]
    assert MOST_TOKENS == 10_000


def test_long_tokens_are_kept_in_smaller_numbers() -> None:
    fits = MOST_CHARACTERS // 16_384
    memory = filled(fits + 5, length=16_384)
    assert repr(memory) == f"TokenMemory(good={fits}, foreign=0)"
    assert memory.find(digest(4)) is None
    assert memory.find(digest(5)) == "token 5"
    # One that is kept again is counted once.
    for _ in range(3):
        memory.keep(digest(5), "token 5", length=16_384)
    assert repr(memory) == f"TokenMemory(good={fits}, foreign=0)"


def test_what_anybody_can_write_makes_no_good_token_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.identity.token_memory.MOST_TOKENS", 3)
    memory = filled(3)
    for number in range(100, 110):
        memory.keep_foreign(digest(number))
    assert [memory.find(digest(number)) for number in range(3)] == ["token 0", "token 1", "token 2"]
    assert repr(memory) == "TokenMemory(good=3, foreign=3)"


def test_whose_a_token_is_does_not_change_with_the_keys() -> None:
    memory = filled(2, length=MOST_CHARACTERS // 2)
    memory.keep_foreign(digest(7))
    memory.forget_good()
    assert memory.find(digest(0)) is None
    assert memory.find(digest(7)) is FOREIGN
    memory.keep(digest(1), "token 1", length=MOST_CHARACTERS)
    assert memory.find(digest(1)) == "token 1"
