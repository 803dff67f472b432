"""The example for Ray Serve on a cluster of two Ray nodes on this machine: a stream comes in pieces, load brings a second replica on the
other node, a server that is killed under load costs few requests, and without load one replica is left, and in the end no server."""

import asyncio
import collections
import os
import subprocess
import sys
import time
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "dist/src/cli/container-main.js"
os.environ["GPT2_API_CONTAINER"] = f"node {MAIN}"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
sys.path.insert(0, str(ROOT / "deploy/ray"))
os.environ["PYTHONPATH"] = str(ROOT / "deploy/ray")

import ray  # noqa: E402
from gpt2_serve import Gpt2  # noqa: E402
from ray import serve  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402
from ray.util.state import list_actors  # noqa: E402

URL = "http://127.0.0.1:18000"
NUM_CLIENTS = 10
SCALING = {
    "min_replicas": 1,
    "max_replicas": 2,
    "target_ongoing_requests": 4,
    "upscale_delay_s": 2,
    "downscale_delay_s": 5,
}


def servers() -> list[int]:
    """The processes of servers that the replicas started."""
    found = subprocess.run(["pgrep", "-f", f"^node {MAIN}"], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def num_running() -> int:
    """Replicas that answer."""
    (application,) = serve.status().applications.values()
    return application.deployments["Gpt2"].replica_states.get("RUNNING", 0)


def nodes() -> set[str]:
    """Where the replicas are."""
    actors = list_actors(filters=[("state", "=", "ALIVE")])
    return {actor.node_id for actor in actors if "ServeReplica" in actor.class_name}


async def until(what: str, is_so, seconds: float) -> float:
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"{what}: not within {seconds} seconds")
        await asyncio.sleep(0.3)
    return time.monotonic() - began


class Load:
    """Clients who each send the next request when the last is answered."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.answers = 0
        self.failures = collections.Counter()
        self.goes_on = True
        self.tasks = [asyncio.create_task(self.client(session)) for _ in range(NUM_CLIENTS)]

    async def client(self, session: aiohttp.ClientSession) -> None:
        fields = {"input": "The little dog", "max_new_tokens": 60, "num_return_sequences": 3}
        while self.goes_on:
            try:
                async with session.post(f"{URL}/invocations", json=fields) as answer:
                    if answer.status == 200 and len(await answer.json(content_type=None)) == 3:
                        self.answers += 1
                        continue
                    self.failures[str(answer.status)] += 1
            except aiohttp.ClientError as error:
                self.failures[repr(error)] += 1
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        self.goes_on = False
        await asyncio.gather(*self.tasks)


async def a_stream(session: aiohttp.ClientSession) -> None:
    fields = {"input": "The", "max_new_tokens": 200, "num_return_sequences": 1}
    headers = {"Accept": "application/jsonlines"}
    sizes, began, first = [], time.monotonic(), None
    async with session.post(f"{URL}/invocations", json=fields, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        async for piece, _ in answer.content.iter_chunks():
            first = first or time.monotonic() - began
            sizes.append(len(piece))
    total = time.monotonic() - began
    print(f"ray: a stream of 200 tokens begins after {first * 1000:.0f} of {total * 1000:.0f} ms, {len(sizes)} pieces")
    assert len(sizes) > 5 and first < total / 2, sizes


async def test() -> None:
    async with aiohttp.ClientSession() as session:
        await a_stream(session)
        load = Load(session)
        took = await until("two replicas", lambda: num_running() == 2, 60)
        assert len(nodes()) == 2, f"both on one node: {nodes()}"
        print(f"ray: {NUM_CLIENTS} clients: a second replica on the other node after {took:.0f} s")
        before = set(servers())
        assert len(before) == 2, before
        victim = min(before)
        assert not load.failures, load.failures
        os.kill(victim, 9)
        took = await until("a new server", lambda: len(set(servers()) - before) == 1 and num_running() == 2, 60)
        await load.stop()
        failures = sum(load.failures.values())
        print(f"ray: a server killed under load, replaced after {took:.1f} s: {load.answers} answers, {failures} failures")
        # What was open on it, and no more.
        assert failures <= NUM_CLIENTS, load.failures
        took = await until("one replica", lambda: len(servers()) == 1, 90)
        print(f"ray: without load one replica after {took:.0f} s")


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": 18000})
        options = {"ray_actor_options": {"num_cpus": 1}, "autoscaling_config": SCALING}
        serve.run(Gpt2.options(**options).bind(GPT2_API_THREADS="1"))
        asyncio.run(test())
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()
    asyncio.run(until("no server is left", lambda: servers() == [], 30))
    print("ray: no server is left")


main()
