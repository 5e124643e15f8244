"""A real nginx of a test's own."""

import shutil
import signal
import socket
from functools import cache
from pathlib import Path
from typing import ClassVar

from support.installs import Install, said
from support.kept import ServerFailed
from support.own_server import OwnServer


class Nginx(OwnServer):
    """nginx with what a test writes inside `http { … }`; `PORT` in it is the port that it was given.

    Raise `ServerFailed` when there is no nginx, or when it does not take the configuration.
    """

    STOP: ClassVar = {
        "fast": signal.SIGQUIT,
        "immediate": signal.SIGTERM,
        "kill": signal.SIGKILL,
    }

    def __init__(self, http: str) -> None:
        super().__init__(nginx_install())
        self._http = http

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        folder = self.directory
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        configuration = folder / "nginx.conf"
        configuration.write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr info;\n"
            "events { worker_connections 256; }\n"
            f"http {{ access_log off; {temporary}\n{self._http.replace('PORT', str(self.port))}\n}}\n"
        )
        configuration.chmod(0o644)
        install = nginx_install()
        program = str(install.bin / install.program)
        return [program, "-e", "stderr", "-p", str(folder), "-c", str(configuration)]

    def answers(self) -> bool:
        with socket.socket() as connection:
            connection.settimeout(1)
            return connection.connect_ex(("127.0.0.1", self.port)) == 0


@cache
def nginx_install() -> Install:
    """Return where nginx is. Raise `ServerFailed` when there is none."""
    # Debian puts it where only administrators look.
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ServerFailed("the interop tests need nginx; on Debian and Ubuntu: apt install nginx-light")
    program = Path(found)
    version = said(program, "-v").strip().rpartition("/")[2]
    return Install(
        bin=program.parent,
        origin="PATH",
        version=f"nginx {version}",
        program=program.name,
        reachable=True,
    )
