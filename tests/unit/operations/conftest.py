"""Operations work on the same parts as the accounts do."""

from unit.accounts.conftest import clock, house, post, secret

__all__ = ["clock", "house", "post", "secret"]
