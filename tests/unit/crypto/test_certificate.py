"""What certificates say, and whether certificate and key belong together."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from support.certificates import Authority

from gateway.crypto import CertificateUnusable, check_server_certificate, read_client_certificate


def der_of(pem: Path) -> bytes:
    return x509.load_pem_x509_certificate(pem.read_bytes()).public_bytes(Encoding.DER)


def test_a_certificate_is_read_as_it_is(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue(
        "job", "spiffe://example.com/job", "Job.Example.COM", "b.example", "ops@example.com", "192.0.2.1"
    )
    der = der_of(pair.certificate)
    written = x509.load_der_x509_certificate(der)
    found = read_client_certificate(der)
    assert (found.subject, found.issuer) == ("CN=job", "CN=Test authority")
    assert int(found.serial, 16) == written.serial_number
    assert found.fingerprint == sha256(der).hexdigest()
    assert found.san_uri == ("spiffe://example.com/job",)
    assert found.san_dns == ("job.example.com", "b.example")
    assert found.san_email == ("ops@example.com",)
    assert found.not_after == written.not_valid_after_utc.timestamp()


def test_names_with_special_characters_cannot_be_taken_for_others() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "a,CN=b+O=c"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Grün"),
        ]
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    found = read_client_certificate(made.public_bytes(Encoding.DER))
    assert found.subject == found.issuer == "O=Grün,CN=a\\,CN=b\\+O=c"
    assert (found.serial, found.san_uri, found.san_dns, found.san_email) == ("7", (), (), ())


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_what_is_no_certificate_is_refused(tmp_path: Path, cut: int) -> None:
    der = der_of(Authority(tmp_path).issue("job").certificate)
    with pytest.raises(CertificateUnusable):
        read_client_certificate(der[:cut])


def test_the_end_of_a_good_pair_is_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server", "localhost")
    chain = pair.certificate.read_bytes() + authority.file.read_bytes()
    own = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    assert check_server_certificate(chain, pair.key.read_bytes()) == own.not_valid_after_utc.timestamp()


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")
    locked = authority.issue("locked", password=b"secret").key.read_bytes()
    chain, key = one.certificate.read_bytes(), one.key.read_bytes()
    for certificate, private, said in (
        (chain, other.key.read_bytes(), "does not belong to the certificate, which stands first"),
        (authority.file.read_bytes() + chain, key, "does not belong"),
        (chain, locked, "is locked with a password"),
        (chain, b"nonsense", "the key is not PEM"),
        (b"nonsense", key, "the certificate is not PEM"),
        (key, key, "the certificate is not PEM"),
    ):
        with pytest.raises(CertificateUnusable, match=said):
            check_server_certificate(certificate, private)
