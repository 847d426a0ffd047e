import io
import json
import logging
import urllib.request

import prometheus_client
import pytest
import structlog

from tradeplane_engine import errors
from tradeplane_workers import logs, metrics


@pytest.fixture
def output() -> io.StringIO:
    """Configure logging into a buffer."""
    stream = io.StringIO()
    logs.configure("strategy", stream=stream)
    return stream


def test_a_line_is_one_json_object(output: io.StringIO) -> None:
    """A log line carries message, keys, level, time and process."""
    structlog.get_logger("x").info("bar decided", symbol="IBM")
    line = json.loads(output.getvalue())
    assert (line["event"], line["symbol"], line["level"], line["process"]) == ("bar decided", "IBM", "info", "strategy")
    assert line["timestamp"].endswith("Z")


def test_lines_of_libraries_have_the_same_form(output: io.StringIO) -> None:
    """Standard logging goes through the same renderer."""
    logging.getLogger("library").warning("lost %s", "connection")
    line = json.loads(output.getvalue())
    assert (line["event"], line["process"]) == ("lost connection", "strategy")


def test_an_exception_is_in_the_line(output: io.StringIO) -> None:
    """A traceback stays inside its JSON object."""
    try:
        int("broken")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    line = json.loads(output.getvalue())
    assert "ValueError: invalid literal" in line["exception"]


@pytest.mark.parametrize("key", ["secret_key", "password", "token", "key", "Authorization", "api_key"])
def test_secrets_are_masked(output: io.StringIO, key: str) -> None:
    """A value under a key that names a secret never reaches the output."""
    structlog.get_logger("x").info("connected", **{key: "hunter2"})
    assert "hunter2" not in output.getvalue()
    assert json.loads(output.getvalue())[key] == "***"


def test_metrics_are_served() -> None:
    """What a process registers is in its exposition over HTTP."""
    source = metrics.registry()
    prometheus_client.Counter("tradeplane_test_things", "Things.", registry=source).inc(3)
    served = metrics.serve(source, "127.0.0.1:0")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/metrics", timeout=5) as answer:
            body = answer.read().decode()
    finally:
        served.stop()
    assert "tradeplane_test_things_total 3.0" in body
    assert "process_resident_memory_bytes" in body


@pytest.mark.parametrize("listen", ["", "8080", ":8080", "host:", "host:http", "host:70000"])
def test_a_bad_address_is_refused(listen: str) -> None:
    """The error names the setting and what came."""
    with pytest.raises(errors.ValueRefused, match="TRADEPLANE_METRICS_LISTEN"):
        metrics.address(listen, field="TRADEPLANE_METRICS_LISTEN")
