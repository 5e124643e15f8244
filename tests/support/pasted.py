"""What the documentation tells people to paste: its blocks, a shell for them, and whether they print what is
promised."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from support.commands import commands

CURL = """#!{python} -IS
# The part of curl that the documentation uses, for machines that have none.
import argparse, base64, sys, urllib.error, urllib.request
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
parser = argparse.ArgumentParser()
parser.add_argument("url")
for flag in "si":
    parser.add_argument(f"-{{flag}}", action="store_true")
parser.add_argument("-H", action="append", default=[])
for flag in "Xdowu":
    parser.add_argument(f"-{{flag}}")
o = parser.parse_args()
headers = dict(h.split(": ", 1) for h in o.H)
if o.u:
    headers["Authorization"] = "Basic " + base64.b64encode(o.u.encode()).decode()
data = None if o.d is None else o.d.encode()
request = urllib.request.Request(o.url, data=data, headers=headers, method=o.X or ("POST" if data else "GET"))
try:
    answer = urllib.request.build_opener(urllib.request.ProxyHandler({{}}), Stay()).open(request)
except urllib.error.HTTPError as error:
    answer = error
body = answer.read().decode()
if o.i:
    print(f"HTTP/1.1 {{answer.status}} {{answer.reason}}\\n{{answer.headers}}", end="")
if o.o is None:
    print(body, end="")
if o.w:
    print(o.w.replace("\\\\n", "\\n").replace("%{{http_code}}", str(answer.status)), end="")
"""

GATEWAY = """#!{python} -IS
# The command `gateway`, run by the process that has imported it.
import json, os, select, socket, sys
asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
asked.connect({address!r})
request = dict(argv=sys.argv[1:], cwd=os.getcwd(), env=dict(os.environ))
socket.send_fds(asked, [json.dumps(request).encode()], [0, 1, 2])
pid = json.loads(asked.recv(100))["pid"]
select.select([os.pidfd_open(pid)], [], [])
asked.send(json.dumps(dict(reap=pid)).encode())
sys.exit(json.loads(asked.recv(100))["code"])
"""


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str


def blocks_of(page: str) -> list[Block]:
    """Return the fenced blocks of a page in order, and its comments, whose language is `<!--`."""
    found = re.finditer(
        r"^```(?P<language>\w*)\n(?P<text>.*?)^```$|^<!-- (?P<comment>.*?) -->$",
        page,
        flags=re.MULTILINE | re.DOTALL,
    )
    return [
        Block("<!--", one["comment"]) if one["comment"] is not None else Block(one["language"], one["text"])
        for one in found
    ]


def curl_below(directory: Path) -> str | None:
    """Return a folder for the `PATH` with a stand-in for curl; None where curl is there."""
    if shutil.which("curl") is not None:
        return None
    directory.mkdir()
    (directory / "curl").write_text(CURL.format(python=sys.executable))
    (directory / "curl").chmod(0o755)
    return str(directory)


def gateway_below(directory: Path) -> str:
    """Return a folder for the `PATH` with a `gateway` that does not take the time to import itself."""
    directory.mkdir(exist_ok=True)
    (directory / "gateway").write_text(GATEWAY.format(python=sys.executable, address=commands().address))
    (directory / "gateway").chmod(0o755)
    return str(directory)


def paste(script: str, *, folder: Path, environ: Mapping[str, str]) -> str:
    """Return what a shell prints, without carriage returns, and one blank for many."""
    ended = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert not ended.stderr, ended.stderr
    return re.sub(" +", " ", ended.stdout.replace("\r", ""))


def expected(text: str) -> str:
    """Return an expression for a text in which … stands for anything: on a line of its own, for any lines."""
    text, and_more = text.strip(), ""
    if text.endswith("\n…"):
        text, and_more = text.removesuffix("\n…"), r"(?:\n.*)*"
    text = re.sub(r"^…\n", "\0", re.sub(" +", " ", text + "\n"), flags=re.MULTILINE)
    return re.escape(text).replace("\0", r"(?:.*\n)*?").replace("…", ".*").removesuffix("\\\n") + and_more
