"""Of a wrong manifest kctl says what kubectl says."""

from __future__ import annotations

import pytest

from kctl_programs import Programs, plain

CONFIG = "apiVersion: v1\nkind: ConfigMap\n"
MANIFESTS = {
    "unknown field": CONFIG + "metadata: {name: zz}\ndatas: {a: b}\n",
    "wrong type": CONFIG + "metadata: {name: zz}\ndata: {a: 1}\n",
    "no kind": "apiVersion: v1\nmetadata: {name: zz}\n",
    "no apiVersion": "kind: Pod\nmetadata: {name: zz}\n",
    "neither": "a: b\n",
    "text": "hello\n",
    "empty": "",
    "unknown kind": "apiVersion: v1\nkind: Nope\nmetadata: {name: zz}\n",
    "bad name": CONFIG + 'metadata: {name: "A B"}\n',
    "long name": CONFIG + f"metadata: {{name: {'x' * 300}}}\n",
    "missing namespace": CONFIG + "metadata: {name: a, namespace: nosuchns}\n",
    "invalid pod": "apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: {containers: []}\n",
    "list": "apiVersion: v1\nkind: List\nitems:\n"
    "- {apiVersion: v1, kind: ConfigMap, metadata: {name: l1}}\n"
    "- {apiVersion: v1, kind: ConfigMap, metadata: {name: l2}}\n",
    "good and bad": CONFIG + f'metadata: {{name: good}}\n---\n{CONFIG}metadata: {{name: "B B"}}\n',
}


@pytest.mark.parametrize("what", MANIFESTS)
@pytest.mark.parametrize("verb", ["apply", "create"])
def test_errors(programs: Programs, verb: str, what: str) -> None:
    words = (verb, "-f", "-", "--dry-run=server")
    reference = plain(programs.run("kubectl", *words, stdin=MANIFESTS[what]))
    assert plain(programs.run("kctl", *words, stdin=MANIFESTS[what])) == reference
