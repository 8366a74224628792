"""A question that is asked in a process of its own, which may enter namespaces; its answer comes back as JSON."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

from deploy import syscalls
from sampan.errors import ClusterError


def aside(question: Callable[[], Any], patience: float = 30.0) -> Any:
    """What `question` returns in a child. Raises ClusterError with what it raised, or when it takes too long (seconds).

    Call it from a process without threads.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reader)
            signal.alarm(max(1, int(patience)))
            try:
                answer = {"answer": question()}
            except Exception as error:  # the edge of the process: whatever it is, it is the answer
                answer = {"error": " ".join(str(error).split()) or type(error).__name__}
            with os.fdopen(writer, "wb") as out:
                out.write(json.dumps(answer).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as incoming:
        text = incoming.read()
    os.waitpid(child, 0)
    if not text:
        raise ClusterError(where="doctor", what=f"no answer after {patience:.0f} s")
    answer = json.loads(text)
    if "error" in answer:
        raise ClusterError(where="doctor", what=str(answer["error"]))
    return answer["answer"]


def in_network_of(pid: int, question: Callable[[], Any], patience: float = 30.0) -> Any:
    """`aside`, in the network namespace of a process. Raises ClusterError."""

    def enter() -> Any:
        with open(f"/proc/{pid}/ns/net", "rb") as namespace:
            syscalls.setns(namespace.fileno(), syscalls.CLONE_NEWNET)
        return question()

    return aside(enter, patience)
