"""How the way to an outlet is secured. Certificates are always verified: there is no switch."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from gateway.ports import OutletUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The authorities that are trusted, by default the system's, and the certificate that is shown."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    """None: in the same file as the certificate."""

    def context(self) -> ssl.SSLContext:
        """Read the files. Blocks. Raise `OutletUnavailable` for what cannot be used."""
        # Verifies certificates and names, unless told otherwise.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # RFC 9525 section 2: the name is in the certificate's alternative names, nowhere else.
        context.hostname_checks_common_name = False
        path = self.ca
        try:
            if path is not None:
                context.load_verify_locations(cafile=path)
            else:
                context.load_default_certs()
            path = self.cert
            if path is not None:
                # Without the last argument OpenSSL would ask the terminal for the password of a key.
                context.load_cert_chain(path, self.key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise OutletUnavailable(f"{path} cannot be used: {said(error)}") from None
        return context


def said(error: Exception) -> str:
    """Return what an error of a connection says, without what it may quote."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate cannot be verified: {error.verify_message}"
        case ssl.SSLError():
            return error.reason or "TLS failed"
        case TimeoutError():
            return "no answer in time"
        case OSError():
            return error.strerror or type(error).__name__
        case _:
            return type(error).__name__
