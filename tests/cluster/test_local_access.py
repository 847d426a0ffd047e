"""What each identity may not do, asked of the real API server. Nothing is changed: each request is a dry run."""

import base64
import http.client
import json
import ssl
from collections.abc import Iterator

import pytest

from support import servers
from tradeplane_cli.local import access, processes

EXAMPLES = servers.CHECKOUT / "examples"
BACKTEST = servers.CHECKOUT / "docs" / "how-to" / "backtest.yaml"
ENVIRONMENT = {
    "apiVersion": "tradeplane.dev/v1alpha1",
    "kind": "Environment",
    "metadata": {"name": "demo"},
    "spec": {
        "mode": "dev",
        "broker": {
            "urls": {
                "trading": "http://127.0.0.1:1",
                "stream": "ws://127.0.0.1:1/stream",
                "data": "http://127.0.0.1:1",
                "dataStream": "ws://127.0.0.1:1/v2/iex",
            },
            "secretRef": "broker-credentials",
        },
        "riskPolicyRef": "prudent",
        "pools": [{"name": "execution", "role": "execution", "address": "http://127.0.0.1:2"}],
    },
}
SWITCH = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "kill-switch"},
    "data": {"trading": "halted"},
}
GROUP = "/apis/tradeplane.dev/v1alpha1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
# Action to method, API root, path below the namespace, and merge patch or new object.
ACTIONS: dict[str, tuple[str, str, str, object]] = {
    "edit environment": ("PATCH", GROUP, "environments/demo", {"spec": {"readWindow": "6s"}}),
    "edit strategy": ("PATCH", GROUP, "strategies/momentum", {"spec": {"suspend": True}}),
    "edit model": ("PATCH", GROUP, "models/alpha", {"spec": {"serving": {"maxBatch": 32}}}),
    "edit policy": ("PATCH", GROUP, "riskpolicies/prudent", {"spec": {"portfolio": {"maxGross": "9"}}}),
    "edit backtest": ("PATCH", GROUP, "backtests/momentum-2012", {"metadata": {"labels": {"a": "b"}}}),
    "edit switch": ("PATCH", "/api/v1", "configmaps/kill-switch", {"data": {"trading": "enabled"}}),
    "write environment status": (
        "PATCH",
        GROUP,
        "environments/demo/status",
        {"status": {"trading": {"state": "halted"}}},
    ),
    "write strategy status": ("PATCH", GROUP, "strategies/momentum/status", {"status": {"observedGeneration": 1}}),
    "write backtest status": ("PATCH", GROUP, "backtests/momentum-2012/status", {"status": {"observedGeneration": 1}}),
    "edit role": ("PATCH", RBAC, "roles/gateway", {"rules": []}),
    "bind role": ("PATCH", RBAC, "rolebindings/gateway-gateway", {"subjects": []}),
    "read switch": ("GET", "/api/v1", "configmaps/kill-switch", None),
    "watch switch": ("GET", "/api/v1", "configmaps?fieldSelector=metadata.name%3Dkill-switch", None),
    "read another configmap": ("GET", "/api/v1", "configmaps/other", None),
    "list configmaps": ("GET", "/api/v1", "configmaps", None),
    "read credentials": ("GET", "/api/v1", "secrets/broker-credentials", None),
    "read another secret": ("GET", "/api/v1", "secrets/other", None),
    "list secrets": ("GET", "/api/v1", "secrets", None),
    "read strategies": ("GET", GROUP, "strategies", None),
    "read policies": ("GET", GROUP, "riskpolicies", None),
    "read backtests": ("GET", GROUP, "backtests", None),
    "read environment": ("GET", GROUP, "environments/demo", None),
    "read leases": ("GET", "/apis/coordination.k8s.io/v1", "leases", None),
    "read pods": ("GET", "/api/v1", "pods", None),
    "delete strategy": ("DELETE", GROUP, "strategies/momentum", None),
    "delete backtest": ("DELETE", GROUP, "backtests/momentum-2012", None),
    "delete policy": ("DELETE", GROUP, "riskpolicies/prudent", None),
    "delete environment": ("DELETE", GROUP, "environments/demo", None),
    "delete switch": ("DELETE", "/api/v1", "configmaps/kill-switch", None),
    "make switch": ("POST", "/api/v1", "configmaps", {**SWITCH, "metadata": {"name": "another"}}),
    "make token": (
        "POST",
        "/api/v1",
        "serviceaccounts/default/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    ),
}
READS = {"read switch", "watch switch", "read strategies", "read policies", "read environment"}
ALLOWED: dict[str, set[str]] = {
    "operator": READS
    | {"write environment status", "write strategy status", "write backtest status"}
    | {"read backtests", "read leases", "make switch"}
    # For their finalizers: RBAC cannot say "metadata only".
    | {"edit environment", "edit strategy", "edit model", "edit policy"},
    "gateway": READS | {"write environment status", "read credentials"},
    "market-data": {"read environment"},
    "trader": READS
    | {"edit strategy", "edit model", "delete strategy", "read backtests", "edit backtest", "delete backtest"},
    "risk": READS | {"edit policy", "delete policy", "edit switch", "read backtests"},
    "developer": READS
    | {"edit environment", "edit strategy", "edit model", "edit policy", "edit switch"}
    | {"delete strategy", "delete policy", "delete environment", "read backtests", "edit backtest", "delete backtest"},
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Kube]:
    """Yield a namespace with one object of everything."""
    directory = tmp_path_factory.mktemp("kube")
    with servers.fresh_namespace(directory) as kube:
        secrets = [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"key": "value"}}
            for name in ("broker-credentials", "other")
        ]
        other = {**SWITCH, "metadata": {"name": "other"}, "data": {}}
        documents = [SWITCH, other, ENVIRONMENT, *secrets]
        kube.kubectl(
            "apply",
            "-f",
            str(EXAMPLES),
            "-f",
            str(BACKTEST),
            "-f",
            "-",
            stdin="\n---\n".join(map(json.dumps, documents)),
        )
        yield kube


def _client(kube: servers.Kube, identity: str) -> http.client.HTTPSConnection:
    """Return a connection to the API server with an identity's certificate."""
    user = json.loads(kube.kubeconfig_for(identity).read_text())["users"][0]["user"]
    pair = kube.directory / f"{identity}.pem"
    pair.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
    context = ssl.create_default_context(cafile=str(kube.plane.authority.certificate))
    context.load_cert_chain(pair)
    return http.client.HTTPSConnection("127.0.0.1", kube.plane.ports.apiserver, context=context, timeout=30)


def _may(connection: http.client.HTTPSConnection, namespace: str, action: str) -> bool:
    """Say whether RBAC admits the action; any other refusal would hide its answer and is an error."""
    method, root, path, body = ACTIONS[action]
    url = f"{root}/namespaces/{namespace}/{path}"
    if method != "GET":
        url += "?dryRun=All"
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    connection.request(method, url, body=json.dumps(body) if body else None, headers={"Content-Type": kind})
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status not in {200, 201, 403}:
        raise AssertionError(f"{action}: {answer.status} {text}")
    return answer.status != 403


@pytest.mark.parametrize("identity", sorted(ALLOWED))
def test_identity_has_exactly_these_rights(filled: servers.Kube, identity: str) -> None:
    """An identity may do what it needs and none of the other things."""
    connection = _client(filled, identity)
    assert ALLOWED[identity] == {action for action in ACTIONS if _may(connection, filled.namespace, action)}


def test_every_identity_is_asked() -> None:
    """No identity exists whose rights are not tested."""
    assert set(ALLOWED) == set(access.ROLES)


def test_only_persons_may_change_the_switch() -> None:
    """No process may write an existing switch, and none may delete it."""
    able = {identity for identity, allowed in ALLOWED.items() if allowed & {"edit switch", "delete switch"}}
    assert able == {"risk", "developer"}


def test_nobody_but_the_gateway_reads_credentials() -> None:
    """Not even the person at the laptop reads the broker's key through the API."""
    able = {
        identity
        for identity, allowed in ALLOWED.items()
        if allowed & {"read credentials", "read another secret", "list secrets"}
    }
    assert able == {"gateway"}


def test_gateway_of_another_namespace_is_nobody(filled: servers.Kube, kube: servers.Kube) -> None:
    """The certificate of one environment's gateway gives no right in another."""
    for words in (("get", "secret", "broker-credentials"), ("get", "strategies")):
        with pytest.raises(processes.LocalError, match="forbidden"):
            kube.kubectl(*words, "--namespace", filled.namespace, identity="gateway")


def test_without_a_certificate_nothing_is_answered(filled: servers.Kube) -> None:
    """Anonymous requests are refused, health included."""
    context = ssl.create_default_context(cafile=str(filled.plane.authority.certificate))
    connection = http.client.HTTPSConnection("127.0.0.1", filled.plane.ports.apiserver, context=context, timeout=30)
    connection.request("GET", "/readyz")
    assert connection.getresponse().status == 401


def test_unknown_identity_gets_no_kubeconfig(kube: servers.Kube) -> None:
    """A typing error in an identity is refused with the names that exist."""
    with pytest.raises(ValueError, match="must be one of operator, gateway"):
        kube.kubeconfig_for("gatway")
