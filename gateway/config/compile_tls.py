"""From `tls` as it is written to how connections to an upstream are secured. Nothing is connected to."""

import ssl
from collections.abc import Sequence
from pathlib import Path as FilePath

from gateway.config.documents import TlsDocument
from gateway.config.places import Origin, Path
from gateway.config.snapshot import Target, TlsRules
from gateway.config.source import SourceFile
from gateway.config.words import quoted

_HELP = "`gateway check --no-secrets` does not read it"


class _Locked(Exception):
    """A key that is encrypted with a password."""


def compile_tls(
    document: TlsDocument | None,
    targets: Sequence[Target],
    source: SourceFile,
    path: Path,
    *,
    read_files: bool,
) -> TlsRules:
    """Return the rules; what is wrong with them is reported.

    With `read_files` that includes the files they name. `path` is that of the upstream.
    """
    if document is None:
        return TlsRules()
    at: Path = (*path, "tls")
    _check_targets(targets, source, path)
    for key, other in (("client_cert", "client_key"), ("client_key", "client_cert")):
        is_alone = getattr(document, key) is not None and getattr(document, other) is None
        if is_alone and not source.is_lost((*at, other)):
            source.report(
                "E127",
                (*at, key),
                f'"{key}" is of no use without "{other}"',
                f"add {other}: file:/run/secrets/NAME",
                key=True,
            )
    if read_files:
        _check_files(document, source, at)
    return TlsRules(
        ca=_file(document.ca),
        client_cert=_file(document.client_cert),
        client_key=_file(document.client_key),
        server_name=document.server_name,
    )


def _file(name: str | None) -> FilePath | None:
    return None if name is None else FilePath(name)


def _check_targets(targets: Sequence[Target], source: SourceFile, path: Path) -> None:
    """Report targets that the rules would not secure."""
    at: Path = (*path, "targets")
    if not source.is_whole(at) or any(
        source.origin((*at, index, "url")) is Origin.UNREAD for index in range(len(targets))
    ):
        return
    if all(target.scheme != "https" for target in targets):
        source.report(
            "E127",
            (*path, "tls"),
            '"tls" is of no use: no target of this upstream begins with https://',
            'write https:// in the targets, or remove "tls"',
            key=True,
        )
        return
    for index, target in enumerate(targets):
        if target.scheme != "https":
            source.report(
                "E127",
                (*at, index, "url"),
                'this target goes without TLS, though the upstream has "tls"',
                "write https://, or make it an upstream of its own",
            )


def _check_files(document: TlsDocument, source: SourceFile, path: Path) -> None:
    if document.ca is not None:
        _read_certificates(document.ca, source, (*path, "ca"))
    cert, key = document.client_cert, document.client_key
    if cert is None or key is None:
        return
    sound = _read_certificates(cert, source, (*path, "client_cert"))
    if not _can_read(key, source, (*path, "client_key")) or not sound:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, password=_refuse)
    except _Locked:
        _report(source, (*path, "client_key"), key, "is encrypted with a password", "store it decrypted")
    except ssl.SSLError as fault:
        if fault.reason == "KEY_VALUES_MISMATCH":
            problem, advice = 'is not the key of "client_cert"', "name the key that was made with it"
        else:
            problem, advice = "holds no private key in PEM", "it begins with -----BEGIN PRIVATE KEY-----"
        _report(source, (*path, "client_key"), key, problem, advice)


def _refuse() -> str:
    """Stand for a password; without one OpenSSL would ask for it on the terminal."""
    raise _Locked


def _read_certificates(name: str, source: SourceFile, path: Path) -> bool:
    """Say whether a file holds certificates; if not, that is reported."""
    if not _can_read(name, source, path):
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(name)
        found = context.cert_store_stats()["x509"]
    except ssl.SSLError:
        found = 0
    if not found:
        _report(
            source, path, name, "holds no certificate in PEM", "it begins with -----BEGIN CERTIFICATE-----"
        )
    return bool(found)


def _can_read(name: str, source: SourceFile, path: Path) -> bool:
    """Say whether a file can be read; if not, that is reported."""
    if source.origin(path) is Origin.UNREAD:
        return False
    try:
        with FilePath(name).open("rb") as stream:
            stream.read(1)
    except (OSError, ValueError) as fault:
        why = str(getattr(fault, "strerror", None) or "its name is not possible").lower()
        _report(source, path, name, f"cannot be read: {why}", _HELP)
        return False
    return True


def _report(source: SourceFile, path: Path, name: str, problem: str, suggestion: str) -> None:
    """Report a file; its name is shown as it is written, for what is put into it may come from outside."""
    source.report("E128", path, f"the file {quoted(source.written(path) or name)} {problem}", suggestion)
