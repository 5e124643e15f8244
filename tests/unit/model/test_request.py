"""Header lines, and what a client asks for with them."""

import pytest

from gateway.model import Fields, wants_websocket

UPGRADE = (b"Upgrade", b"websocket")
CONNECTION = (b"Connection", b"Upgrade")


@pytest.mark.parametrize(
    ("lines", "version", "wanted"),
    [
        ([UPGRADE, CONNECTION], (1, 1), True),
        ([(b"UPGRADE", b"WebSocket"), (b"connection", b"keep-alive, upgrade")], (1, 1), True),
        ([(b"Upgrade", b"h2c, websocket"), CONNECTION], (1, 1), True),
        ([UPGRADE, (b"Connection", b"keep-alive"), CONNECTION], (1, 1), True),
        ([UPGRADE, CONNECTION], (1, 0), False),
        ([UPGRADE], (1, 1), False),
        ([CONNECTION], (1, 1), False),
        ([UPGRADE, (b"Connection", b"upgrade-insecure")], (1, 1), False),
        ([(b"Upgrade", b"websockets"), CONNECTION], (1, 1), False),
        ([(b"Upgrade", b"h2c"), CONNECTION], (1, 1), False),
    ],
)
def test_websocket_is_wanted_when_both_fields_say_so_in_http_1_1(
    lines: list[tuple[bytes, bytes]], version: tuple[int, int], wanted: bool
) -> None:
    assert wants_websocket(Fields(lines), version) is wanted
