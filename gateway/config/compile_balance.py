"""From `balance` as it is written to how a target is chosen."""

from gateway.config.documents import HashDocument, UpstreamDocument
from gateway.config.places import Origin, Path
from gateway.config.snapshot import BalanceKind
from gateway.config.source import SourceFile
from gateway.config.words import did_you_mean, quoted
from gateway.policy import Attribute, Flaw, Names, find_attribute

_FIXED = (
    "client.ip",
    "host",
    "principal.id",
    *(f"client.cert.{part}" for part in ("subject", "fingerprint", "san_uri", "san_dns", "san_email")),
)
_FAMILIES = ("claims", "header", "query")
_EXAMPLES = "write client.ip, principal.id, claims.NAME, header.NAME, query.NAME, client.cert.NAME or host"


def compile_balance(
    document: UpstreamDocument, source: SourceFile, path: Path
) -> tuple[BalanceKind, Attribute | None]:
    """Return the way of choosing, and for `hash` what is chosen by; what is wrong with it is reported.

    `path` is that of the upstream.
    """
    balance = document.balance
    if not isinstance(balance, HashDocument):
        return balance or "round_robin", None
    return "hash", _attribute(balance.hash, source, (*path, "balance", "hash"))


def _attribute(name: str, source: SourceFile, path: Path) -> Attribute | None:
    origin = source.origin(path)
    if origin is Origin.UNREAD:
        return None
    shown = quoted(name) if origin is Origin.WRITTEN else f"the value of {quoted(source.written(path) or '')}"
    family, _, rest = name.partition(".")
    if family == "path" and rest:
        source.report(
            "E107",
            path,
            f"{shown} means nothing here: an upstream does not know its routes' paths",
            _EXAMPLES,
        )
        return None
    try:
        found = find_attribute(name, Names(networks={}, schedules={}, params=None, roles=frozenset()))
    except Flaw as flaw:
        source.report(flaw.code, path, f"{shown} is no attribute", _meant(name, origin))
        return None
    if name not in _FIXED and family not in _FAMILIES:
        source.report("E109", path, f"{shown} does not tell callers apart", _EXAMPLES)
        return None
    return found


def _meant(name: str, origin: Origin) -> str:
    """Return what to write instead; a value from outside is not repeated, not even nearly."""
    rest = name.partition(".")[2]
    known = [*_FIXED, *(f"{family}.{rest or 'NAME'}" for family in _FAMILIES)]
    if origin is not Origin.WRITTEN or name in known:
        return _EXAMPLES
    return did_you_mean(name, known, otherwise=_EXAMPLES) or _EXAMPLES
