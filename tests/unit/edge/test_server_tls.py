"""The files of the clients' listener: read at the start, and again when they change."""

import asyncio
import os
import shutil
import ssl
from pathlib import Path

import pytest
from support.certificates import Authority, KeyPair
from support.running import at_work, soon

from gateway.edge.server_tls import ServerTls, TlsUnusable
from gateway.settings import load_settings


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def tls_of(pair: KeyPair, client_ca: Path | None = None) -> ServerTls:
    return ServerTls(certificate=pair.certificate, key=pair.key, client_ca=client_ca)


def renew(pair: KeyPair, other: KeyPair) -> None:
    """Put another certificate and key where these are, as deployments do it: by new files."""
    for old, new in ((pair.certificate, other.certificate), (pair.key, other.key)):
        fresh = old.with_suffix(".new")
        shutil.copy(new, fresh)
        fresh.replace(old)


def test_without_a_certificate_there_is_no_tls(authority: Authority) -> None:
    assert ServerTls.of(load_settings({})) is None
    pair = authority.issue("server")
    environ = {"GATEWAY_TLS_CERT": str(pair.certificate), "GATEWAY_TLS_KEY": str(pair.key)}
    tls = ServerTls.of(load_settings(environ))
    assert tls is not None
    assert str(pair.key) in repr(tls)


def test_only_what_is_safe_is_spoken(authority: Authority) -> None:
    tls = tls_of(authority.issue("server"))
    assert tls.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert tls.context.verify_mode is ssl.CERT_NONE
    assert tls.context.options & ssl.OP_NO_RENEGOTIATION
    older = [each for each in tls.context.get_ciphers() if each["protocol"] != "TLSv1.3"]
    assert older
    assert all(each["aead"] and each["kea"] == "kx-ecdhe" for each in older)
    asking = tls_of(authority.issue("other"), authority.file)
    assert asking.context.verify_mode is ssl.CERT_OPTIONAL


def test_files_that_cannot_be_used_are_named_with_their_setting(authority: Authority, tmp_path: Path) -> None:
    pair, other = authority.issue("server"), authority.issue("other")
    nothing, noise = tmp_path / "nothing.pem", tmp_path / "noise.pem"
    noise.write_text("noise")
    for certificate, key, client_ca, said in (
        (nothing, pair.key, None, f"GATEWAY_TLS_CERT: cannot read {nothing}: No such file"),
        (pair.certificate, tmp_path, None, f"GATEWAY_TLS_KEY: cannot read {tmp_path}: Is a directory"),
        (noise, pair.key, None, f"the certificate is not PEM that can be read \\(GATEWAY_TLS_CERT={noise}"),
        (pair.certificate, other.key, None, "the key does not belong to the certificate"),
        (pair.certificate, pair.key, nothing, "GATEWAY_TLS_CLIENT_CA: cannot read"),
        (pair.certificate, pair.key, noise, f"GATEWAY_TLS_CLIENT_CA: {noise} holds no certificate"),
        (pair.certificate, pair.key, pair.key, "holds no certificate"),
    ):
        with pytest.raises(TlsUnusable, match=said):
            ServerTls(certificate=certificate, key=key, client_ca=client_ca)


async def test_a_renewed_certificate_is_read_once_both_files_are_there(authority: Authority) -> None:
    pair = authority.issue("server")
    tls = tls_of(pair)
    first, ends = tls.context, tls.expires
    await tls.look()
    assert tls.context is first
    renew(pair, authority.issue("renewed", lasts=7200))
    await tls.look()
    # They may still be in the middle of it.
    assert tls.context is first
    await tls.look()
    assert tls.context is not first
    assert tls.expires > ends + 3000
    second = tls.context
    await tls.look()
    assert tls.context is second


async def test_a_link_that_points_elsewhere_is_a_change(authority: Authority, tmp_path: Path) -> None:
    one, other = authority.issue("one"), authority.issue("other")
    for name, pair in (("a", one), ("b", other)):
        (tmp_path / name).mkdir()
        shutil.copy(pair.certificate, tmp_path / name / "tls.crt")
        shutil.copy(pair.key, tmp_path / name / "tls.key")
    link = tmp_path / "..data"
    link.symlink_to("a")
    tls = ServerTls(certificate=link / "tls.crt", key=link / "tls.key", client_ca=None)
    first = tls.context
    (tmp_path / "..tmp").symlink_to("b")
    (tmp_path / "..tmp").replace(link)
    await tls.look()
    await tls.look()
    assert tls.context is not first


async def test_files_that_cannot_be_used_leave_the_last_good_ones_in_force(
    authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = authority.issue("server")
    tls = tls_of(pair)
    first = tls.context
    good = pair.certificate.read_bytes()
    pair.certificate.write_bytes(authority.issue("other").certificate.read_bytes())
    for _ in range(3):
        await tls.look()
    assert tls.context is first
    assert tls.fault is not None
    assert "does not belong to the certificate" in tls.fault
    # It is said once.
    assert capsys.readouterr().out.count("tls_files_unusable") == 1
    pair.certificate.unlink()
    await tls.look()
    await tls.look()
    assert "cannot read" in (tls.fault or "")
    pair.certificate.write_bytes(good)
    await tls.look()
    await tls.look()
    assert tls.fault is None


async def test_the_files_are_looked_at_for_ever(authority: Authority) -> None:
    pair = authority.issue("server")
    tls = tls_of(pair)
    first = tls.context
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    async with at_work(tls.follow(pause=pause)):
        await soon(lambda: len(pauses) > 2)
        renew(pair, authority.issue("renewed"))
        await soon(lambda: tls.context is not first)
    assert set(pauses) == {1.0}


def test_a_locked_key_asks_nobody_for_a_password(authority: Authority) -> None:
    with pytest.raises(TlsUnusable, match="locked with a password: store it without one"):
        tls_of(authority.issue("server", password=b"secret"))


def test_a_key_that_nobody_may_read_is_said(authority: Authority) -> None:
    pair = authority.issue("server")
    if os.geteuid() == 0:
        pair.key.unlink()
    else:
        pair.key.chmod(0)
    with pytest.raises(TlsUnusable, match="GATEWAY_TLS_KEY: cannot read"):
        tls_of(pair)
