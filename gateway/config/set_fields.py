"""Header fields that the files set: which of them are nobody's to set, and which are set twice."""

from gateway.config.places import Path, find_node
from gateway.config.source import SourceFile
from gateway.config.words import quoted

FRAMING = ("content-length", "transfer-encoding")
"""Without these a message cannot be read."""
_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        *FRAMING,
    }
)
_OURS = frozenset({"via", "forwarded", "x-request-id", "x-real-ip"})
_OUR_PREFIXES = ("x-gateway-", "x-forwarded-")
# Upstreams that turn names into variables take `_` and `.` for `-`.
_SPELLINGS = str.maketrans("_.", "--")


def check_set_fields(source: SourceFile, path: Path, *, is_request: bool) -> None:
    """Report what is wrong with the names of the fields that the mapping at a path sets.

    Fields of one hop and of framing are the gateway's own business (RFC 9110 section 7.6.1).
    """
    node = None if source.root is None else find_node(source.root, path)
    if node is None or node.fields is None:
        return
    seen: dict[str, str] = {}
    for written in node.fields:
        name = written.lower()
        if name in seen:
            source.report(
                "E118",
                (*path, written),
                f"the field is set already, as {quoted(seen[name])}",
                "names are compared without case",
                key=True,
            )
        seen[name] = written
        folded = name.translate(_SPELLINGS)
        if folded == "host" and is_request:
            source.report(
                "E109",
                (*path, written),
                "the Host of a request is not set here",
                "write forward: {host: upstream}",
                key=True,
            )
        elif (
            folded in _HOP
            or (is_request and (folded in _OURS or folded.startswith(_OUR_PREFIXES)))
            or folded == "x-request-id"
        ):
            source.report(
                "E109",
                (*path, written),
                f"{quoted(written)} is the gateway's own business",
                "remove it",
                key=True,
            )
