"""A Redis of a test's own."""

import signal
from collections.abc import Mapping, Sequence
from typing import ClassVar

from support.installs import reachable_programs, redis_install
from support.own_server import OwnServer, first_answer


class RedisServer(OwnServer):
    """A Redis of one's own, that keeps nothing over a restart unless `empty` is False.

    `acl` are lines as in a file of users: `user alice on >secret ~* +@all`. `settings` are those of `redis.conf`:
    `maxmemory`, `replicaof`.
    """

    STOP: ClassVar = {
        "fast": signal.SIGTERM,
        "immediate": signal.SIGKILL,
        "kill": signal.SIGKILL,
    }

    def __init__(
        self,
        *,
        password: str | None = None,
        acl: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        empty: bool = True,
    ) -> None:
        super().__init__(redis_install())
        self.socket = self.directory / "redis.sock"
        self._password = password
        self._settings = {
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no" if empty else "yes",
            "appendfsync": "always",
            "dir": str(self.directory),
            "daemonize": "no",
            # A developer's machine may have no room for a copy of a server that is nearly empty.
            "repl-diskless-sync-delay": "0",
            **(settings or {}),
        }
        if password is not None:
            self._settings["requirepass"] = password
        if acl:
            users = self.directory / "users.acl"
            lines = list(acl)
            if password is not None and not any(line.startswith("user default ") for line in acl):
                lines.append(f"user default on >{password} ~* &* +@all")
                del self._settings["requirepass"]
            users.write_text("".join(f"{line}\n" for line in lines))
            users.chmod(0o644)
            self._settings["aclfile"] = str(users)

    @property
    def url(self) -> str:
        """URL by TCP, as the default user."""
        return f"redis://{self._secret}127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """URL by the socket."""
        return f"unix://{self._secret}{self.socket}"

    @property
    def _secret(self) -> str:
        return "" if self._password is None else f":{self._password}@"

    def _command(self) -> list[str]:
        install = redis_install()
        settings = {**self._settings, "port": str(self.port)}
        flags = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return [str(reachable_programs(install) / install.program), *flags]

    def answers(self) -> bool:
        # A server that wants a password first is as ready as one that does not.
        return first_answer(str(self.socket), b"PING\r\n").startswith((b"+PONG", b"-NOAUTH", b"-NOPERM"))
