"""Certificates for tests: an authority of the test's own, and what it signs for an hour."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its key, both as files in PEM."""

    certificate: Path
    key: Path


@dataclass(slots=True)
class Authority:
    """Signs certificates."""

    folder: Path
    name: str = "Test authority"
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def file(self) -> Path:
        """The authority's own certificate."""
        return self.folder / f"{self.name.replace(' ', '-').lower()}.pem"

    def __post_init__(self) -> None:
        builder = self._builder(self.name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.file.write_bytes(
            builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )

    def issue(
        self,
        file: str,
        *names: str,
        password: bytes | None = None,
        ended: bool = False,
        lasts: float = 3600.0,
    ) -> KeyPair:
        """Return a new certificate for host names, addresses, URIs and mail addresses, in `FILE.crt` and
        `FILE.key`, which `lasts` so many seconds; one that has `ended` was good until half an hour ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(file, key, lasts=-1800.0 if ended else lasts)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(map(_name, names)), critical=False)
        pair = KeyPair(self.folder / f"{file}.crt", self.folder / f"{file}.key")
        pair.certificate.write_bytes(
            builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption()
                if password is None
                else serialization.BestAvailableEncryption(password),
            )
        )
        return pair

    def _builder(
        self, name: str, key: ec.EllipticCurvePrivateKey, *, lasts: float = 3600.0
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(seconds=lasts))
        )


def _name(text: str) -> x509.GeneralName:
    if ":/" in text:
        return x509.UniformResourceIdentifier(text)
    if "@" in text:
        return x509.RFC822Name(text)
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
