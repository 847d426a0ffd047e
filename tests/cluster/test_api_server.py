"""What a real API server does with our definitions: rules both ways, immutable and strict fields, columns, birth."""

from collections.abc import Iterator

import pytest
import yaml

from support import api_cases, servers
from tradeplane_api import kinds, schema
from tradeplane_cli.local import processes
from tradeplane_kube import client, errors


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Kube]:
    """Yield one namespace for all cases; each has its own name."""
    with servers.fresh_namespace(tmp_path_factory.mktemp("api")) as namespace:
        yield namespace


def named(case: api_cases.Case, number: int) -> api_cases.Json:
    """Give a case's object a name of its own."""
    manifest = api_cases.edited(case)
    manifest["metadata"]["name"] = f"case-{number}"
    return manifest


@pytest.mark.parametrize(
    "number,case", list(enumerate((*api_cases.RULES, *api_cases.SHAPES, *api_cases.UNKNOWN))), ids=str
)
async def test_the_server_takes_good_objects_and_refuses_bad_ones(
    place: servers.Kube, number: int, case: api_cases.Case
) -> None:
    """Every rule and bound, both ways; a refusal names field, limit and value."""
    async with client.Client(place.kubeconfig, place.namespace) as kube:
        if not case.refused:
            await kube.create(named(case, number), manager="test")
            return
        with pytest.raises(errors.Invalid) as refusal:
            await kube.create(named(case, number), manager="test")
        for words in case.refused:
            assert words in str(refusal.value)


@pytest.mark.parametrize("case", api_cases.UNKNOWN, ids=str)
def test_kubectl_apply_refuses_unknown_fields(place: servers.Kube, case: api_cases.Case) -> None:
    """Strict validation is kubectl's default, so a typing error is not dropped in silence."""
    with pytest.raises(processes.LocalError, match=case.refused[0]):
        place.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(named(case, 999)))


@pytest.mark.parametrize(
    "field,value",
    [("mode", "live"), ("broker", {"secretRef": "other"}), ("broker", {"urls": {"trading": "https://x"}})],
)
async def test_mode_and_broker_never_change(kube: servers.Kube, field: str, value: object) -> None:
    """An Environment is what it was created as."""
    async with client.Client(kube.kubeconfig, kube.namespace) as api:
        await api.create(api_cases.good("Environment"), manager="test")
        with pytest.raises(errors.Invalid, match=f"{field}: is immutable"):
            await api.patch("Environment", "demo", {"spec": {field: value}}, manager="test")
        await api.patch("Environment", "demo", {"spec": {"readWindow": "7s"}}, manager="test")


@pytest.mark.parametrize(
    "changes", [{"to": "2013-02-28"}, {"seed": 8}, {"data": {"digest": "sha256:" + "a" * 64}}], ids=str
)
async def test_a_backtests_spec_never_changes(kube: servers.Kube, changes: api_cases.Json) -> None:
    """No field is edited, and no absent one comes; labels may."""
    async with client.Client(kube.kubeconfig, kube.namespace) as api:
        await api.create(api_cases.good("Backtest"), manager="test")
        with pytest.raises(errors.Invalid, match="spec: is immutable; delete the object"):
            await api.patch("Backtest", "momentum-2012", {"spec": changes}, manager="test")
        await api.patch("Backtest", "momentum-2012", {"metadata": {"labels": {"a": "b"}}}, manager="test")


@pytest.mark.parametrize("kind", kinds.KINDS, ids=str)
async def test_an_object_is_born_unknown_and_with_the_types_defaults(kube: servers.Kube, kind: str) -> None:
    """Ready=Unknown before any operator looked, because absence would count as ready; defaults as in the types."""
    manifest = api_cases.good(kind)
    async with client.Client(kube.kubeconfig, kube.namespace) as api:
        born = await api.create(manifest, manager="test")
    (ready,) = born["status"]["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "Unknown", "Pending")
    assert born["spec"] == schema.defaulted(manifest)


def test_short_names_category_and_columns(place: servers.Kube) -> None:
    """``kubectl get tradeplane`` shows all kinds with their columns."""
    for kind in kinds.KINDS.values():
        manifest = api_cases.good(kind.name)
        manifest["metadata"]["name"] = "shown"
        place.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(manifest))
        header = place.kubectl("get", kind.short, "shown", "-o", "wide").splitlines()[0].split()
        assert header == ["NAME", *(column.name.upper() for column in kind.columns)]
    shown = place.kubectl("get", "tradeplane")
    for kind in kinds.KINDS.values():
        assert f"{kind.name.lower()}.tradeplane.dev/shown" in shown
