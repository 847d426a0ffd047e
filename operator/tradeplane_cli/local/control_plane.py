"""A real Kubernetes control plane on loopback: etcd, kube-apiserver, and the controllers that our objects need.

No kubelet and no scheduler: nothing here runs pods. The controllers are those that collect garbage, empty deleted
namespaces and make service accounts.
"""

import json
import ssl
import subprocess
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tradeplane_cli.local import pki, processes

CONTROLLERS: Final = "garbage-collector-controller,namespace-controller,serviceaccount-controller"
ADMIN: Final = "platform"


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports of one control plane; fixed, so that a restarted process is found where it was."""

    etcd: int
    etcd_peer: int
    apiserver: int
    controller_manager: int


@dataclass(frozen=True)
class ControlPlane:
    """One control plane.

    Parameters
    ----------
    credentials : directory of keys, certificates and kubeconfigs
    data : etcd's data directory
    logs : directory of the log files
    programs : paths of etcd, kube-apiserver, kube-controller-manager and kubectl by name
    ports : where the processes listen
    """

    credentials: Path
    data: Path
    logs: Path
    programs: Mapping[str, Path]
    ports: Ports

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://127.0.0.1:{self.ports.apiserver}"

    @property
    def authority(self) -> pki.Authority:
        """The certificate authority of servers and clients."""
        return pki.Authority(self.credentials / "pki")

    @property
    def admin_kubeconfig(self) -> Path:
        """The kubeconfig of the cluster's administrator; nobody but the supervisor and tests uses it."""
        return self.credentials / f"{ADMIN}.kubeconfig"

    def prepare(self, *, namespace: str = "default") -> None:
        """Create keys, certificates and the administrator's kubeconfig unless they are there."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.authority.ensure()
        for name, make in (("apiserver", self.authority.serving), ("service-accounts", pki.signing_key)):
            if not self._key(name).exists():
                pair = make()
                pki.write_private(self._certificate(name), pair.certificate)
                pki.write_private(self._key(name), pair.key)
        if not self._certificate(ADMIN).exists():
            pair = self.authority.client(ADMIN, ("system:masters",))
            pki.write_private(self._key(ADMIN), pair.key)
            pki.write_private(self._certificate(ADMIN), pair.certificate)
        self.write_admin_kubeconfig(self.admin_kubeconfig, namespace=namespace)

    def write_admin_kubeconfig(self, path: Path, *, namespace: str) -> None:
        """Write a kubeconfig of the administrator whose default namespace is this one."""
        pair = pki.Pair(certificate=self._certificate(ADMIN).read_bytes(), key=self._key(ADMIN).read_bytes())
        self._write_kubeconfig(path, pair, namespace=namespace)

    def kubeconfig(self, user: str, *, namespace: str, path: Path) -> Path:
        """Issue a client certificate for a user and write its kubeconfig."""
        self._write_kubeconfig(path, self.authority.client(user), namespace=namespace)
        return path

    def etcd(self) -> processes.Spec:
        """Say how to start etcd."""
        client = f"http://127.0.0.1:{self.ports.etcd}"
        peer = f"http://127.0.0.1:{self.ports.etcd_peer}"
        return processes.Spec(
            name="etcd",
            argv=(
                str(self.programs["etcd"]),
                "--name=tradeplane",
                f"--data-dir={self.data}",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=tradeplane={peer}",
                # A killed process loses nothing by this, only a killed machine does; nothing here outlives one.
                "--unsafe-no-fsync=true",
                "--auto-compaction-retention=1h",
                "--log-level=warn",
            ),
            log=self.logs / "etcd.log",
            ready=lambda: _answers(f"{client}/health"),
        )

    def apiserver(self) -> processes.Spec:
        """Say how to start kube-apiserver."""
        return processes.Spec(
            name="kube-apiserver",
            argv=(
                str(self.programs["kube-apiserver"]),
                f"--etcd-servers=http://127.0.0.1:{self.ports.etcd}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={self.ports.apiserver}",
                f"--tls-cert-file={self._certificate('apiserver')}",
                f"--tls-private-key-file={self._key('apiserver')}",
                f"--client-ca-file={self.authority.certificate}",
                "--authorization-mode=Node,RBAC",
                "--anonymous-auth=false",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={self._certificate('service-accounts')}",
                f"--service-account-signing-key-file={self._key('service-accounts')}",
                # A loopback address may not be an endpoint of the service `kubernetes`; no pod needs it here.
                "--endpoint-reconciler-type=none",
                "--allow-privileged=true",
                "--profiling=false",
                "--event-ttl=1h",
                "--v=1",
            ),
            log=self.logs / "kube-apiserver.log",
            ready=self.missing,
            ready_timeout_s=120.0,
            # Its own shutdown waits for open watches.
            stop_grace_s=5.0,
        )

    def controller_manager(self) -> processes.Spec:
        """Say how to start kube-controller-manager."""
        return processes.Spec(
            name="kube-controller-manager",
            argv=(
                str(self.programs["kube-controller-manager"]),
                f"--kubeconfig={self.admin_kubeconfig}",
                f"--controllers={CONTROLLERS}",
                "--bind-address=127.0.0.1",
                f"--secure-port={self.ports.controller_manager}",
                f"--tls-cert-file={self._certificate('apiserver')}",
                f"--tls-private-key-file={self._key('apiserver')}",
                f"--service-account-private-key-file={self._key('service-accounts')}",
                f"--root-ca-file={self.authority.certificate}",
                "--use-service-account-credentials=true",
                "--leader-elect=false",
                "--v=1",
            ),
            log=self.logs / "kube-controller-manager.log",
            ready=lambda: _answers(
                f"https://127.0.0.1:{self.ports.controller_manager}/healthz", context=self._trusting()
            ),
        )

    def missing(self) -> str | None:
        """Say what the API server still lacks to be ready."""
        return _answers(f"{self.server}/readyz", context=self._as_admin())

    def kubectl(self, *arguments: str, kubeconfig: Path | None = None, stdin: str | None = None) -> str:
        """Run kubectl and return its output.

        Raises
        ------
        processes.LocalError : kubectl failed; carries what it wrote
        """
        outcome = subprocess.run(
            [self.programs["kubectl"], f"--kubeconfig={kubeconfig or self.admin_kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if outcome.returncode != 0:
            raise processes.LocalError(f"kubectl {' '.join(arguments)}: {outcome.stderr.strip()}")
        return outcome.stdout

    def apply(self, *documents: object) -> None:
        """Apply manifests as the administrator, by server-side apply."""
        text = "\n---\n".join(document if isinstance(document, str) else json.dumps(document) for document in documents)
        self.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=text)

    def apply_resource_definitions(self, folder: Path) -> list[str]:
        """Apply the CRDs of a folder, wait until the API server serves them, and return their file names."""
        files = sorted(folder.glob("*.yaml"))
        if files:
            self.kubectl("apply", "--server-side", *(f"--filename={path}" for path in files))
            self.kubectl(
                "wait", "--for=condition=Established", "--timeout=30s", *(f"--filename={path}" for path in files)
            )
        return [path.name for path in files]

    def _certificate(self, name: str) -> Path:
        return self.authority.directory / f"{name}.crt"

    def _key(self, name: str) -> Path:
        return self.authority.directory / f"{name}.key"

    def _write_kubeconfig(self, path: Path, client: pki.Pair, *, namespace: str) -> None:
        text = pki.kubeconfig(
            server=self.server, authority=self.authority.certificate, client=client, namespace=namespace
        )
        pki.write_private(path, text.encode())

    def _trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority.certificate))

    def _as_admin(self) -> ssl.SSLContext:
        context = self._trusting()
        context.load_cert_chain(self._certificate(ADMIN), self._key(ADMIN))
        return context


def _answers(url: str, *, context: ssl.SSLContext | None = None) -> str | None:
    """Say why a health URL does not answer 200, or nothing when it does."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=2.0):
            return None
    except (OSError, ValueError) as error:
        return str(error)
