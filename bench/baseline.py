"""What requests cost when the baseline was written down, and on what."""

import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from bench.load import BenchError

FILE = Path(__file__).with_name("baseline.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """What decides how ratios come out: builds differ more from each other than machines do."""

    name: str
    version: str
    compiler: str
    build: str
    """Branch and time: nothing tells reliably how far a build was optimized."""

    @classmethod
    def current(cls) -> Self:
        """Return the interpreter that runs this."""
        return cls(
            name=platform.python_implementation(),
            version=platform.python_version(),
            compiler=platform.python_compiler(),
            build=" ".join(platform.python_build()),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.version}, {self.compiler}, {self.build}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One case: the lower quartile of several processes, in times of the reference."""

    ratio: float
    noise: float
    """Half the distance between the lowest process and the median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The figures of one run, by case."""

    interpreter: Interpreter
    processor: str
    figures: dict[str, Figure]

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return what a file holds. Raise `BenchError` when it holds no baseline."""
        try:
            told = json.loads(file.read_text())
            return cls(
                interpreter=Interpreter(**told["interpreter"]),
                processor=told["processor"],
                figures={name: Figure(**figure) for name, figure in told["figures"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BenchError(f"{file} holds no baseline ({error}): write one with --record") from None

    def write(self, file: Path) -> None:
        """Write it down, rounded to what means something."""
        told = asdict(self)
        for figure in told["figures"].values():
            for key, number in figure.items():
                figure[key] = round(number, 4)
        file.write_text(json.dumps(told, indent=2) + "\n")


def processor() -> str:
    """Return the name of this machine's processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
