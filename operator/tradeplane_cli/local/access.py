"""Who may do what in one namespace: the Roles of ``access.yaml`` and the users they are bound to."""

import string
from importlib import resources
from pathlib import Path
from typing import Any, Final

from tradeplane_cli.local import control_plane

# Processes and persons, and the Roles that each holds.
ROLES: Final[dict[str, tuple[str, ...]]] = {
    "operator": ("operator",),
    "gateway": ("gateway",),
    "market-data": ("market-data",),
    "trader": ("trader",),
    "risk": ("risk",),
    # The person at a laptop, who is trader, risk and installer at once; `kubectl` is pointed at this one.
    "developer": ("installer", "trader", "risk"),
}


def user(identity: str, *, namespace: str) -> str:
    """Return the user name in an identity's client certificate."""
    return f"tradeplane:{namespace}:{identity}"


def manifests(namespace: str) -> tuple[str | dict[str, Any], ...]:
    """Return the namespace, its Roles and its RoleBindings."""
    template = resources.files("tradeplane_cli.local").joinpath("access.yaml").read_text()
    bindings = [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"{identity}-{role}", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [
                {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "User",
                    "name": user(identity, namespace=namespace),
                }
            ],
        }
        for identity, roles in ROLES.items()
        for role in roles
    ]
    namespaced = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    return namespaced, string.Template(template).substitute(namespace=namespace), *bindings


def kubeconfig(plane: control_plane.ControlPlane, identity: str, *, namespace: str, path: Path) -> Path:
    """Issue the kubeconfig of an identity in a namespace."""
    if identity not in ROLES:
        raise ValueError(f"identity: must be one of {', '.join(ROLES)}, got {identity!r}")
    return plane.kubeconfig(user(identity, namespace=namespace), namespace=namespace, path=path)
