"""What a container finds: variables, files, users, limits, names."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from sampan.api.core_v1 import Pod
from sampan.kinds import CONFIG_MAPS, SECRETS

WAIT = "trap 'exit 0' TERM; while true; do sleep 0.05; done"


def ready(pod: Pod) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


async def output(cluster: Any, name: str, script: str, *, container: dict[str, Any] | None = None, **spec: Any) -> str:
    """What a script prints in a pod that runs to its end."""
    whole = {"name": "c", "command": ["sh", "-c", script]} | (container or {})
    await cluster.run(name, [whole], restartPolicy="Never", **spec)
    pod = await cluster.until(name, lambda pod: pod.status.phase in ("Succeeded", "Failed"))
    text = str(cluster.text(pod, "c"))
    assert pod.status.phase == "Succeeded", text
    return text


async def config_map(cluster: Any, name: str, **data: str) -> None:
    await cluster.client.create(CONFIG_MAPS, {"metadata": {"name": name}, "data": data}, namespace="default")


async def secret(cluster: Any, name: str, **data: bytes) -> None:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    await cluster.client.create(SECRETS, {"metadata": {"name": name}, "data": encoded}, namespace="default")


async def test_variables_from_everywhere(cluster: Any) -> None:
    await config_map(cluster, "settings", COLOUR="blue", SIZE="big")
    await secret(cluster, "secrets", PASSWORD=b"pa ss")
    show = 'echo "$A|$B|$POD|$IP|$CPU|$MEM|$PASSWORD|$PRE_SIZE|$KEY|${GONE-unset}|$LIT"; echo $0'
    text = await output(
        cluster,
        "env",
        "",
        container={
            "command": ["sh", "-c", show, "$(A)"],
            "env": [
                {"name": "A", "value": "one"},
                {"name": "B", "value": "$(A) two $$(A) $(UNKNOWN)"},
                {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['tier']"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
                {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "requests.memory"}}},
                {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOUR"}}},
                {"name": "GONE", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}},
            ],
            "envFrom": [{"secretRef": {"name": "secrets"}}, {"prefix": "PRE_", "configMapRef": {"name": "settings"}}],
            "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}, "requests": {"memory": "32Mi"}},
        },
        metadata={"labels": {"tier": "front"}},
    )  # fmt: skip
    first, second = text.splitlines()
    values = first.split("|")
    assert values[3].startswith("10.244.1.")
    del values[3]
    assert values == [
        "one", "one two $(A) $(UNKNOWN)", "front", "250", str(32 << 20), "pa ss", "big", "blue", "unset", "",
    ]  # fmt: skip
    assert second == "one"


async def test_a_missing_config_map_holds_a_container_back_until_it_is_there(cluster: Any) -> None:
    source = [{"configMapRef": {"name": "later"}}]
    await cluster.run("waits", [{"name": "c", "command": ["sh", "-c", "echo $LATE; " + WAIT], "envFrom": source}])

    def held(pod: Pod) -> bool:
        state = pod.status.container_statuses and pod.status.container_statuses[0].state
        return bool(state and state.waiting and state.waiting.reason == "CreateContainerConfigError")

    pod = await cluster.until("waits", held)
    assert pod.status.container_statuses[0].state.waiting.message == 'configmap "later" not found'
    await config_map(cluster, "later", LATE="here")
    pod = await cluster.until("waits", ready, 5)
    assert cluster.text(pod, "c") == "here\n"


async def test_files_of_config_maps_and_secrets_follow_their_objects(cluster: Any) -> None:
    await config_map(cluster, "files", a="first", b="kept")
    await secret(cluster, "keys", key=b"\x00\xff")
    script = (
        "cat /c/a; ls -l /c | grep -c 'a -> ..data/a'; stat -c %a /c/x/y; wc -c < /s/key; "
        "while [ $(cat /c/a) = first ]; do sleep 0.05; done; cat /c/a"
    )
    await cluster.run(
        "files",
        [{"name": "c", "command": ["sh", "-c", script], "volumeMounts": [
            {"name": "c", "mountPath": "/c"}, {"name": "s", "mountPath": "/s"}]}],
        restartPolicy="Never",
        volumes=[
            {"name": "c", "configMap": {"name": "files", "items": [
                {"key": "a", "path": "a"}, {"key": "b", "path": "x/y", "mode": 0o400}]}},
            {"name": "s", "secret": {"secretName": "keys", "defaultMode": 0o440}},
        ],
    )  # fmt: skip
    pod = await cluster.until("files", lambda pod: pod.status.phase == "Running")
    await cluster.wait(lambda: len(cluster.text(pod, "c").split()) == 3)
    await cluster.client.patch(CONFIG_MAPS, "files", {"data": {"a": "second"}}, namespace="default")
    pod = await cluster.until("files", lambda pod: pod.status.phase == "Succeeded")
    assert cluster.text(pod, "c").split() == ["first1", "400", "2", "second"]


async def test_a_missing_secret_volume_is_told_and_waited_for(cluster: Any) -> None:
    await cluster.run(
        "mounting",
        [{"name": "c", "command": ["sh", "-c", WAIT], "volumeMounts": [{"name": "s", "mountPath": "/s"}]}],
        volumes=[{"name": "s", "secret": {"secretName": "soon"}}],
    )
    event = await cluster.event("mounting", "FailedMount")
    assert event.message == 'MountVolume.SetUp failed for volume "s" : secret "soon" not found'
    await secret(cluster, "soon", key=b"x")
    await cluster.until("mounting", ready, 5)


async def test_a_projected_volume_has_a_token_the_ca_and_the_pods_labels(cluster: Any) -> None:
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"configMap": {"name": "none", "optional": True}},
    ]
    text = await output(
        cluster,
        "projected",
        "tr '.' '\\n' < /p/token | wc -l; cat /p/labels; echo; stat -c '%a %u' /p/..data/token",
        container={"volumeMounts": [{"name": "p", "mountPath": "/p"}], "securityContext": {"runAsUser": 1000}},
        volumes=[{"name": "p", "projected": {"sources": sources}}],
        metadata={"labels": {"app": "x", "tier": "y"}},
    )
    assert text.splitlines() == ["2", 'app="x"', 'tier="y"', "600 1000"]


async def test_a_sub_path_can_not_lead_out_of_its_volume(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "volume" / "inside").mkdir(parents=True)
    (tmp_path / "volume" / "inside" / "f").write_text("inside\n")
    os.symlink("/etc", tmp_path / "volume" / "escape")
    os.symlink("inside", tmp_path / "volume" / "fine")
    volume = [{"name": "h", "hostPath": {"path": str(tmp_path / "volume"), "type": "Directory"}}]

    def mount(sub_path: str) -> dict[str, Any]:
        return {"volumeMounts": [{"name": "h", "mountPath": "/h", "subPath": sub_path}]}

    assert await output(cluster, "through", "cat /h/f", container=mount("fine"), volumes=volume) == "inside\n"
    await cluster.run("escape", [{"name": "c", "command": ["ls", "/h"]} | mount("escape")], volumes=volume)

    def refused(pod: Pod) -> bool:
        state = pod.status.container_statuses and pod.status.container_statuses[0].state
        return bool(state and state.waiting and state.waiting.reason == "CreateContainerConfigError")

    pod = await cluster.until("escape", refused)
    assert "Invalid cross-device link" in pod.status.container_statuses[0].state.waiting.message
    await output(
        cluster, "made", "touch /h/new",
        container={"volumeMounts": [{"name": "h", "mountPath": "/h", "subPathExpr": "logs/$(N)"}],
                   "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        volumes=volume,
    )  # fmt: skip
    assert (tmp_path / "volume/logs/made/new").exists()


async def test_a_host_path_must_be_what_it_is_said_to_be(cluster: Any, tmp_path: Path) -> None:
    await cluster.run(
        "hostpath",
        [{"name": "c", "command": ["true"], "volumeMounts": [{"name": "h", "mountPath": "/h"}]}],
        volumes=[{"name": "h", "hostPath": {"path": str(tmp_path / "none"), "type": "Directory"}}],
    )
    event = await cluster.event("hostpath", "FailedMount")
    assert f"hostPath type check failed: {tmp_path}/none is not a directory" in event.message


async def test_users_groups_and_an_fs_group(cluster: Any) -> None:
    text = await output(
        cluster,
        "users",
        "id -u; id -g; id -G; touch /v/f; stat -c '%u %g' /v/f; stat -c %a /v; "
        "touch /no 2>/dev/null || echo read-only; "
        "grep NoNewPrivs /proc/self/status; grep CapBnd /proc/self/status",
        container={
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            "securityContext": {
                "runAsUser": 1000,
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
        },
        securityContext={"runAsGroup": 3000, "fsGroup": 4000, "supplementalGroups": [5000]},
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    lines = text.splitlines()
    assert lines[:2] == ["1000", "3000"]
    assert {"4000", "5000"} <= set(lines[2].split())
    assert lines[3:6] == ["1000 4000", "2777", "read-only"]
    assert lines[6].split() == ["NoNewPrivs:", "1"]
    assert lines[7].split() == ["CapBnd:", "0000000000000000"]


async def test_a_root_image_does_not_run_as_non_root(cluster: Any) -> None:
    await cluster.run("root", [{"name": "c", "command": ["true"], "securityContext": {"runAsNonRoot": True}}])

    def refused(pod: Pod) -> bool:
        state = pod.status.container_statuses and pod.status.container_statuses[0].state
        return bool(state and state.waiting and state.waiting.reason == "CreateContainerConfigError")

    pod = await cluster.until("root", refused)
    message = pod.status.container_statuses[0].state.waiting.message
    assert message.startswith("container has runAsNonRoot and image will run as root")


async def test_limits_reach_the_cgroup_and_memory_beyond_them_is_an_oom_kill(cluster: Any) -> None:
    limits = {"limits": {"memory": "16Mi", "cpu": "500m"}}
    script = "dd if=/dev/zero of=/v/big bs=1M count=64"
    await cluster.run(
        "hungry",
        [{"name": "c", "command": ["sh", "-c", script], "resources": limits,
          "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        restartPolicy="Never",
        volumes=[{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}],
    )  # fmt: skip
    pod = await cluster.until("hungry", lambda pod: pod.status.phase == "Failed")
    assert pod.status.qos_class == "Guaranteed"
    terminated = pod.status.container_statuses[0].state.terminated
    assert (terminated.reason, terminated.exit_code) in (("OOMKilled", 137), ("Error", 1), ("OOMKilled", 1))


async def test_names_and_resolver(cluster: Any) -> None:
    text = await output(
        cluster,
        "names",
        "hostname; grep me /etc/hosts; grep alias /etc/hosts; cat /etc/resolv.conf",
        hostname="me",
        subdomain="family",
        hostAliases=[{"ip": "10.1.2.3", "hostnames": ["alias.one", "alias.two"]}],
        dnsConfig={"options": [{"name": "ndots", "value": "2"}], "searches": ["extra.test"]},
    )
    lines = text.splitlines()
    assert lines[0] == "me"
    assert lines[1].split()[1:] == ["me.family.default.svc.cluster.local", "me"]
    assert lines[2].split() == ["10.1.2.3", "alias.one", "alias.two"]
    assert "nameserver 10.96.0.10" in lines
    assert any(line.startswith("search default.svc.cluster.local svc.cluster.local cluster.local") for line in lines)
    assert "options ndots:2" in lines


async def test_a_volume_of_a_kind_that_is_not_there_is_refused_clearly(cluster: Any) -> None:
    await cluster.run(
        "claim",
        [{"name": "c", "command": ["true"], "volumeMounts": [{"name": "n", "mountPath": "/n"}]}],
        volumes=[{"name": "n", "nfs": {"server": "nowhere", "path": "/"}}],
    )
    event = await cluster.event("claim", "FailedMount")
    assert event.message == 'MountVolume.SetUp failed for volume "n" : nfs volumes are not supported by this node'
