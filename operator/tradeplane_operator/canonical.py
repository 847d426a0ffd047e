"""One byte sequence per JSON value, and its hash: the name of a spec's content."""

import hashlib
import json
from typing import Any


def text(value: Any) -> str:
    """UTF-8 JSON with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """``sha256:<hex>`` of the canonical JSON."""
    return f"sha256:{hashlib.sha256(text(value).encode()).hexdigest()}"
