"""What the pages on identity show is true."""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

import pytest
import typer.main
from flows_identity import code
from support.gateway import Gateway, running_gateway
from support.own_server import free_port
from support.pasted import Block, blocks_of, curl_below, expected, gateway_below

from gateway.cli.main import app
from gateway.model import EventKind

DOCS = Path(__file__).resolve().parents[2] / "docs"
IDENTITY, CLIENTS = ((DOCS / name).read_text() for name in ("identity.md", "clients.md"))
ENDPOINTS = (DOCS / "reference" / "endpoints.md").read_text()
POLICIES = next(block.text for block in blocks_of(IDENTITY) if block.language == "yaml")
UPSTREAMS = 'version: 1\nupstreams: {{shop: {{targets: [{{url: "http://{service}"}}]}}}}\n'
END = "=== next ==="
LATER = "when the mail is there"
"""A comment of the page: what follows is shown by whoever looks often enough."""
APP = "what the app shows"
"""Behind a code in the page, in whose place the code of the moment is typed."""
WITHIN = 10.0


class Shell:
    """One shell, as somebody has it open who pastes a page block by block."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["sh"],
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.kill()

    def paste(self, script: str) -> str:
        """Return what a block prints, one blank for many."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{script}\necho '{END}'\n")
        self._process.stdin.flush()
        printed = ""
        for line in self._process.stdout:
            if line.endswith(f"{END}\n"):
                return re.sub(" +", " ", (printed + line.removesuffix(f"{END}\n")).replace("\r", "")).strip()
            printed += line
        raise AssertionError(f"the shell ended:\n{printed}")


class Reader:
    """Somebody who follows a page."""

    def __init__(self, gateway: Gateway, shell: Shell) -> None:
        self._gateway = gateway
        self._shell = shell
        self._secret = ""
        self._step = 0
        """From the interval of the present to the next one whose code was not used yet."""

    def follow(self, page: str) -> int:
        """Paste every block, and return how many there were."""
        blocks = [block for block in blocks_of(page) if block.language in {"sh", "text", "<!--"}]
        steps = 0
        for before, block, after in zip(
            [Block("", ""), *blocks], blocks, [*blocks[1:], Block("", "")], strict=False
        ):
            if block.language == "sh":
                promised = expected(after.text if after.language == "text" else "")
                self._paste(block.text, promised, patient=before == Block("<!--", LATER))
                steps += 1
        return steps

    def _paste(self, text: str, promised: str, *, patient: bool) -> None:
        script = re.sub(rf"\d{{6}}(?=.*# {APP})", lambda _: self._code(), text)
        deadline = time.monotonic() + WITHIN
        while True:
            printed = self._shell.paste(script.replace("http://localhost:8000", self._gateway.url))
            found = re.search('"secret":"([A-Z2-7]{32,})"', printed)
            self._secret = found[1] if found else self._secret
            if re.fullmatch(promised, printed):
                return
            if not patient or time.monotonic() > deadline:
                raise AssertionError(f"{text}\nprinted\n{printed}\nnot\n{promised}")
            time.sleep(0.1)

    def _code(self) -> str:
        shown = code(self._secret, steps=self._step)
        self._step += 1
        return shown


@contextmanager
def reader(service: str, directory: Path) -> Iterator[tuple[Reader, Gateway]]:
    """A gateway with the policy of the page, and somebody with a shell beside it."""
    port = free_port()
    with running_gateway(
        directory / "gateway",
        policies=POLICIES,
        upstreams=UPSTREAMS.format(service=service),
        environ={"GATEWAY_LISTEN": f"127.0.0.1:{port}", "GATEWAY_PUBLIC_URL": f"http://127.0.0.1:{port}"},
    ) as gateway:
        curl_below(directory / "bin")
        tools = gateway_below(directory / "bin")
        environ = gateway.environ | {"PATH": f"{tools}:{gateway.environ['PATH']}"}
        with Shell(gateway.directory, environ) as shell:
            yield Reader(gateway, shell), gateway


def test_what_the_page_on_identity_says_to_paste_prints_what_it_says(service: str, tmp_path: Path) -> None:
    with reader(service, tmp_path) as (person, _):
        assert person.follow(IDENTITY) >= 10


def test_what_the_page_for_clients_says_to_paste_prints_what_it_says_and_no_endpoint_is_left_out(
    service: str, tmp_path: Path
) -> None:
    with reader(service, tmp_path) as (person, gateway):
        gateway.create_user("alice", "three paper boats", "support")
        assert person.follow(CLIENTS) >= 7
        said = gateway.request("GET", "/gateway/v1").json["endpoints"]
    listed = re.findall(r"^\| `(\S+) (\S+)`", ENDPOINTS, flags=re.MULTILINE)
    assert sorted(listed) == sorted((each["method"], each["path"]) for each in said)


@pytest.mark.parametrize("library", ["authlib", "requests-oauthlib"])
def test_a_client_that_is_written_as_the_page_says_gets_its_tokens(
    service: str,
    tmp_path: Path,
    library: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with reader(service, tmp_path) as (_, gateway):
        made = json.loads(
            gateway.run("clients", "create", "job", "--role", "customer", "--format", "json").stdout
        )
        (written,) = [block.text for block in blocks_of(CLIENTS) if block.text.startswith(f"# {library}\n")]
        written = written.replace("https://api.example.com", gateway.url)
        exec(written.replace("CLIENT_ID", made["id"]).replace("CLIENT_SECRET", made["secret"]), {})
    assert capsys.readouterr().out == "200\n"


def test_the_page_names_every_event_of_identity() -> None:
    elsewhere = ("limit.", "config.", "crypto.", "crypto_key.", "secret.", "audit.")
    missing = [kind for kind in EventKind if f"`{kind}`" not in IDENTITY and not kind.startswith(elsewhere)]
    # Nothing happens yet that it would stand for.
    assert missing == [EventKind.USER_UPDATED]


def commands_in(page: str) -> Iterator[str]:
    """Yield what a page says behind the word `gateway`, in its scripts and in its text."""
    for block in blocks_of(page):
        if block.language in {"sh", "bash"}:
            for line in block.text.replace("\\\n", " ").splitlines():
                yield from re.findall(r"(?:^|\$\(|[|&] |=\S+ )(?:\.venv/bin/)?gateway ([a-z].*)", line)
    text = re.sub("^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`gateway ([a-z][^`]*)`", text)


def words_of(command: str) -> list[str]:
    """Return the words of a command, up to what a shell does with it."""
    words = shlex.shlex(command.replace("...", ""), posix=True, punctuation_chars=True)
    words.whitespace_split = True
    return list(takewhile(lambda word: not set(word) <= set("();<>|&"), words))


COMMANDS = [
    pytest.param(command, id=f"{page.stem}-{command}")
    for page in (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))
    for command in dict.fromkeys(commands_in(page.read_text()))
]


@pytest.mark.parametrize("said", COMMANDS)
def test_a_command_that_a_page_names_is_there_with_its_options(said: str) -> None:
    command: Any = typer.main.get_command(app)
    rest = words_of(said)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    # A group may be named by its name alone.
    assert not rest or not hasattr(command, "commands"), f"there is no `gateway {said}`"
    known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= known
