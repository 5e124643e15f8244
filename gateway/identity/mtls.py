"""Authenticator: certificates that clients showed when they connected, whose chains were verified then."""

from typing import ClassVar, Final

from gateway.identity.base import ABSENT, Answer, Authenticator, Rejected, SubjectPart
from gateway.model import ClientCertificate, Principal, PrincipalKind, RequestHead
from gateway.ports import Clock

_LONGEST: Final = 512
"""Characters of a name."""
_MOST_KNOWN: Final = 10_000


class Mtls(Authenticator):
    """Certificates as principals, named by one part of them.

    The principal's id is `AUTHENTICATOR|NAME`: it stays the same when a certificate is renewed, or signed by
    another authority, as long as that part of it does. A certificate that has no such part, or several, names
    nobody and is rejected. Its roles come from grants alone.
    """

    kind: ClassVar[str] = "mtls"
    fields: frozenset[bytes] = frozenset()

    def __init__(self, name: str, *, subject: SubjectPart, clock: Clock) -> None:
        self.name = name
        self._part = subject
        self._now = clock.now
        self._known: dict[str, Principal | Rejected] = {}
        """By fingerprint."""

    async def identify(self, head: RequestHead) -> Answer:
        """Say who holds the certificate of this connection."""
        certificate = head.certificate
        if certificate is None:
            return ABSENT
        known = self._known.get(certificate.fingerprint)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[certificate.fingerprint] = self._read(certificate)
        # It was good when the client connected, which may be long ago.
        if isinstance(known, Principal) and self._now() >= certificate.not_after:
            return Rejected("the certificate has expired", subject=known.subject)
        return known

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        """Return the same principal: nobody tells of certificates that were revoked."""
        return principal

    def challenge(self, *, rejected: bool) -> str:  # noqa: ARG002 - there is nothing to add about a bad one
        """Return `ClientCertificate realm="gateway"`. No such scheme is registered; the form is that of RFC
        9110 section 11.6.1, and section 15.5.2 asks for a challenge in every 401.
        """
        return 'ClientCertificate realm="gateway"'

    def _read(self, certificate: ClientCertificate) -> Principal | Rejected:
        names = names_in(certificate, self._part)
        if len(names) != 1:
            return Rejected(f"the certificate has {len(names) or 'no'} {self._part}, and not one")
        (name,) = names
        if not name.isprintable() or not 0 < len(name) <= _LONGEST:
            return Rejected(f"the {self._part} of the certificate is no name")
        id_ = f"{self.name}|{name}"
        return Principal(
            id=id_,
            kind=PrincipalKind.EXTERNAL,
            name=name,
            authn=self.name,
            authn_kind=self.kind,
            expires_at=certificate.not_after,
            subject=id_,
        )


def names_in(certificate: ClientCertificate, part: SubjectPart) -> tuple[str, ...]:
    """Return what a part of a certificate says; several where it says several."""
    match part:
        case "san_uri":
            return certificate.san_uri
        case "san_dns":
            return certificate.san_dns
        case "san_email":
            return certificate.san_email
        case "subject":
            return (certificate.subject,) if certificate.subject else ()
        case "fingerprint":
            return (certificate.fingerprint,)
