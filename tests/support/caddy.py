"""A real Caddy of a test's own."""

import shutil
import signal
import socket
from functools import cache
from pathlib import Path
from typing import ClassVar

from support.installs import Install, said
from support.kept import ServerFailed
from support.own_server import OwnServer


class Caddy(OwnServer):
    """Caddy with what a test writes inside `http://127.0.0.1:PORT { … }` of its Caddyfile.

    Raise `ServerFailed` when there is no Caddy, or when it does not take the configuration.
    """

    STOP: ClassVar = {
        "fast": signal.SIGTERM,
        "immediate": signal.SIGKILL,
        "kill": signal.SIGKILL,
    }

    def __init__(self, site: str) -> None:
        super().__init__(caddy_install())
        self._site = site

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        folder = self.directory
        configuration = folder / "Caddyfile"
        configuration.write_text(
            f"{{\n admin off\n auto_https off\n storage file_system {folder}/storage\n}}\n"
            f"http://:{self.port} {{\n bind 127.0.0.1\n{self._site}\n}}\n"
        )
        configuration.chmod(0o644)
        install = caddy_install()
        program = str(install.bin / install.program)
        return [program, "run", "--config", str(configuration), "--adapter", "caddyfile"]

    def answers(self) -> bool:
        with socket.socket() as connection:
            connection.settimeout(1)
            return connection.connect_ex(("127.0.0.1", self.port)) == 0


@cache
def caddy_install() -> Install:
    """Return where Caddy is. Raise `ServerFailed` when there is none."""
    found = shutil.which("caddy")
    if found is None:
        raise ServerFailed("the interop tests need Caddy; on Debian and Ubuntu: apt install caddy")
    program = Path(found)
    version = said(program, "version").split()[0]
    return Install(
        bin=program.parent,
        origin="PATH",
        version=f"Caddy {version}",
        program=program.name,
        reachable=True,
    )
