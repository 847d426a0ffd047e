"""Structured logs: one JSON object per line on standard output, from our code and from the libraries below it.

Call :func:`configure` once, first thing in a process; then ``log = structlog.get_logger(__name__)`` and
``log.info("constant message", key=value)``, so that lines can be counted. Values under keys that name a secret are
masked.
"""

import logging
import re
import sys
from typing import TextIO

import orjson
import structlog
from structlog import typing as structlog_typing

_SECRET = re.compile(r"secret|password|passwd|authorization|(^|_)token$|(^|_)key$", re.IGNORECASE)
_MASK = "***"
# Request lines of HTTP clients and servers are metrics here; as logs they would bury everything else.
_QUIET = ("httpx2", "httpcore2", "httpx", "httpcore", "uvicorn.access", "websockets", "asyncio")


def configure(process: str, *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send every log record of this process to ``stream`` (standard output) as JSON lines that name ``process``."""
    shared: list[structlog_typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(process),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        mask_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream if stream is not None else sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def mask_secrets(
    _logger: structlog_typing.WrappedLogger, _method: str, event: structlog_typing.EventDict
) -> structlog_typing.EventDict:
    """Mask values whose key names a secret, so that a careless log call cannot leak one."""
    for key in event:
        if _SECRET.search(key):
            event[key] = _MASK
    return event


def _named(process: str) -> structlog_typing.Processor:
    def add(
        _logger: structlog_typing.WrappedLogger, _method: str, event: structlog_typing.EventDict
    ) -> structlog_typing.EventDict:
        event["process"] = process
        return event

    return add


def _render(_logger: structlog_typing.WrappedLogger, _method: str, event: structlog_typing.EventDict) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
