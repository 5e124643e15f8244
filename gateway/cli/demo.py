"""`gateway demo`: the gateway in front of a small real service, with users to try it.

The service is a process of its own. It ends when this process ends, however that happens: it watches its
standard input, whose other end is held here.
"""

import asyncio
import os
import select
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gateway.demo
from gateway.accounts import AccountRefusal
from gateway.assembly import StartRefused, Stores, open_stores
from gateway.cli.serve import serve
from gateway.demo.upstream import HOST, PORT
from gateway.operations import (
    create_crypto_key,
    create_user,
    find_crypto_key,
    list_users,
    operator_at_the_command_line,
)
from gateway.settings import Listen, Settings

TARGET_VARIABLE = "DEMO_UPSTREAM"
"""What the demo's `upstreams.yaml` takes the service's address from."""
USERS = {"alice": ("alice-only-demo", "customer"), "olivia": ("olivia-only-demo", "admin")}
"""Password and role. Everybody knows these passwords: they are in the README."""
KEY = "reports"
"""The encryption key that the demo's `policies.yaml` names."""
_START_SECONDS = 20


def demo(settings: Settings) -> int:
    """Run the demo until SIGTERM or SIGINT; return the exit code. Raise `StartRefused`."""
    settings = settings.model_copy(
        update={"policies": _found(settings.policies), "upstreams": _found(settings.upstreams)}
    )
    with _service() as address:
        os.environ[TARGET_VARIABLE] = address
        seeded = asyncio.run(_seed(settings))
        return serve(settings, on_ready=lambda: print(guide(settings, address, seeded=seeded), flush=True))


def _found(path: Path) -> Path:
    """Return the file, or the demo's own copy of it when there is none: in an installed package it lies
    beside the service, in a checkout at the top."""
    if path.exists():
        return path
    beside = Path(gateway.demo.__file__).with_name(path.name)
    return beside if beside.exists() else Path(gateway.__file__).parents[1] / path.name


@contextmanager
def _service() -> Iterator[str]:
    """Run the service, on its usual port or any free one; give its address."""
    # The command is our own interpreter and our own module.
    command = [
        sys.executable,
        "-m",
        gateway.demo.__name__ + ".upstream",
        "--until-stdin-ends",
        "--host",
        HOST,
        "--port",
    ]
    for port in (PORT, 0):
        with subprocess.Popen(
            [*command, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for the gateway, which still needs the service to finish what runs.
            start_new_session=True,
        ) as process:
            try:
                address = _address(process)
                if address is None:
                    continue
                yield address
                return
            finally:
                process.terminate()
    raise StartRefused("the demo's service did not start; try `python -m gateway.demo.upstream --port 0`")


def _address(process: subprocess.Popen[bytes]) -> str | None:
    """Return where the service says that it listens, None when it ended or said nothing."""
    said = process.stdout
    if said is None or not select.select([said], [], [], _START_SECONDS)[0]:
        return None
    return said.readline().decode().strip().partition("http://")[2] or None


async def _seed(settings: Settings) -> bool:
    """Make the demo's users in an empty database, and say whether they are there. A data directory that has
    users of its own gets none: their passwords are known to everybody."""
    async with open_stores(settings) as stores:
        await _make_key(stores)
        names = {user.username for user in await list_users(stores.users)}
        if not names:
            for name, (password, role) in USERS.items():
                made = await create_user(
                    stores.registrar,
                    username=name,
                    email=None,
                    password=password,
                    roles=frozenset({role}),
                    min_length=1,
                    operator=operator_at_the_command_line(),
                )
                if isinstance(made, AccountRefusal):
                    raise StartRefused(f"the demo's user {name} could not be made: {made.reason}")
            return True
        return names >= USERS.keys()


async def _make_key(stores: Stores) -> None:
    """Make the demo's encryption key where there is none."""
    if isinstance(await find_crypto_key(stores.crypto_keys, KEY), AccountRefusal):
        made = await create_crypto_key(
            stores.crypto_keys,
            stores.sealer,
            stores.events,
            stores.clock,
            name=KEY,
            operator=operator_at_the_command_line(),
        )
        if isinstance(made, AccountRefusal):
            raise StartRefused(f"the demo's encryption key {KEY} could not be made: {made.reason}")


def guide(settings: Settings, address: str, *, seeded: bool) -> str:
    """Return what is printed once the gateway is ready: commands to paste, and what they answer."""
    url = _url(settings.listen)
    curl = f"curl --unix-socket {settings.listen.path} -s" if settings.listen.path else "curl -s"
    status = "-w '\\n%{http_code}\\n'"
    program = shlex.quote(_gateway_program())
    if settings.data_dir != Settings.model_fields["data_dir"].default:
        program = f"GATEWAY_DATA_DIR={shlex.quote(str(settings.data_dir))} {program}"
    login, admin = (
        f'{{"username": "{name}", "password": "{password}"}}' for name, (password, _) in USERS.items()
    )
    lines = [
        "",
        f"The gateway is ready on {url}, in front of a small service on http://{address}.",
        "Paste these into another terminal:",
        "",
        "  # log in",
        f"  TOKEN=$({curl} {url}/gateway/v1/auth/login -H 'content-type: application/json' \\",
        f'    -d \'{login}\' | sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\')',
        "",
        "  # allowed: 200",
        f'  {curl} {url}/orders/1 -H "authorization: Bearer $TOKEN" {status}',
        "",
        "  # nobody: 401",
        f"  {curl} {url}/orders/1 {status}",
        "",
        "  # a customer may not create orders: 403",
        f"  {curl} -X POST {url}/orders -H \"authorization: Bearer $TOKEN\" -d '{{}}' {status}",
        "",
        "  # five a minute: the sixth is 429",
        f"  for n in 1 2 3 4 5 6; do {curl} -o /dev/null -w '%{{http_code}}\\n' \\",
        f'    "{url}/stream?chunks=1" -H "authorization: Bearer $TOKEN"; done',
        "",
        "  # encrypted for whoever holds the key: the way to read it is in docs/encryption.md",
        f"  OLIVIA=$({curl} {url}/gateway/v1/auth/login -H 'content-type: application/json' \\",
        f'    -d \'{admin}\' | sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\')',
        f'  {curl} {url}/reports/2026-q2 -H "authorization: Bearer $OLIVIA" {status}',
        "",
        "  # what was decided, why, and by which rule",
        f"  {program} audit list",
        "",
    ]
    if seeded:
        known = ", ".join(f"{name} ({role})" for name, (_, role) in USERS.items())
        lines += [
            f"DEMO ONLY: the users {known} have passwords that everybody knows.",
            f"Never serve anything real with the data directory {settings.data_dir}.",
        ]
    else:
        lines += [
            f"The data directory {settings.data_dir} has users of its own, so the demo's were not made.",
            "Log in as one of yours, or start again with an empty directory (--data-dir).",
        ]
    return "\n".join([*lines, ""])


def _url(listen: Listen) -> str:
    if listen.path is not None:
        return "http://localhost"
    if listen.host in {"127.0.0.1", "0.0.0.0", "::", "::1", "localhost"}:
        return f"http://localhost:{listen.port}"
    return f"http://{listen}"


def _gateway_program() -> str:
    """Return how `gateway` is called from here: beside the running interpreter, or on the PATH."""
    beside = Path(sys.executable).with_name("gateway")
    if not beside.exists():
        return shutil.which("gateway") or "gateway"
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)
