"""The kubelet API of fake nodes, one for all: it says why there is nothing to see.

Source of the paths: the ones that the API server asks (apiserver/nodes/), as of any node.
"""

from __future__ import annotations

from aiohttp import web

from nodeagent.fake.config import FakeConfig
from nodeagent.server.tls import serving_tls

REFUSALS = {
    "containerLogs": "it has no containers, so there are no logs",
    "exec": "it has no containers, so nothing can be executed in one",
    "attach": "it has no containers, so there is nothing to attach to",
    "portForward": "it has no containers, so no port of one can be reached",
    "podProxy": "it has no containers, so no port of one can be reached",
    "run": "it has no containers, so nothing can be executed in one",
}


async def answer(request: web.Request) -> web.Response:
    """Whatever is asked: that it can't be had from a fake node."""
    what, _, rest = request.path.lstrip("/").partition("/")
    if what == "healthz":
        return web.Response(text="ok")
    if what in REFUSALS:
        pod = "/".join(rest.split("/")[:2])
        text = f"pod {pod} is on a fake node: {REFUSALS[what]}"
        headers = {"Sampan-Refused": text} if what == "podProxy" else {}
        return web.Response(status=501, text=f"{text}\n", headers=headers)
    return web.Response(status=501, text=f"a fake node measures nothing and has no {request.path}\n")


async def serve(config: FakeConfig) -> web.AppRunner:
    """Serve until the runner is cleaned up. Raises OSError for an address that can't be had."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    tls = serving_tls(config.tls).context if config.tls is not None else None
    await web.TCPSite(runner, config.address, config.port, ssl_context=tls).start()
    return runner
