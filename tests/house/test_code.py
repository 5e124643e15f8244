"""Laws that no linter knows: who makes a permit, who may start a task, what a table must hold."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from gateway.model import STATUS_AND_TITLE, Reason

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "gateway"

TASK_OWNERS = {
    "gateway/assembly/running.py",  # what runs as long as the gateway does
    "gateway/edge/connection.py",  # the answer to one request, cancelled with its connection
    "gateway/proxy/resolver.py",  # lookups that whoever wants the same name shares, ended with the resolver
    "gateway/proxy/upload.py",  # one request body on its way, ended with its exchange
    "gateway/stores/redis/link.py",  # the connection to Redis, kept up until the link is closed
}
"""Files that start tasks, keep them, and cancel or await them at the end."""


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(GATEWAY.rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def _calls(tree: ast.Module, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in names:
                yield node
            case _:
                pass


def test_a_permit_is_made_in_exactly_one_place() -> None:
    places = [file for file, tree in _sources() for _ in _calls(tree, "Permit")]
    assert places == ["gateway/pipeline/limit.py"]


def test_only_named_owners_start_tasks() -> None:
    """A task that nobody owns is lost on an error, and still runs when everything else has stopped."""
    starting = {
        file
        for file, tree in _sources()
        for call in _calls(tree, "create_task", "ensure_future", "run_coroutine_threadsafe")
        if not _is_task_group(call)
    }
    assert starting == TASK_OWNERS


def _is_task_group(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id=name)):
            return name in {"group", "tasks"}
        case _:
            return False


def test_lines_of_the_log_call_the_address_of_a_client_by_the_name_that_is_hidden() -> None:
    """What the policy hides of it is hidden under `source_ip`, and nowhere else."""
    levels = ("debug", "info", "warning", "error", "exception", "critical")
    found = {
        (file, said.arg)
        for file, tree in _sources()
        for call in _calls(tree, *levels)
        for said in call.keywords
        if isinstance(said.value, ast.Attribute) and said.value.attr in {"client", "peer"}
    }
    assert found == {("gateway/edge/tls.py", "source_ip")}


def test_no_regular_expression_has_a_possessive_group() -> None:
    """Before Python 3.11.5 such a group skips what is asked inside it (python/cpython#106052)."""
    found = [
        f"{file}:{call.lineno}"
        for file, tree in _sources()
        for call in _calls(tree, "compile")
        if call.args and isinstance(call.args[0], ast.Constant) and _has_possessive_group(call.args[0].value)
    ]
    assert found == []
    assert _has_possessive_group(r"(?:/(?!b)[a-z])++")
    assert not _has_possessive_group(rb"(?:/[a-z]++)+")


def _has_possessive_group(pattern: object) -> bool:
    assert isinstance(pattern, str | bytes)
    text = pattern.encode("utf-8", "surrogatepass") if isinstance(pattern, str) else pattern
    # Without escapes and sets, a parenthesis ends a group.
    flat = re.sub(rb"\\.|\[\^?\]?[^]]*\]", b"x", text)
    return re.search(rb"\)(?:[*+?]|\{[0-9,]*\})\+|\(\?>", flat) is not None


def test_every_reason_has_a_status_and_a_title_of_its_own() -> None:
    assert set(STATUS_AND_TITLE) == set(Reason)
    titles = [title for _, title in STATUS_AND_TITLE.values()]
    assert len(set(titles)) == len(titles)
    for reason, (status, title) in STATUS_AND_TITLE.items():
        assert 400 <= status <= 599 or reason is Reason.OK
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", reason.value)
        assert not title.endswith(".")


def test_every_room_has_tests() -> None:
    # Ports are protocols: their tests are contracts, run against every adapter.
    rooms = {path.parent.name for path in GATEWAY.glob("*/__init__.py")} - {"ports"}
    tested = {path.relative_to(ROOT).parts[2] for path in ROOT.glob("tests/unit/*/**/test_*.py")}
    assert sorted(rooms - tested) == []
    assert list(ROOT.glob("tests/contracts/test_*.py"))


def test_every_room_says_what_its_door_offers() -> None:
    silent = [
        file
        for file, tree in _sources()
        if file.endswith("__init__.py") and len(file.split("/")) == 3
        if any(isinstance(node, ast.ImportFrom) for node in tree.body)
        and not any(
            isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
            for node in tree.body
        )
    ]
    assert not silent
