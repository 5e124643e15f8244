"""What a connection does on plain sockets it does with TLS under it: the same tests once more."""

from collections.abc import Iterator
from functools import partial

import pytest
from support.listening import listening
from support.secured import Secured
from unit.edge import test_connection, test_listener

_ONLY_PLAIN = {
    # The client of these tests loses bytes at an end that it is told before it has read everything.
    "test_the_last_answer_reaches_a_slow_client_whole",
    # Whoever is cut off without a word never gets as far as TLS.
    "test_so_many_that_not_all_can_be_told_are_cut_off",
}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    """One certificate for all of them."""
    return Secured(tmp_path_factory.mktemp("secured"))


@pytest.fixture(autouse=True)
def _over_tls(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everybody listens and connects over TLS."""
    over_tls = partial(listening, tls=secured.tls, trust=secured.trust())
    for module in (test_connection, test_listener):
        monkeypatch.setattr(module, "listening", over_tls)
    yield
    assert secured.tls.fault is None


globals().update(
    {
        name: test
        for module in (test_connection, test_listener)
        for name, test in vars(module).items()
        if name.startswith("test_") and name not in _ONLY_PLAIN
    }
)
