"""What a node is asked about its network, from within: the standard library alone, because a machine is sent this file.

A question is a JSON object; its answer is "" when all is well, else a sentence. As a program it answers the list in its
argument.
"""

import http.client as http_client
import json
import os
import socket
import ssl
import struct
import sys
import time
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PATIENCE = 3.0
UNREACHABLE = "no answer after 3 s"


def dns(server: str, name: str, address: str) -> str:
    """Whether a DNS server says that a name has an address (RFC 1035, 4)."""
    identity = os.urandom(2)
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.strip(".").split("."))
    query = identity + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((server, 53))
        sock.send(query)
        answer = sock.recv(4096)
    if answer[:2] != identity:
        return "an answer to another question"
    if code := answer[3] & 15:
        return f"answers with code {code} for {name}"
    return "" if socket.inet_aton(address) in answer else f"has another address for {name} than {address}"


def tcp(host: str, port: int, refused_is_fine: bool = False) -> str:
    """Whether a TCP connection can be opened; with `refused_is_fine`, whether anybody is there at all."""
    try:
        with socket.create_connection((host, port), timeout=PATIENCE):
            return ""
    except ConnectionRefusedError:
        return "" if refused_is_fine else f"{host}:{port} refuses connections"


def http(url: str, ca: str = "", certificate: str = "", key: str = "") -> str:
    """Whether a GET is answered with 200. The three are files, for https."""
    parts = urllib.parse.urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection = http_client.HTTPConnection(host, port, timeout=PATIENCE)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca)
        if certificate:
            context.load_cert_chain(certificate, key)
        connection = http_client.HTTPSConnection(host, port, timeout=PATIENCE, context=context)
    try:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        text = response.read(500).decode(errors="replace").strip()
    except http_client.HTTPException as error:
        return f"not HTTP: {error!r}"
    finally:
        connection.close()
    return "" if response.status == 200 else f"answers {response.status}: {text}"


def clock() -> str:
    """Seconds since the epoch, as this machine has them."""
    return repr(time.time())


KINDS: dict[str, Callable[..., str]] = {"dns": dns, "tcp": tcp, "http": http, "clock": clock}


def answer_one(question: dict[str, Any]) -> str:
    """The answer to one question."""
    values = {key: value for key, value in question.items() if key != "ask"}
    try:
        return KINDS[question["ask"]](**values)
    except TimeoutError:
        return UNREACHABLE
    except OSError as error:
        return error.strerror or str(error)


def answer(questions: list[dict[str, Any]]) -> list[str]:
    """The answers, in the order of the questions, which are asked at the same time."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(answer_one, questions))


if __name__ == "__main__":
    print(json.dumps(answer(json.loads(sys.argv[1]))))
