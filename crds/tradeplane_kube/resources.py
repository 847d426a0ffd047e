"""Where the server keeps each kind that this project touches."""

from dataclasses import dataclass
from typing import Any

from tradeplane_api import kinds, names


@dataclass(frozen=True, slots=True)
class Resource:
    """One namespaced kind."""

    kind: str
    api_version: str
    plural: str

    def path(self, namespace: str, name: str | None = None, *, subresource: str | None = None) -> str:
        """URL path of the collection, an object or its subresource."""
        prefix = "/apis/" if "/" in self.api_version else "/api/"
        parts = [f"{prefix}{self.api_version}", "namespaces", namespace, self.plural, name, subresource]
        return "/".join(part for part in parts if part)


_RESOURCES = {
    resource.kind: resource
    for resource in (
        Resource("ConfigMap", "v1", "configmaps"),
        Resource("Secret", "v1", "secrets"),
        Resource("Event", "v1", "events"),
        *(Resource(kind.name, names.API_VERSION, kind.plural) for kind in kinds.KINDS.values()),
    )
}


def resource(kind: str) -> Resource:
    """Resource of a kind; KeyError for one that this project does not touch."""
    return _RESOURCES[kind]


def of(manifest: dict[str, Any]) -> Resource:
    """Resource of an object."""
    return resource(manifest["kind"])
