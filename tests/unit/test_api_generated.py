"""The generated definitions match the types, and the types keep the API's own rules."""

import runpy
import subprocess
import sys
from typing import Any

import pytest
import yaml

from support import servers
from tradeplane_api import kinds, names, schema

GENERATE = servers.CHECKOUT / "tools" / "generate_crds.py"


def nodes(node: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """List every schema with its path."""
    if not isinstance(node, dict):
        return []
    found = [(path, node)]
    for name, child in node.get("properties", {}).items():
        found += nodes(child, f"{path}.{name}")
    found += nodes(node.get("items"), f"{path}[]")
    return found + nodes(node.get("additionalProperties"), f"{path}{{}}")


def test_committed_definitions_are_up_to_date() -> None:
    """``--check`` finds nothing to change."""
    checked = subprocess.run([sys.executable, GENERATE, "--check"], capture_output=True, text=True, check=False)
    assert checked.stderr == ""
    assert checked.returncode == 0


def test_check_fails_for_a_file_that_differs(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A definition that differs from the types is named."""
    generate = runpy.run_path(str(GENERATE))
    stale = tmp_path / "strategies.yaml"
    stale.write_text("old")
    generate["main"].__globals__.update(ROOT=tmp_path, rendered=lambda: {stale: "new"})
    monkeypatch.setattr(sys, "argv", ["generate_crds.py", "--check"])
    assert generate["main"]() == 1
    assert stale.read_text() == "old"


@pytest.mark.parametrize("kind", kinds.KINDS.values(), ids=lambda kind: kind.name)
def test_every_list_map_and_string_is_bounded(kind: kinds.Kind) -> None:
    """Unbounded fields would make rules expensive and objects large."""
    spec = schema.definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for path, node in [*nodes(spec["spec"], "spec"), *nodes(spec["status"], "status")]:
        match node.get("type"):
            case "array":
                assert "maxItems" in node, path
            case "string":
                assert "maxLength" in node or "enum" in node, path
            case "object" if "additionalProperties" in node:
                assert "maxProperties" in node, path
            case "number":
                pytest.fail(f"{path}: the API has no floats")
            case _:
                pass


@pytest.mark.parametrize("kind", kinds.KINDS.values(), ids=lambda kind: kind.name)
def test_printer_columns_point_at_fields_that_exist(kind: kinds.Kind) -> None:
    """A column whose path is wrong would be empty for ever."""
    root = schema.definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    root["properties"]["metadata"] = {"properties": {"creationTimestamp": {}}}
    for column in kind.columns:
        node = root
        for part in column.path.split("[?")[0].lstrip(".").split("."):
            name, _, index = part.partition("[")
            node = node["properties"][name] if "properties" in node else node["additionalProperties"]
            node = node["items"] if index else node
        if "[?" in column.path:
            wanted = column.path.split('"')[1]
            assert wanted in set(names.Condition), column.path
            assert column.path.rsplit(".", 1)[1] in node["items"]["properties"], column.path


def test_the_smallest_strategy_has_twelve_lines() -> None:
    """Symbols, timeframe, one model and one policy; everything else has a default."""
    text = """\
apiVersion: tradeplane.dev/v1alpha1
kind: Strategy
metadata:
  name: small
spec:
  universe: {symbols: [AAPL, MSFT]}
  bars: {timeframe: 1d}
  signal:
    models:
      - name: alpha
  riskPolicyRef: prudent
"""
    assert len(text.splitlines()) <= 12
    assert schema.defaulted(yaml.safe_load(text))["portfolio"] == {
        "construct": "top-bottom-n",
        "top": 1,
        "bottom": 0,
        "capital": "10000",
    }
