"""From `audit:` and from all conditions to what is recorded of a request, and how it is shown."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gateway.audit import Redaction
from gateway.config.documents import AuditDocument
from gateway.config.snapshot import Recorded
from gateway.config.source import SourceFile
from gateway.config.words import quoted
from gateway.identity import AuthenticatorSpec
from gateway.policy import Attribute, Facts, Names, find_attribute

_CREDENTIALS = frozenset(
    {"header.authorization", "header.dpop", "header.proxy-authorization", "header.cookie"}
)
_ADDRESS = "client.ip"
_AGENT = "header.user-agent"
_NOWHERE_ELSE = ("claims.", "header.", "query.", "authn.", "client.cert.")
"""Attributes that no other field of the record has. The agent has a field of its own."""
_NO_NAMES = Names(networks={}, schedules={}, params=None, roles=frozenset())


def compile_redaction(
    document: AuditDocument, source: SourceFile, authenticators: Mapping[str, AuthenticatorSpec]
) -> Redaction:
    """Return what is not shown in full; what is wrong with it is reported."""
    credentials = credential_fields(authenticators)
    mask = document.mask
    masked = [] if mask is None else mask.fields
    hashed = document.hash or []
    seen: set[str] = set()
    for path, fields in ((("audit", "mask", "fields"), masked), (("audit", "hash"), hashed)):
        for index, name in enumerate(fields):
            here = (*path, index)
            if name in credentials:
                source.report(
                    "E109", here, f"{quoted(name)} is a credential: it is never recorded", "remove it"
                )
            elif name in seen and name in masked and name in hashed:
                source.report(
                    "E127", here, f"{quoted(name)} is masked and hashed", "keep it in one of the two lists"
                )
            elif name in seen:
                source.report("E118", here, f"the field {quoted(name)} is named twice", "name it once")
            seen.add(name)
    return Redaction(
        masked=frozenset(masked), visible=0 if mask is None else mask.visible, hashed=frozenset(hashed)
    )


def credential_fields(authenticators: Mapping[str, AuthenticatorSpec]) -> frozenset[str]:
    """Return the attributes that are credentials."""
    keys = {f"header.{spec.header}" for spec in authenticators.values() if spec.header is not None}
    return _CREDENTIALS | keys


def compile_recorded(referenced: Iterable[str], redaction: Redaction, *, unread: frozenset[str]) -> Recorded:
    """Return what is recorded where conditions look at some attributes.

    Fields that are masked or hashed are recorded too: that is what somebody names them for. Those of the
    query are in the path. Of what is `unread`, credentials and whatever is only asked to be there, as in
    `query.access_token: {present: false}`, the value is nobody's business.
    """
    listed = redaction.masked | redaction.hashed
    named = {name for name in listed if not name.startswith("query.")} - {_ADDRESS}
    wanted = {name for name in referenced if name.startswith(_NOWHERE_ELSE)} | named
    found = [
        _presence(attribute) if attribute.name in unread - listed else attribute
        for attribute in (find_attribute(name, _NO_NAMES) for name in sorted(wanted - {_AGENT}))
    ]
    return Recorded(
        request=tuple(each for each in found if not _is_of_caller(each)),
        caller=tuple(each for each in found if _is_of_caller(each)),
    )


def _is_of_caller(attribute: Attribute) -> bool:
    return attribute.name.startswith(("claims.", "authn."))


def _presence(attribute: Attribute) -> Attribute:
    """Return an attribute that says only whether it is there."""
    read = attribute.read

    def is_there(facts: Facts) -> str | None:
        return None if read(facts) is None else "***"

    return replace(attribute, read=is_there)
