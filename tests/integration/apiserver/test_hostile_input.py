"""Whatever a client sends: a precise refusal within a bounded time, never a 500 and never silence."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

YAML = {"Content-Type": "application/yaml"}
PATCHES = ["json-patch+json", "merge-patch+json", "strategic-merge-patch+json"]
KEYS = """
metadata data name labels annotations finalizers ownerReferences kind uid apiVersion $patch $retainKeys op path value
spec containers status resourceVersion from a $setElementOrder/finalizers $deleteFromPrimitiveList/finalizers
"""
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "a", "-", "$patch", "delete", "/", "\0", "é", "2026-01-01T00:00:00Z", "1e400", "..", "a/b"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS.split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
LAUGHS = b"a: &a [x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 8)) for n in range(98, 108)
)
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

SOON = 30.0
"""Seconds. Where it would go wrong it takes minutes; a busy machine is not to be mistaken for that."""


def text_of(value: Any) -> bytes:
    import json

    return json.dumps(value).encode("utf-8", "replace")


async def refused_or_done(api: Any, method: str, path: str, body: bytes | None, **options: Any) -> None:
    started = time.monotonic()
    status, answer, _ = await api.ask(method, path, body, **options)
    assert status < 500, (body, answer)
    assert time.monotonic() - started < SOON
    if status >= 400:
        assert (answer["kind"], answer["code"]) == ("Status", status)


@quick
@given(value=values)
async def test_no_value_breaks_a_create(api: Any, value: Any) -> None:
    for path in ("configmaps", "pods", "services", "secrets"):
        await refused_or_done(api, "POST", f"/api/v1/namespaces/default/{path}?dryRun=All", text_of(value))
    await refused_or_done(
        api, "POST", "/apis/apps/v1/namespaces/default/deployments?dryRun=All&fieldValidation=Strict", text_of(value)
    )


@quick
@given(value=values, kind=st.sampled_from(PATCHES))
async def test_no_value_breaks_a_patch(api: Any, value: Any, kind: str) -> None:
    headers = {"Content-Type": f"application/{kind}"}
    for path in ("/api/v1/namespaces/default/services/kubernetes", "/api/v1/namespaces/default"):
        await refused_or_done(api, "PATCH", f"{path}?dryRun=All", text_of(value), headers=headers)


@quick
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
async def test_no_bytes_break_a_reader(api: Any, data: bytes) -> None:
    path = "/api/v1/namespaces/default/configmaps?dryRun=All"
    await refused_or_done(api, "POST", path, data)
    await refused_or_done(api, "POST", path, data, headers=YAML)
    await refused_or_done(api, "POST", path, data, headers={"Content-Type": "application/vnd.kubernetes.protobuf"})
    await refused_or_done(api, "DELETE", "/api/v1/namespaces/default/configmaps/none", data)


@pytest.mark.parametrize(
    "text",
    [
        b"&a [*a]",
        b"metadata: {name: " + b"9" * 9000 + b"}",
        b"metadata: {name: a, x: .nan, y: !!binary eA==, z: !!set {a}}",
        b"metadata: {name: a}\ndata: {a: !!binary /w==}",
        LAUGHS,
        b"- " * 5000,
        b"? {a: b}\n: c",
        b"a: 2026-99-99T99:99:99Z",
        b"a: 190:20:30:99999999999999999",
        b"a: !!int x",
        b"a: !!float x",
    ],
    ids=range(11),
)  # fmt: skip
async def test_no_yaml_breaks_a_reader(api: Any, text: bytes) -> None:
    await refused_or_done(api, "POST", "/api/v1/namespaces/default/configmaps?dryRun=All", text, headers=YAML)


@pytest.mark.parametrize(
    "inner",
    [
        b'"ownerReferences":[' + b",".join([b"{}"] * 100_000) + b"]",
        b'"finalizers":[' + b",".join([b'"_"'] * 100_000) + b"]",
        b'"finalizers":[' + b",".join([b"1"] * 300_000) + b"]",
        b'"labels":{' + b",".join(b'"%d-":"-"' % n for n in range(60_000)) + b"}",
    ],
    ids=["owners", "finalizers", "types", "labels"],
)
async def test_a_hundred_thousand_mistakes_are_named_in_part_and_soon(api: Any, inner: bytes) -> None:
    body = b'{"metadata":{"name":"a",' + inner + b"}}"
    started = time.monotonic()
    status, answer, _ = await api.ask("POST", "/api/v1/namespaces/default/configmaps?dryRun=All", body)
    assert status in (400, 422)
    assert len(answer["message"]) < 100_000
    assert time.monotonic() - started < SOON


async def test_a_hundred_thousand_unknown_fields_make_few_warnings(api: Any) -> None:
    body = b'{"metadata":{"name":"a"},' + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}"
    status, _, headers = await api.ask("POST", "/api/v1/namespaces/default/configmaps?dryRun=All", body)
    assert status == 201
    warnings = headers.getall("Warning")
    assert 0 < sum(map(len, warnings)) < 10_000
    assert warnings[0] == '299 - "unknown field \\"k0\\""'


@pytest.mark.parametrize("revision", [10**30, 2**63, -5, "x", None, True, 10**9])
async def test_a_forged_continue_token_is_refused(api: Any, revision: Any) -> None:
    token = base64.urlsafe_b64encode(orjson.dumps({"v": "sampan/1", "rv": 1, "after": "default/a"}))
    forged = base64.b64decode(token, b"-_").replace(b'"rv":1', b'"rv":' + text_of(revision))
    path = f"/api/v1/namespaces/default/configmaps?limit=1&continue={base64.urlsafe_b64encode(forged).decode()}"
    status, _, _ = await api.ask("GET", path)
    assert status in (400, 410)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("OPTIONS *", 404),
        ("CONNECT x:1", 404),
        ("GET /api/v1/namespaces//pods", 404),
        ("GET /api/v1/namespaces/default/pods//log", 404),
        ("GET //version", 404),
        ("GET /api/v1/namespaces/%2e%2e/pods", 200),
        ("GET /api/v1/pods?limit=1_0", 400),
        ("GET /api/v1/pods?limit=99999999999999999999", 400),
        ("GET /api/v1/pods?limit=%D9%A3", 400),
        ("GET /api/v1/pods?resourceVersion=%D9%A3", 400),
    ],
)
async def test_odd_request_lines(api: Any, target: str, expected: int) -> None:
    port = api.servers.server.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=api.servers.tls("kubernetes-admin"))
    writer.write(f"{target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    line = await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    assert int(line.split()[1]) == expected


async def test_clients_that_never_finish_hold_up_nobody(api: Any) -> None:
    port, context = api.servers.server.port, api.servers.tls("kubernetes-admin")
    head = (
        b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    )

    async def half() -> asyncio.StreamWriter:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(head)
        await writer.drain()
        return writer

    writers = await asyncio.gather(*(half() for _ in range(220)))
    started = time.monotonic()
    status, body, _ = await api.ask("POST", "/api/v1/namespaces?dryRun=All", {"metadata": {"name": "free"}})
    for writer in writers:
        writer.close()
    assert status == 201, body
    assert time.monotonic() - started < SOON
