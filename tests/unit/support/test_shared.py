"""Of those who need the same, one works."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.shared import worked_out_once


def test_whoever_asks_is_given_what_the_first_has_worked_out(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    worked: list[int] = []

    def work() -> dict[str, list[int]]:
        worked.append(len(worked))
        return {"worked": worked}

    name = tmp_path_factory.mktemp("shared").name
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(worked_out_once, name, work, tmp_path_factory) for _ in range(8)]
        assert [one.result() for one in asked] == [{"worked": [0]}] * 8


def test_who_fails_leaves_the_work_to_the_next(tmp_path_factory: pytest.TempPathFactory) -> None:
    name = tmp_path_factory.mktemp("failed").name
    with pytest.raises(ZeroDivisionError):
        worked_out_once(name, lambda: 1 / 0, tmp_path_factory)
    assert worked_out_once(name, lambda: 1, tmp_path_factory) == 1
