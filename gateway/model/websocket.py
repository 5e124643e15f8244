"""What is wrong with a WebSocket handshake, before anybody is asked whether it may be made (RFC 6455)."""

import re
from typing import Final

from gateway.model.reason import Reason
from gateway.model.request import Framing, RequestHead

WEBSOCKET_VERSION: Final = b"13"
"""The version of the protocol that is spoken, and that a 426 names."""

# 16 bytes in base64. What the last digit's four spare bits hold is nobody's business: the key is a nonce.
_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")


def websocket_flaw(head: RequestHead) -> Reason | None:
    """Return why a request that `wants_websocket` is not a proper handshake (RFC 6455 section 4.2.1), None
    when it is one.

    `UPGRADE_REQUIRED` when it speaks another version, else `MALFORMED_REQUEST`. `Upgrade` has to offer
    `websocket` and nothing else: of several offers, the upstream might take another than is meant here.
    """
    fields = head.fields
    offers = fields.one(b"upgrade")
    if (
        head.method != "GET"
        or head.framing is Framing.CHUNKED
        or head.content_length
        or offers is None
        or offers.lower() != b"websocket"
    ):
        return Reason.MALFORMED_REQUEST
    if fields.one(b"sec-websocket-version") != WEBSOCKET_VERSION:
        return Reason.UPGRADE_REQUIRED
    key = fields.one(b"sec-websocket-key")
    return Reason.MALFORMED_REQUEST if key is None or _KEY.fullmatch(key) is None else None
