"""Floors and doors: who may import whom."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "gateway"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in GATEWAY.rglob("*.py")
    if path.stem.isidentifier()
)

ALONE = """
import gc, importlib, os, sys, traceback
below, *modules = sys.argv[1:]
# Once together, to have what is not ours in memory: only our own order of imports is tried below.
for module in modules:
    importlib.import_module(module)
for module in [name for name in sys.modules if name.partition(".")[0] == "gateway"]:
    del sys.modules[module]
gc.disable()
gc.freeze()

def alone(module, then=lambda: 0):
    if (child := os.fork()) == 0:
        failed = 1
        try:
            importlib.import_module(module)
            failed = then()
        except BaseException:
            print("cannot be imported alone:", module, file=sys.stderr)
            traceback.print_exc()
        os._exit(failed)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0

# Importing a module runs the door of its package first, so each begins where the door has ended.
packages = {module.rpartition(".")[0] for module in modules}
behind = {}
for module in modules:
    behind.setdefault(module if module in packages else module.rpartition(".")[0], []).append(module)
failed = 0
for door, room in behind.items():
    failed += alone(door, lambda: sum(alone(module) for module in room if module not in sys.modules))
    if below == "imported" and not failed:
        importlib.import_module(door)
sys.exit(failed != 0)
"""


def test_the_floors_hold() -> None:
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    ended = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@cache
def _floors() -> list[list[str]]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [floor.split(" | ") for floor in reversed(contracts[0]["layers"])]


def _floor(module: str) -> tuple[int, str]:
    """Return how high a module's room is, and the room."""
    room = module.split(".")[1] if "." in module else ""
    return next((height for height, rooms in enumerate(_floors()) if room in rooms), -1), room


@pytest.mark.parametrize("below", ["imported", pytest.param("not imported", marks=pytest.mark.slow)])
def test_every_module_can_be_imported_alone(below: str) -> None:
    """What is below never imports what is above, so whether it is there already makes a difference only to a
    module that uses what it has not imported."""
    modules = sorted(MODULES, key=lambda module: (*_floor(module), module))
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ALONE, below, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_a_room_is_entered_by_its_door() -> None:
    """`from gateway.policy import Condition`, never `from gateway.policy.base import Condition`."""
    # The assembly builds the adapters; commands are reached one by one, so that each loads only its own; the
    # model is nouns, one a file, and what is computed from them lies beside.
    free = {"assembly", "__main__.py", "cli", "model"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} goes into {module}"
        for path in sorted(GATEWAY.rglob("*.py"))
        if (room := path.relative_to(GATEWAY).parts[0]) not in free
        for line, module in _imports(path)
        if module.startswith("gateway.")
        and len(parts := module.split(".")) > 2
        and parts[1] != room
        and parts[1] not in free
    ]
    assert not wrong, "\n".join(wrong)


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ImportFrom(module=str(module), level=0):
                yield node.lineno, module
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case _:
                pass
