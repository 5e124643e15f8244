"""The frame of these tests: programs of others start, say what they have to say, and end."""

import os
import urllib.request
from collections.abc import Callable

import pytest
from support.kept import ServerFailed
from support.nginx import Nginx
from support.node import Node


def test_a_script_finds_the_locked_packages_and_prints_json(node: Node) -> None:
    assert node("thumbprint.mjs", given='{"kty": "oct", "k": "c2VjcmV0"}') == {
        "thumbprint": "DWBh0SEIAPYh1x5uvot4z3AhaikHkxNJa3Ada2fT-Cg"
    }


def test_what_a_script_says_when_it_fails_is_the_message_of_the_failure(node: Node) -> None:
    with pytest.raises(AssertionError, match="Unexpected token"):
        node("thumbprint.mjs", given="no JSON")


def test_a_server_ends_with_its_block(node: Node) -> None:
    with node.serving("echo_server.mjs") as serving:
        with urllib.request.urlopen(serving.told["url"] + "/here") as answer:
            assert answer.read() == b"/here"
        pid = serving.told["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_does_not_start_says_why(node: Node) -> None:
    with pytest.raises(AssertionError, match="Cannot find module"), node.serving("absent.mjs"):
        pass


def test_nginx_serves_where_it_was_told_to(nginx: Callable[[str], Nginx]) -> None:
    server = nginx("server { listen 127.0.0.1:PORT; location / { return 200 'served'; } }")
    with urllib.request.urlopen(server.url) as answer:
        assert answer.read() == b"served"


def test_nginx_says_what_it_does_not_understand(nginx: Callable[[str], Nginx]) -> None:
    with pytest.raises(ServerFailed, match="unknown directive"):
        nginx("nonsense;")
