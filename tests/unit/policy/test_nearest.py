"""Suggestions."""

from gateway.policy.nearest import nearest


def test_the_most_similar_name_is_suggested_and_nothing_far_fetched() -> None:
    assert nearest("ofice", ["office", "blocked"]) == "office"
    assert nearest("xyz", ["office", "blocked"]) is None
    assert nearest("office", []) is None
