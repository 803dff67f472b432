"""gpt2-api on Ray Serve, for those who run Ray already: `serve run gpt2_serve:app`. Each replica owns one server on a free port of the
loopback address and passes requests and streams through. Who has no Ray is better off with the image behind a proxy: Ray adds a hop
and a copy of every byte. Callers need no key, because Serve asks for none: keep its port private.

GPT2_API_CONTAINER names the command, for example "node /opt/gpt2-api/dist/src/cli/container-main.js"."""

import asyncio
import ctypes
import os
import shlex
import signal
import socket

import aiohttp
from ray import serve
from starlette.requests import Request
from starlette.responses import StreamingResponse

COMMAND = shlex.split(os.environ.get("GPT2_API_CONTAINER", "gpt2-api-container"))
# Each side of the replica has connections of its own.
OF_A_CONNECTION = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


@serve.deployment(
    # Two processors are two threads. Requests that are open are what it scales by; docs/guides/sizing.md.
    ray_actor_options={"num_cpus": 2},
    max_ongoing_requests=64,
    autoscaling_config={"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 4, "upscale_delay_s": 3},
    health_check_period_s=2,
    graceful_shutdown_timeout_s=40,
)
class Gpt2:
    async def __init__(self, **settings: str) -> None:
        port = str(free_port())
        self.url = f"http://127.0.0.1:{port}"
        own = {"GPT2_API_HOST": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": port, **settings}
        self.process = await asyncio.create_subprocess_exec(
            *COMMAND, "serve", env={**os.environ, **own}, preexec_fn=end_with_parent
        )
        self.session = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=70))
        self.watch = asyncio.create_task(self.ends_with_server())
        while not await self.is_ready():
            await asyncio.sleep(0.1)

    async def ends_with_server(self) -> None:
        """Serve notices a dead replica at once, and a failing health check only after several."""
        await self.process.wait()
        os._exit(1)

    async def is_ready(self) -> bool:
        try:
            async with self.session.get(f"{self.url}/ping") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def check_health(self) -> None:
        if not await self.is_ready():
            raise RuntimeError("the server does not answer")

    async def __call__(self, request: Request) -> StreamingResponse:
        headers = {name: value for name, value in request.headers.items() if name not in OF_A_CONNECTION}
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        answer = await self.session.request(
            request.method, self.url + path, data=await request.body(), headers=headers
        )

        async def pieces():
            # A caller that leaves closes it, and the server stops the work.
            async with answer:
                async for piece in answer.content.iter_any():
                    yield piece

        kept = {name: value for name, value in answer.headers.items() if name.lower() not in OF_A_CONNECTION}
        return StreamingResponse(pieces(), answer.status, kept)

    async def __del__(self) -> None:
        """Serve calls it when it removes the replica: what is open is answered."""
        self.watch.cancel()
        self.process.terminate()
        await self.process.wait()
        await self.session.close()


app = Gpt2.bind()
