"""The API server that tests share is a real one with RBAC."""

import json

import pytest

from support import servers
from tradeplane_cli.local import processes


def test_server_is_the_pinned_version(kube: servers.Kube) -> None:
    """The API server says the version that the project pins."""
    assert json.loads(kube.kubectl("get", "--raw", "/version"))["gitVersion"] == "v1.36.3"


def test_identity_is_confined_to_its_role(kube: servers.Kube) -> None:
    """A process's certificate gives the rights of its Role and no others."""
    with pytest.raises(processes.LocalError, match="forbidden"):
        kube.kubectl("get", "secrets", identity="operator")
