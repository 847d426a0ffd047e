"""A Ray that somebody else runs, by the REST interface of its dashboard (KubeRay uses the same).

Ray's habits that shape this: a PUT of a configuration that cannot run answers 200 and fails later; a submission id used
twice answers 500; the list of jobs also holds drivers that nobody submitted.
"""

import pathlib
from collections.abc import Awaitable, Callable
from typing import Any
from urllib import parse

import httpx2

from tradeplane_operator.ray import port

_TIMEOUT = httpx2.Timeout(10.0, connect=2.0)
# The first PUT starts Serve itself; one that is given up is still being worked on, and a second would join it.
_PUT_TIMEOUT = httpx2.Timeout(60.0, connect=2.0)
_NAMESPACE = "tradeplane.dev/namespace"
_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500
_NOT_FOUND = 404


class ExternalRay:
    """Adapter for one address.

    Parameters
    ----------
    address : of Ray's dashboard, such as ``http://127.0.0.1:8265``
    token_file : bearer token, read again for every request; None when Ray asks for none
    """

    def __init__(self, address: str, *, token_file: pathlib.Path | None = None) -> None:
        self._address = address.rstrip("/")
        self._token_file = token_file
        # Ray is inside the installation: a proxy of the environment must not see its token.
        self._http = httpx2.AsyncClient(base_url=self._address, timeout=_TIMEOUT, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ensure(self) -> str:
        """Give the address; whether Ray answers shows in the next call."""
        return self._address

    async def serving(self) -> port.Serve:
        """Read back the declared configuration and its state."""
        details = await self._request("GET", "/api/serve/applications/?api_type=declarative")
        applications = {name: _application(name, entry) for name, entry in details.get("applications", {}).items()}
        http = details.get("http_options") or {}
        running = details.get("controller_info", {}).get("node_id") is not None
        listening = f"{http.get('host')}:{http.get('port')}" if running and http else None
        return port.Serve(applications=applications, listening=listening)

    async def serve(self, config: dict[str, Any]) -> None:
        """PUT the whole configuration; readiness must be read back."""
        await self._request("PUT", "/api/serve/applications/", json=config, timeout=_PUT_TIMEOUT)

    async def jobs(self) -> dict[str, port.Job]:
        """All submitted jobs."""
        entries = await self._request("GET", "/api/jobs/")
        jobs = (_job(entry) for entry in entries if entry.get("submission_id"))
        return {job.submission_id: job for job in jobs}

    async def submit(self, submission: port.Submission) -> None:
        """Look first, then submit: Ray answers a repeated id with a server error."""
        path = f"/api/jobs/{parse.quote(submission.submission_id)}"
        if await self._absent(lambda: self._request("GET", path)):
            body = {
                "submission_id": submission.submission_id,
                "entrypoint": submission.entrypoint,
                "runtime_env": {"env_vars": submission.variables},
                "metadata": {_NAMESPACE: submission.namespace},
            }
            await self._request("POST", "/api/jobs/", json=body)

    async def stop(self, submission_id: str) -> None:
        """Stop a job."""
        path = f"/api/jobs/{parse.quote(submission_id)}/stop"
        await self._absent(lambda: self._request("POST", path))

    @staticmethod
    async def _absent(call: Callable[[], Awaitable[Any]]) -> bool:
        try:
            await call()
        except _NotFound:
            return True
        return False

    async def _request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        timeout: httpx2.Timeout = _TIMEOUT,  # noqa: ASYNC109 - httpx's own
    ) -> Any:
        what = f"{method} {self._address}{path}"
        try:
            answer = await self._http.request(method, path, json=json, headers=self._headers(), timeout=timeout)
        except (httpx2.HTTPError, OSError) as problem:
            raise port.RayUnreachable(f"{what}: {problem!r}") from problem
        if answer.status_code == _NOT_FOUND:
            raise _NotFound(f"{what}: 404: {answer.text[:500]}")
        if answer.status_code >= _FIRST_SERVER_ERROR:
            raise port.RayUnreachable(f"{what}: {answer.status_code}: {answer.text[-500:]}")
        if answer.status_code >= _FIRST_ERROR:
            raise port.RayRefused(f"{what}: {answer.status_code}: {answer.text[:500]}")
        if not answer.content:
            return {}
        try:
            return answer.json()
        except ValueError as problem:
            raise port.RayUnreachable(f"{what}: the answer is not JSON: {answer.text[:200]}") from problem

    def _headers(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        return {"x-ray-authorization": f"Bearer {self._token_file.read_text(encoding='utf-8').strip()}"}


class _NotFound(port.RayRefused):
    """404: an answer like any other for a job."""


def _job(entry: dict[str, Any]) -> port.Job:
    return port.Job(
        submission_id=entry["submission_id"],
        status=entry.get("status") or "PENDING",
        message=entry.get("message") or "",
        namespace=(entry.get("metadata") or {}).get(_NAMESPACE, ""),
        started_s=(entry.get("start_time") or 0) / 1000,
        ended_s=(entry.get("end_time") or 0) / 1000,
    )


def _application(name: str, entry: dict[str, Any]) -> port.Application:
    deployments = entry.get("deployments") or {}
    messages = [entry.get("message") or "", *(each.get("message") or "" for each in deployments.values())]
    return port.Application(
        name=name,
        status=entry.get("status") or "NOT_STARTED",
        message="; ".join(message for message in messages if message),
        config=entry.get("deployed_app_config") or {},
        deployments_healthy=bool(deployments) and all(each.get("status") == "HEALTHY" for each in deployments.values()),
        replicas=sum(
            replica.get("state") == "RUNNING" for each in deployments.values() for replica in each.get("replicas") or ()
        ),
        deployed_s=entry.get("last_deployed_time_s") or 0.0,
    )
