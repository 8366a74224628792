"""The scheduler's own small HTTP server: /healthz, /readyz, /metrics, /debug/explain?pod=namespace/name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from scheduler.scheduler import Scheduler


def app_for(scheduler: Scheduler) -> web.Application:
    """The application; it only reads."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        if scheduler.synced:
            return web.Response(text="ok")
        return web.Response(text="the first lists have not all arrived", status=503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=scheduler.metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def explain(request: web.Request) -> web.Response:
        namespace, slash, name = request.query.get("pod", "").partition("/")
        if not slash or not namespace or not name:
            return web.Response(text="say which pod: /debug/explain?pod=namespace/name\n", status=400)
        found = scheduler.explanations.of(namespace, name)
        if found is None:
            return web.Response(text=f"nothing is remembered of pod {namespace}/{name}\n", status=404)
        return web.Response(body=orjson.dumps(found), content_type="application/json")

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/livez", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/debug/explain", explain)
    return app


@asynccontextmanager
async def serving(scheduler: Scheduler, host: str, port: int) -> AsyncIterator[int]:
    """Listen while the context lasts; yields the port (the one asked for unless that is 0)."""
    runner = web.AppRunner(app_for(scheduler), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
