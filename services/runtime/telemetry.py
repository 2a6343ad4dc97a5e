"""Logs: one line an event, ``key=value`` on a terminal and JSON elsewhere, to standard error."""

import logging
import sys

# Where rich happens to be installed, structlog would load it and its lexers, 4 MB, for colours.
_hidden = "rich" not in sys.modules
if _hidden:
    sys.modules["rich"] = None  # type: ignore[assignment] # so an import finds nothing
import structlog  # noqa: E402 - as said

if _hidden:
    del sys.modules["rich"]


def configure(service: str, *, level: str = "info") -> None:
    """Set the process's log format; every line carries ``service``."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def logger(**values: object) -> structlog.typing.FilteringBoundLogger:
    """A logger with these values on every line. Never pass it a body, a token or a key."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(**values)
    return bound
