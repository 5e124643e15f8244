"""Values that stand for something outside of the file: `${env:X}`, `${file:/path}`.

In the upstreams file that may be every value, in the policies file only the secrets of authenticators.

Only values, only after parsing: nothing from outside can add a key, and keys are never interpolated. What
comes from outside is never shown in a finding.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from gateway.config.places import Node, Origin, Path, find_node
from gateway.config.scalars import read_plain
from gateway.config.source import SourceFile
from gateway.config.words import did_you_mean, printable, quoted

_PART = re.compile(r"\$\$|\$\{(?P<inner>[^{}]*)\}|\$\{(?P<open>[^{}]*)")
_ENVIRONMENT = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<how>[-?])(?P<rest>.*))?", re.DOTALL)
_LARGEST_FILE = 1024 * 1024
_STAND_IN = "unread"
_HEADER_VALUES = frozenset({"set_request_headers", "set_response_headers"})


@dataclass(slots=True)
class Interpolation:
    """Replaces what stands for something else, in place."""

    source: SourceFile
    environ: Mapping[str, str] = field(repr=False)
    read_secrets: bool
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256, repr=False)

    def run(self) -> str:
        """Replace everything. Return a digest of what came from the environment, without the values of header
        fields: they may be secrets, and the revision that is made of the digest is public."""
        if self.source.root is not None and "$" in self.source.text:
            self._walk(self.source.tree, self.source.root, ())
        return self._digest.hexdigest()

    def secret(self, entry: dict[str, object], path: Path) -> None:
        """Replace the secret of one entry, where it has one."""
        node = None if self.source.root is None else find_node(self.source.root, path)
        if node is None or node.text is None:
            return
        if "${" not in node.text or ":-" in node.text:
            self.source.hide(node)
            self.source.report(
                "E109",
                path,
                "a secret does not stand in the policies file itself",
                'write "${file:/run/secrets/NAME}" or "${env:NAME}"',
            )
            return
        # Never read as a number, whatever it looks like.
        entry["secret"] = _PART.sub(lambda part: self._part(part, node, path), node.text)

    def _walk(self, value: object, node: Node, path: Path) -> None:
        if isinstance(value, dict) and node.fields is not None:
            for key, each in list(value.items()):
                if isinstance(each, str):
                    value[key] = self._value(each, node.fields[key], (*path, key))
                else:
                    self._walk(each, node.fields[key], (*path, key))
        elif isinstance(value, list) and node.items is not None:
            for index, each in enumerate(value):
                if isinstance(each, str):
                    value[index] = self._value(each, node.items[index], (*path, index))
                else:
                    self._walk(each, node.items[index], (*path, index))

    def _value(self, text: str, node: Node, path: Path) -> object:
        if "$" not in text:
            return text
        replaced = _PART.sub(lambda part: self._part(part, node, path), text)
        if node.origin is Origin.WRITTEN:
            return replaced
        if not _HEADER_VALUES & set(path):
            self._digest.update(f"{path!r}={len(replaced)}:{replaced}".encode("utf-8", "surrogateescape"))
        # Without quotes a number from the environment is a number, as if it were written there.
        value = read_plain(replaced) if node.plain else replaced
        return replaced if value is None else value

    def _part(self, part: re.Match[str], node: Node, path: Path) -> str:
        if part[0] == "$$":
            return "$"
        if part["open"] is not None:
            self.source.report("E012", path, f"{quoted(part[0])} is never closed", 'add a "}"')
            node.origin = Origin.UNREAD
            return ""
        kind, colon, rest = part["inner"].partition(":")
        if kind == "env" and colon:
            return self._environment(rest, node, path)
        if kind == "file" and colon:
            return self._file(rest, node, path)
        suggestion = (
            f"write ${{env:{printable(kind)}}}"
            if not colon and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", kind)
            else did_you_mean(
                kind, ["env", "file"], otherwise="write ${env:NAME}, ${file:/path}, or $$ for a $"
            )
        )
        self.source.report("E012", path, f"{quoted(part[0])} is no interpolation that is known", suggestion)
        node.origin = Origin.UNREAD
        return ""

    def _environment(self, text: str, node: Node, path: Path) -> str:
        found = _ENVIRONMENT.fullmatch(text)
        if found is None:
            self.source.report(
                "E012",
                path,
                f"{quoted(text)} is not the name of an environment variable",
                "write ${env:NAME}, ${env:NAME:-default} or ${env:NAME:?message}",
            )
            node.origin = Origin.UNREAD
            return ""
        name, how, rest = found.groups()
        value = self.environ.get(name)
        if value or (value is not None and how is None):
            node.origin = _further(node.origin, Origin.INTERPOLATED)
            return value
        if how == "-":
            node.origin = _further(node.origin, Origin.INTERPOLATED)
            return str(rest)
        state = "is not set" if value is None else "is empty"
        message = f"the environment variable {name} {state}"
        if how == "?" and rest:
            message += f": {printable(str(rest))}"
        self.source.report(
            "E013", path, message, f"set it, or write ${{env:{name}:-a default}}" if how is None else None
        )
        node.origin = Origin.UNREAD
        return ""

    def _file(self, name: str, node: Node, path: Path) -> str:
        if not name.startswith("/"):
            self.source.report(
                "E012", path, f"{quoted(name)} is not an absolute path", "write ${file:/run/secrets/name}"
            )
            node.origin = Origin.UNREAD
            return ""
        if not self.read_secrets:
            node.origin = Origin.UNREAD
            return _STAND_IN
        try:
            with FilePath(name).open("rb") as stream:
                content = stream.read(_LARGEST_FILE + 1)
            text = content.decode("utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            reason = (
                "it is not UTF-8" if isinstance(fault, UnicodeDecodeError) else str(fault.strerror).lower()
            )
            self.source.report(
                "E014",
                path,
                f"the file {quoted(name)} cannot be read: {reason}",
                "`gateway check --no-secrets` does not read it",
            )
            node.origin = Origin.UNREAD
            return ""
        if len(content) > _LARGEST_FILE:
            self.source.report("E014", path, f"the file {quoted(name)} is larger than 1 MiB")
            node.origin = Origin.UNREAD
            return ""
        node.origin = _further(node.origin, Origin.INTERPOLATED)
        return text.removesuffix("\n").removesuffix("\r")


def _further(now: Origin, then: Origin) -> Origin:
    """Return the origin of a value of several parts: once unread, it stays unread."""
    return now if now is Origin.UNREAD else then


def interpolate_secrets(source: SourceFile, environ: Mapping[str, str], *, read_secrets: bool) -> None:
    """Replace the secrets of the policies file by what they stand for.

    One that is written out is reported, and every other `${...}`: a policy means the same everywhere.
    """
    if source.root is None:
        return
    outside = Interpolation(source, environ, read_secrets)
    tree = source.tree
    entries = tree.get("authenticators") if isinstance(tree, dict) else None
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        if isinstance(entry, dict):
            outside.secret(entry, ("authenticators", name, "secret"))
    if "${" in source.text:
        _find_uninterpolated(source, source.root, ())


def _is_secret(path: Path) -> bool:
    match path:
        case ("authenticators", str(), "secret"):
            return True
        case _:
            return False


def _find_uninterpolated(source: SourceFile, node: Node, path: Path) -> None:
    if node.text is not None and "${" in node.text and not _is_secret(path):
        source.report(
            "E015",
            path,
            "nothing is interpolated in this file: a policy means the same everywhere",
            "write the value itself; the upstreams file may use ${env:NAME}",
        )
        node.origin = Origin.UNREAD
    for key, each in (node.fields or {}).items():
        _find_uninterpolated(source, each, (*path, key))
    for index, each in enumerate(node.items or ()):
        _find_uninterpolated(source, each, (*path, index))
