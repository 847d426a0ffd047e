"""The client on a real API server: preconditions, field owners, rights."""

import pytest

from support import api_cases, servers
from tradeplane_kube import client, errors

MODEL = api_cases.good("Model")


def part(**metadata: str) -> api_cases.Json:
    """Return the identity of the Model."""
    return {"apiVersion": MODEL["apiVersion"], "kind": "Model", "metadata": {"name": "alpha", **metadata}}


async def test_a_status_is_guarded_by_its_resource_version(kube: servers.Kube) -> None:
    """A status decided on an older object is refused."""
    async with client.Client(kube.kubeconfig, kube.namespace) as api:
        old = await api.create(MODEL, manager="test")
        await api.patch("Model", "alpha", {"spec": {"label": {"horizon": 2}}}, manager="test")
        status = {"status": {"observedGeneration": 1}}
        with pytest.raises(errors.Conflict):
            await api.apply_status(part(resourceVersion=old["metadata"]["resourceVersion"]) | status, "test")


async def test_an_apply_with_a_uid_never_brings_an_object_back(kube: servers.Kube) -> None:
    """Server-side apply creates what is absent, unless it names the object it means."""
    async with client.Client(kube.kubeconfig, kube.namespace) as api:
        gone = await api.create(MODEL, manager="test")
        await api.delete("Model", "alpha", uid=gone["metadata"]["uid"])
        with pytest.raises(errors.Conflict):
            await api.apply(part(uid=gone["metadata"]["uid"]) | {"spec": MODEL["spec"]}, "test")
        assert await api.get("Model", "alpha") is None


async def test_a_delete_is_guarded_by_uid_and_resource_version(kube: servers.Kube) -> None:
    """A namesake or a newer object stays."""
    async with client.Client(kube.kubeconfig, kube.namespace) as api:
        await api.create(MODEL, manager="test")
        with pytest.raises(errors.Conflict):
            await api.delete("Model", "alpha", uid="other")
        with pytest.raises(errors.Conflict):
            await api.delete("Model", "alpha", resource_version="1")
        assert await api.get("Model", "alpha") is not None


async def test_two_managers_share_the_environments_status(kube: servers.Kube) -> None:
    """The gateway's trading part survives the operator's conditions, and the reverse."""
    environment = api_cases.good("Environment")
    async with client.Client(kube.kubeconfig, kube.namespace) as api:
        await api.create(environment, manager="test")
        identity = {**part(), "kind": "Environment", "metadata": {"name": "demo"}}
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "Operating",
            "message": "",
            "lastTransitionTime": "2026-11-21T12:00:00Z",
            "observedGeneration": 1,
        }
        await api.apply_status(identity | {"status": {"trading": {"state": "halted"}}}, "gateway")
        await api.apply_status(identity | {"status": {"conditions": [ready]}}, "operator")
        both = await api.apply_status(identity | {"status": {"trading": {"state": "enabled"}}}, "gateway")
    assert both["status"]["trading"] == {"state": "enabled"}
    assert both["status"]["conditions"] == [ready]


async def test_an_unknown_field_of_a_write_is_refused(kube: servers.Kube) -> None:
    """The server would drop it in silence otherwise."""
    async with client.Client(kube.kubeconfig, kube.namespace) as api:
        await api.create(MODEL, manager="test")
        with pytest.raises(errors.Invalid, match="horizn"):
            await api.patch("Model", "alpha", {"spec": {"label": {"horizn": 2}}}, manager="test")


async def test_a_watch_continues_from_its_list(kube: servers.Kube) -> None:
    """Nothing between list and watch is lost."""
    async with client.Client(kube.kubeconfig, kube.namespace) as api:
        _, version = await api.list("Model")
        await api.create(MODEL, manager="test")
        await api.delete("Model", "alpha")
        seen = []
        async for kind, _ in api.watch("Model", name="alpha", resource_version=version):
            seen.append(kind)
            if kind == "DELETED":
                break
    assert seen == ["ADDED", "DELETED"]


async def test_the_operator_reads_no_secret_and_changes_no_switch(kube: servers.Kube) -> None:
    """Its rights end where its work ends."""
    async with client.Client(kube.kubeconfig_for("operator"), kube.namespace) as api:
        with pytest.raises(errors.Forbidden):
            await api.get("Secret", "broker-credentials")
        with pytest.raises(errors.Forbidden):
            await api.patch("ConfigMap", "kill-switch", {"data": {"trading": "enabled"}}, manager="test")
        with pytest.raises(errors.Forbidden):
            await api.delete("ConfigMap", "kill-switch")
