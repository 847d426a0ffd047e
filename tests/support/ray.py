"""Ray's REST interface: a stand-in that is a real HTTP server, and the one real Ray of a test run.

The stand-in keeps Ray's habits: a PUT that cannot run answers 200 and fails later, what a PUT leaves out is deleted, a
repeated submission id answers 500, a lost GCS loses everything. Both pass tests/contract/test_ray_contract.py.
"""

import asyncio
import contextlib
import json
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from support import servers
from tradeplane_cli.local import ports
from tradeplane_cli.local import ray as local_ray

Json = dict[str, Any]
WORKER_PORTS = 24
_SOURCES = ("crds", "operator", "workers", "tests")


@dataclass
class Endpoint:
    """Where a Ray answers, real or not.

    ``serve_url`` is where its models are to be called, ``cluster`` where drivers connect, empty for a stand-in.
    """

    address: str
    token_file: Path
    serve_url: str
    cluster: str = ""


@dataclass
class StandInJob:
    """One job; ``run`` of the stand-in moves it on."""

    submission_id: str
    entrypoint: str
    variables: dict[str, str]
    metadata: dict[str, str]
    status: str = "PENDING"
    message: str = ""
    started: float = field(default_factory=time.time)
    ended: float | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Json:
        """What the operator told it."""
        return json.loads(self.variables["TRADEPLANE_CONFIG"])

    def end(self, status: str, message: str = "") -> None:
        """Move to a terminal status."""
        if self.ended is None:
            self.status, self.message, self.ended = status, message, time.time()

    def shown(self) -> Json:
        """As Ray's REST interface shows it."""
        return {
            "type": "SUBMISSION",
            "submission_id": self.submission_id,
            "status": self.status,
            "message": self.message,
            "entrypoint": self.entrypoint,
            "metadata": self.metadata,
            "runtime_env": {"env_vars": self.variables},
            "start_time": int(self.started * 1000),
            "end_time": None if self.ended is None else int(self.ended * 1000),
        }


def run_process(job: StandInJob) -> None:
    """Run the entry point for real, as Ray does."""
    job.process = subprocess.Popen(
        shlex.split(job.entrypoint),
        env={**os.environ, **job.variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    job.status = "RUNNING"

    def wait() -> None:
        code = job.process.wait() if job.process is not None else 0
        job.end("SUCCEEDED" if code == 0 else "FAILED", "" if code == 0 else f"failed with exit code {code}")

    threading.Thread(target=wait, daemon=True).start()


class StandIn:
    """The stand-in; ``run`` decides what a submitted job does, ``deploys`` whether an application comes up.

    Parameters
    ----------
    token : that every request must carry; None for none
    run : called in a thread with each new job
    """

    def __init__(self, *, token: str | None = None, run: Callable[[StandInJob], None] = run_process) -> None:
        self.token = token
        self.run = run
        self.jobs: dict[str, StandInJob] = {}
        self.applications: dict[str, Json] = {}
        self.http_options: Json | None = None
        self.writes: list[str] = []
        self.down = False
        self.deploys: Callable[[Json], str] = lambda app: "" if _importable(app) else f"cannot import {app}"

    def lose_everything(self) -> None:
        """Lose the GCS: applications and jobs are gone, and so are their processes."""
        for job in self.jobs.values():
            _kill(job)
        self.jobs.clear()
        self.applications.clear()
        self.http_options = None

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Yield the address at which it answers."""
        started = threading.Event()
        loop = asyncio.new_event_loop()
        found: list[str] = []

        async def start() -> web.AppRunner:
            runner = web.AppRunner(self._application())
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            found.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
            started.set()
            return runner

        def serve() -> None:
            asyncio.set_event_loop(loop)
            runner = loop.run_until_complete(start())
            loop.run_forever()
            loop.run_until_complete(runner.cleanup())
            loop.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        started.wait(10)
        try:
            yield found[0]
        finally:
            for job in self.jobs.values():
                _kill(job)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard])
        application.add_routes(
            [
                web.get("/api/serve/applications/", self._get_applications),
                web.put("/api/serve/applications/", self._put_applications),
                web.get("/api/jobs/", self._list_jobs),
                web.post("/api/jobs/", self._submit),
                web.get("/api/jobs/{id}", self._get_job),
                web.post("/api/jobs/{id}/stop", self._stop),
            ]
        )
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.down:
            raise web.HTTPServiceUnavailable(text="The GCS may be down")
        if self.token is not None:
            headers = (request.headers.get("Authorization"), request.headers.get("x-ray-authorization"))
            if headers == (None, None):
                raise web.HTTPUnauthorized(text="Unauthorized: Missing authentication token")
            if f"Bearer {self.token}" not in headers:
                raise web.HTTPForbidden(text="Forbidden: Invalid authentication token")
        return await handler(request)

    async def _get_applications(self, _: web.Request) -> web.Response:
        details: Json = {"controller_info": {}, "proxies": {}, "applications": {}, "target_capacity": None}
        if self.http_options is not None:
            details["controller_info"] = {"node_id": "stand-in"}
            details["http_options"] = self.http_options
        for name, config in self.applications.items():
            details["applications"][name] = self._details(config)
        return web.json_response(details)

    def _details(self, config: Json) -> Json:
        problem = self.deploys(config)
        deployments = {
            each["name"]: {"status": "HEALTHY", "message": "", "replicas": [{"state": "RUNNING"}]}
            for each in config["deployments"]
        }
        return {
            "name": config["name"],
            "status": "DEPLOY_FAILED" if problem else "RUNNING",
            "message": problem,
            "deployed_app_config": config,
            "deployments": {} if problem else deployments,
        }

    async def _put_applications(self, request: web.Request) -> web.Response:
        config = await request.json()
        applications = config.get("applications")
        if not isinstance(applications, list) or any("import_path" not in each for each in applications):
            raise web.HTTPBadRequest(text="ValidationError")
        self.writes.append(f"PUT {sorted(each['name'] for each in applications)}")
        if self.http_options is None:
            self.http_options = config.get("http_options", {"host": "127.0.0.1", "port": 8000})
        self.applications = {each["name"]: each for each in applications}
        return web.Response()

    async def _list_jobs(self, _: web.Request) -> web.Response:
        driver = {"type": "DRIVER", "submission_id": None, "status": "RUNNING"}
        return web.json_response([driver, *(job.shown() for job in self.jobs.values())])

    async def _get_job(self, request: web.Request) -> web.Response:
        return web.json_response(self._job(request).shown())

    async def _submit(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = body["submission_id"]
        if name in self.jobs:
            raise web.HTTPInternalServerError(text=f"ValueError: Job with submission_id {name} already exists.")
        variables = body["runtime_env"]["env_vars"]
        job = StandInJob(name, body["entrypoint"], variables, body.get("metadata") or {})
        self.jobs[name] = job
        self.writes.append(f"POST {name}")
        threading.Thread(target=self.run, args=(job,), daemon=True).start()
        return web.json_response({"job_id": name, "submission_id": name})

    async def _stop(self, request: web.Request) -> web.Response:
        job = self._job(request)
        alive = job.ended is None
        if alive:
            self.writes.append(f"STOP {job.submission_id}")
            job.end("STOPPED", "Job was intentionally stopped.")
            _kill(job)
        return web.json_response({"stopped": alive})

    def _job(self, request: web.Request) -> StandInJob:
        name = request.match_info["id"]
        if name not in self.jobs:
            raise web.HTTPNotFound(text=f"Job {name} does not exist")
        return self.jobs[name]


def _importable(config: Json) -> bool:
    return not config["import_path"].startswith("missing_module")


def _kill(job: StandInJob) -> None:
    if job.process is not None and job.process.poll() is None:
        job.process.kill()


def shared_ray() -> Endpoint:
    """Return the one real Ray of this test run, started on first use; it takes half a minute."""
    run = servers.current()
    with run.state() as state:
        known = state.get("ray")
        chosen = tuple(known or ports.free(local_ray.FIXED_PORTS + WORKER_PORTS + 1))
        head = local_ray.Ray(
            directory=run.directory / "r",
            log=run.directory / "ray.log",
            token_file=run.directory / "ray.token",
            chosen=chosen[:-1],
            env={
                "PATH": f"{servers.CHECKOUT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
                # What is tested is this checkout, whatever is installed.
                "PYTHONPATH": os.pathsep.join(str(servers.CHECKOUT / one) for one in _SOURCES),
            },
            cpus=2,
        )
        if not known:
            head.prepare()
            run.start(head.spec(), state)
            state["ray"] = list(chosen)
    return Endpoint(head.address, head.token_file, f"http://127.0.0.1:{chosen[-1]}", f"127.0.0.1:{chosen[0]}")
