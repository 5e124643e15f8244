"""Structured logs on stdout: a constant event name, data in fields, no credential, no body."""

import logging
import sys
from collections.abc import Callable

import structlog

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway")
"""The gateway's own log."""


def set_up_logs(*, level: str, form: str, worker: int | None = None) -> None:
    """Send every log line of this process to stdout, as JSON or, on a terminal, as text.

    `worker` is the number that the lines of one process among several carry.
    """
    as_json = form == "json" or (form == "auto" and not sys.stdout.isatty())
    shared: list[structlog.typing.Processor] = [
        _hidden,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if worker is not None:
        shared.append(_Numbered(worker))
    if as_json:
        # Tracebacks without the variables of each frame: a token is among them.
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        shared += [structlog.processors.ExceptionRenderer(frames), structlog.processors.JSONRenderer()]
    else:
        shared.append(
            structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        )
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        # Each line in one write with its end: lines of other processes must not come between.
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    # aiohttp logs the offending bytes of a bad request, a bearer token among them; libraries speak up
    # only when something is wrong, and then without their arguments.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge()], force=True)


def hide_addresses(hide: Callable[[str], str] | None) -> None:
    """Have the lines of this process show the address of a client, their `source_ip`, so; None: in full."""
    _hidden.address = hide


class _Hidden:
    """Hides what the policy hides, in every line: `source_ip` is all that one says of a client."""

    address: Callable[[str], str] | None = None

    def __call__(
        self, _logger: object, _method: str, line: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        if self.address is not None and "source_ip" in line:
            line["source_ip"] = self.address(line["source_ip"])
        return line


_hidden = _Hidden()


class _Numbered:
    """Adds the number of the worker to every line."""

    def __init__(self, worker: int) -> None:
        self._worker = worker

    def __call__(
        self, _logger: object, _method: str, line: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        line.setdefault("worker", self._worker)
        return line


class _Bridge(logging.Handler):
    """Passes what libraries log through the standard library on to our log."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(
            max(record.levelno, logging.WARNING),
            "library",
            logger=record.name,
            text=str(record.msg),
            error=record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None,
        )
