"""Reading certificates: what a client has shown, and whether a certificate and a key belong together."""

from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.model import ClientCertificate

_UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the parser raises for a certificate that it cannot make sense of."""


class CertificateUnusable(Exception):
    """A certificate or a key is of no use. The text says why, and quotes nothing of it."""


def read_client_certificate(der: bytes) -> ClientCertificate:
    """Return what a certificate says, whose chain somebody else has verified. Raise `CertificateUnusable`.

    Host names come in lower case, the names of subject and issuer as in RFC 4514.
    """
    try:
        read = x509.load_der_x509_certificate(der)
        names = _alternative_names(read)
        return ClientCertificate(
            subject=read.subject.rfc4514_string(),
            issuer=read.issuer.rfc4514_string(),
            serial=f"{read.serial_number:x}",
            fingerprint=sha256(der).hexdigest(),
            san_uri=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
            san_dns=tuple(name.lower() for name in names.get_values_for_type(x509.DNSName)),
            san_email=tuple(names.get_values_for_type(x509.RFC822Name)),
            not_after=read.not_valid_after_utc.timestamp(),
        )
    except _UNREADABLE as error:
        raise CertificateUnusable(f"the certificate cannot be read ({type(error).__name__})") from None


def check_server_certificate(certificate: bytes, key: bytes) -> float:
    """Return when a certificate expires, in seconds since the epoch. Both are PEM, the certificate with its
    chain behind it. Raise `CertificateUnusable` unless the key is that of the certificate."""
    try:
        chain = x509.load_pem_x509_certificates(certificate)
        own = chain[0].public_key()
    except _UNREADABLE:
        raise CertificateUnusable("the certificate is not PEM that can be read") from None
    try:
        private = load_pem_private_key(key, None)
    except TypeError:
        raise CertificateUnusable("the key is locked with a password: store it without one") from None
    except _UNREADABLE:
        raise CertificateUnusable("the key is not PEM that can be read") from None
    if private.public_key() != own:
        raise CertificateUnusable(
            "the key does not belong to the certificate, which stands first in its file"
        )
    return chain[0].not_valid_after_utc.timestamp()


def _alternative_names(read: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName(())
