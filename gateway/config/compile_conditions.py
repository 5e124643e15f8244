"""Between the files and the policy room: reads a condition, and puts what is wrong with it in its place."""

from dataclasses import dataclass

from gateway.config.compile_access import Access
from gateway.config.places import Path
from gateway.config.source import SourceFile
from gateway.config.words import quoted
from gateway.policy import Condition, compile_condition

_ABOUT_KEYS = frozenset({"E120", "E121"})


@dataclass(frozen=True, slots=True)
class ConditionCompiler:
    """Compiles all conditions of one policy."""

    source: SourceFile
    access: Access

    def compile(
        self, tree: object, path: Path, *, params: frozenset[str] | None, quiet: frozenset[str] = frozenset()
    ) -> Condition | None:
        """Return the condition at a path; None when it is wrong: reported, except for `quiet` codes."""
        if not self.source.is_whole(path):
            # What is left of it would be another condition; what is wrong is reported already.
            return None

        def place(within: Path) -> str:
            return self.source.place((*path, *within))

        def report(within: Path, code: str, message: str, meant: str | None) -> None:
            if code in quiet or self._knows_all(code):
                return
            last = within[-1] if within else None
            is_key = code in _ABOUT_KEYS or (
                code == "E107" and isinstance(last, str) and last.startswith("path.")
            )
            self.source.report(
                code,
                (*path, *within),
                message,
                None if meant is None else f"did you mean {quoted(meant)}?",
                key=is_key,
            )

        return compile_condition(
            tree,
            place=place,
            networks=self.access.networks,
            schedules=self.access.schedules,
            params=params,
            roles=self.access.role_names.known,
            report=report,
        )

    def _knows_all(self, code: str) -> bool:
        """Say whether a name may be unknown only because the section that declares it could not be used."""
        section = {"E104": "roles", "E106": "networks", "E108": "schedules"}.get(code)
        return section is not None and self.source.names(section).knows_all
