"""The files that secure connections, read again when they change."""

import ssl
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.certificates import Authority, KeyPair

from gateway.config import TlsRules
from gateway.proxy import Fault, UpstreamFault
from gateway.proxy.tls import LOOK_EVERY, Credentials


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def rules_of(authority: Authority, ours: KeyPair | None = None) -> TlsRules:
    return TlsRules(
        ca=authority.file,
        client_cert=None if ours is None else ours.certificate,
        client_key=None if ours is None else ours.key,
    )


async def test_certificates_and_names_are_always_verified(authority: Authority) -> None:
    for rules in (TlsRules(), rules_of(authority), rules_of(authority, authority.issue("gw"))):
        context = await Credentials(rules).context()
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert not context.hostname_checks_common_name
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_without_an_authority_the_system_s_are_trusted(authority: Authority) -> None:
    assert len((await Credentials(rules_of(authority)).context()).get_ca_certs()) == 1
    assert "ca" not in repr(Credentials(TlsRules()))


async def test_files_are_looked_at_at_most_once_a_second(authority: Authority, tmp_path: Path) -> None:
    clock = Clock()
    credentials = Credentials(rules_of(authority), now=clock)
    first = await credentials.context()
    other = Authority(tmp_path, "Other authority")
    other.file.replace(authority.file)
    clock.time += LOOK_EVERY / 2
    assert await credentials.context() is first
    clock.time += LOOK_EVERY
    second = await credentials.context()
    assert second is not first
    assert second.get_ca_certs()[0]["subject"] == ((("commonName", "Other authority"),),)
    clock.time += LOOK_EVERY
    assert await credentials.context() is second


async def test_a_link_that_points_elsewhere_is_a_change(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "Other authority")
    link = tmp_path / "ca.pem"
    link.symlink_to(authority.file)
    clock = Clock()
    credentials = Credentials(TlsRules(ca=link), now=clock)
    await credentials.context()
    link.unlink()
    link.symlink_to(other.file)
    clock.time += LOOK_EVERY
    (trusted,) = (await credentials.context()).get_ca_certs()
    assert trusted["subject"] == ((("commonName", "Other authority"),),)


@pytest.mark.parametrize("text", ["", "not a certificate", None])
async def test_a_broken_new_file_keeps_the_last_good_one_and_is_said_once(
    authority: Authority, text: str | None
) -> None:
    ours = authority.issue("gw")
    good = ours.certificate.read_bytes()
    clock = Clock()
    credentials = Credentials(rules_of(authority, ours), now=clock)
    first = await credentials.context()
    if text is None:
        ours.certificate.unlink()
    else:
        ours.certificate.write_text(text)
    with capture_logs() as logs:
        for _ in range(3):
            clock.time += LOOK_EVERY
            assert await credentials.context() is first
    assert [entry["event"] for entry in logs] == ["tls_files_unusable"]
    assert str(ours.certificate) in logs[0]["error"]
    ours.certificate.write_bytes(good)
    clock.time += LOOK_EVERY
    assert await credentials.context() is not first


async def test_a_certificate_is_used_once_its_key_is_there_too(authority: Authority) -> None:
    ours = authority.issue("gw")
    clock = Clock()
    credentials = Credentials(rules_of(authority, ours), now=clock)
    first = await credentials.context()
    key = ours.key.read_bytes()
    authority.issue("gw")
    new_key = ours.key.read_bytes()
    ours.key.write_bytes(key)
    clock.time += LOOK_EVERY
    assert await credentials.context() is first
    ours.key.write_bytes(new_key)
    clock.time += LOOK_EVERY
    assert await credentials.context() is not first


async def test_files_that_were_never_good_are_a_fault_and_tried_again(authority: Authority) -> None:
    clock = Clock()
    missing = authority.folder / "missing.pem"
    credentials = Credentials(TlsRules(ca=missing), now=clock)
    for _ in range(2):
        with pytest.raises(UpstreamFault) as caught:
            await credentials.context()
        assert caught.value.fault is Fault.TLS
        assert str(missing) in caught.value.diagnosis
    missing.write_bytes(authority.file.read_bytes())
    clock.time += LOOK_EVERY
    await credentials.context()


async def test_an_encrypted_key_is_a_fault_and_nobody_is_asked_for_its_password(authority: Authority) -> None:
    ours = authority.issue("gw", password=b"secret")
    with pytest.raises(UpstreamFault) as caught:
        await Credentials(rules_of(authority, ours)).context()
    assert caught.value.fault is Fault.TLS
