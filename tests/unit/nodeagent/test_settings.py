"""What a container is given: variables, names, cgroups, users, image credentials. No I/O."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent import names, resources, security
from nodeagent.downward import FieldError, Here, field_value, resource_value
from nodeagent.environment import ConfigError, environment, expand, service_variables
from nodeagent.images import ImageError, credentials, pull_policy, with_tag
from nodeagent.restart import members
from sampan.api.core_v1 import ConfigMap, Pod, ResourceFieldSelector, Secret, Service
from sampan.cri import api_pb2 as cri

HERE = Here("n1", ("192.0.2.1",), {"cpu": "4", "memory": "8Gi"}, ("10.0.0.1",))


class Objects:
    """The objects of a test."""

    def __init__(self, *objects: ConfigMap | Secret) -> None:
        self._objects = objects

    def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        return next((o for o in self._objects if isinstance(o, ConfigMap) and o.metadata.name == name), None)

    def secret(self, namespace: str, name: str) -> Secret | None:
        return next((o for o in self._objects if isinstance(o, Secret) and o.metadata.name == name), None)


def pod(container: dict[str, Any] | None = None, meta: dict[str, Any] | None = None, **spec: Any) -> Pod:
    return Pod.from_json(
        {
            "metadata": {"name": "p", "namespace": "ns", "uid": "u"} | (meta or {}),
            "spec": {"containers": [{"name": "c", "image": "i"} | (container or {})]} | spec,
        }
    )


def variables(desired: Pod, *objects: ConfigMap | Secret, services: list[Service] | None = None) -> dict[str, str]:
    (member,) = members(desired)
    return dict(environment(desired, member, Objects(*objects), services or [], HERE).variables)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "one"),
        ("x$(A)y$(A)", "xoneyone"),
        ("$(B)", "$(B)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$one"),
        ("$A ${A} $(", "$A ${A} $("),
        ("$$$$", "$$"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "one"}.get) == expected


@given(st.text())
def test_text_without_a_dollar_is_itself(text: str) -> None:
    plain = text.replace("$", "")
    nothing: dict[str, str] = {}
    assert expand(plain, nothing.get) == plain


def test_an_entry_sees_those_before_it_and_those_of_whole_maps() -> None:
    settings = ConfigMap.from_json({"metadata": {"name": "m"}, "data": {"X": "1", "bad=key": "2", "A": "map"}})
    desired = pod(
        {
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}],
            "env": [{"name": "A", "value": "$(P_X)$(LATER)"}, {"name": "LATER", "value": "$(A)!"}],
        }
    )
    assert variables(desired, settings) == {"P_X": "1", "P_A": "map", "A": "1$(LATER)", "LATER": "1$(LATER)!"}
    (member,) = members(desired)
    (told,) = environment(desired, member, Objects(settings), [], HERE).skipped
    assert told.startswith("Keys [bad=key] from the EnvFrom configMap ns/m were skipped")


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]},
         'configmap "m" not found'),
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}, 'secret "s" not found'),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, 'secret "s" not found'),
        ({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "there", "key": "k"}}}]},
         "couldn't find key k in ConfigMap ns/there"),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}]},
         "unsupported fieldPath: spec.nope"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(env: dict[str, Any], message: str) -> None:
    there = ConfigMap.from_json({"metadata": {"name": "there"}, "data": {}})
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        variables(pod(env), there)


def test_a_secret_that_is_no_base64_is_an_error_and_no_crash() -> None:
    broken = Secret.from_json({"metadata": {"name": "s"}, "data": {"k": "!!!"}})
    with pytest.raises(ConfigError, match="not base64"):
        variables(pod({"envFrom": [{"secretRef": {"name": "s"}}]}), broken)


def test_services_are_told_in_docker_links_form() -> None:
    service = Service.from_json(
        {
            "metadata": {"name": "red-is", "namespace": "ns"},
            "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 6379, "name": "main", "protocol": "TCP"}]},
        }
    )
    headless = Service.from_json({"metadata": {"name": "h", "namespace": "ns"}, "spec": {"clusterIP": "None"}})
    other = Service.from_json({"metadata": {"name": "o", "namespace": "x"}, "spec": {"clusterIP": "10.96.0.8"}})
    kubernetes = Service.from_json(
        {"metadata": {"name": "kubernetes", "namespace": "default"}, "spec": {"clusterIP": "10.96.0.1"}}
    )
    found = service_variables([service, headless, other, kubernetes], "ns", links=True)
    assert found == {
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "RED_IS_SERVICE_HOST": "10.96.0.7",
        "RED_IS_SERVICE_PORT": "6379",
        "RED_IS_SERVICE_PORT_MAIN": "6379",
        "RED_IS_PORT": "tcp://10.96.0.7:6379",
        "RED_IS_PORT_6379_TCP": "tcp://10.96.0.7:6379",
        "RED_IS_PORT_6379_TCP_PROTO": "tcp",
        "RED_IS_PORT_6379_TCP_PORT": "6379",
        "RED_IS_PORT_6379_TCP_ADDR": "10.96.0.7",
    }
    assert list(service_variables([service, kubernetes], "ns", links=False)) == ["KUBERNETES_SERVICE_HOST"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.annotations['a/b']", "x"),
        ("metadata.labels", 'k="v\\n"'),
        ("spec.nodeName", "n1"),
        ("status.podIPs", "10.0.0.1"),
        ("status.hostIP", "192.0.2.1"),
    ],
)
def test_fields_of_the_downward_api(path: str, value: str) -> None:
    assert field_value(pod(meta={"annotations": {"a/b": "x"}, "labels": {"k": "v\n"}}), path, HERE) == value


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", None, "2"),
        ("limits.cpu", "1m", "1500"),
        ("requests.cpu", None, "0"),
        ("limits.memory", None, str(8 << 30)),
        ("limits.memory", "1Gi", "8"),
    ],
)
def test_amounts_of_the_downward_api(resource: str, divisor: str | None, value: str) -> None:
    desired = pod({"resources": {"limits": {"cpu": "1500m"}}})
    asked = ResourceFieldSelector(resource=resource, divisor=divisor)
    assert resource_value(desired, asked, HERE, "c") == value


def test_an_unknown_container_is_an_error() -> None:
    with pytest.raises(FieldError, match="container x not found"):
        resource_value(pod(), ResourceFieldSelector(resource="limits.cpu", container_name="x"), HERE)


# --- names


def test_hosts_hostname_and_dns() -> None:
    desired = pod(hostname="me", subdomain="sub", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}])
    text = names.hosts_file(desired, ("10.0.0.1",), "cluster.local")
    assert "10.0.0.1\tme.sub.ns.svc.cluster.local\tme\n" in text
    assert "1.2.3.4\ta\tb\n" in text
    assert names.kernel_hostname(desired, "cluster.local") == "me"
    long = pod(meta={"name": "x" * 62 + "-" + "y" * 30})
    assert names.kernel_hostname(long, "cluster.local") == "x" * 62


def dns(policy: str, **more: Any) -> cri.DNSConfig:
    node = names.read_resolver("# c\nnameserver 9.9.9.9\nsearch corp.test\noptions timeout:1\n")
    return names.dns_config(pod(dnsPolicy=policy, **more), ("10.96.0.10",), "cluster.local", node)


def test_dns_policies() -> None:
    first = dns("ClusterFirst")
    assert list(first.servers) == ["10.96.0.10"]
    assert list(first.searches) == ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.test"]
    assert list(first.options) == ["ndots:5"]
    assert list(dns("Default").servers) == ["9.9.9.9"]
    assert list(dns("ClusterFirst", hostNetwork=True).servers) == ["9.9.9.9"]
    assert list(dns("ClusterFirstWithHostNet", hostNetwork=True).servers) == ["10.96.0.10"]
    own = dns("None", dnsConfig={"nameservers": ["1.1.1.1"], "options": [{"name": "ndots", "value": "1"}]})
    assert (list(own.servers), list(own.options)) == (["1.1.1.1"], ["ndots:1"])


# --- resources


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1m"}}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
        ({"requests": {"cpu": "0"}}, "BestEffort"),
    ],
)
def test_qos_classes_and_their_cgroups(wanted: dict[str, Any], expected: str) -> None:
    desired = pod({"resources": wanted})
    assert resources.qos_class(desired) == expected
    tier = {"Guaranteed": "", "Burstable": "burstable/", "BestEffort": "besteffort/"}[expected]
    assert resources.cgroup_parent("root/n1", desired) == f"/root/n1/kubepods/{tier}podu"


def test_limits_in_the_kernels_terms() -> None:
    desired = pod({"resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}}})
    (member,) = members(desired)
    made = resources.container_resources(desired, member, 8 << 30)
    assert (made.cpu_quota, made.cpu_period, made.cpu_shares) == (150_000, 100_000, 256)
    assert made.memory_limit_in_bytes == 64 << 20
    assert resources.shares(0) == 2
    assert resources.quota(1) == 1000


@given(st.integers(0, 10**7))
def test_a_shares_value_is_one_the_kernel_takes(milli: int) -> None:
    assert 2 <= resources.shares(milli) <= 262_144


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [({}, 1000), ({"limits": {"cpu": "1", "memory": "1Gi"}}, -997), ({"requests": {"memory": "4Gi"}}, 500)],
)
def test_who_goes_first_when_memory_runs_out(wanted: dict[str, Any], expected: int) -> None:
    desired = pod({"resources": wanted})
    (member,) = members(desired)
    assert resources.oom_score(desired, member, 8 << 30) == expected


def test_a_pods_total_counts_sidecars_with_and_init_containers_apart() -> None:
    def init(cpu: str, **more: str) -> dict[str, Any]:
        return {"name": f"i{cpu}", "image": "i", "resources": {"requests": {"cpu": cpu}}} | more

    desired = pod(
        {"resources": {"requests": {"cpu": "100m"}}},
        initContainers=[init("300m", restartPolicy="Always"), init("250m")],
        overhead={"cpu": "10m"},
    )
    assert resources.pod_total(desired, "cpu") == (300 + 250 + 10) * 1000


# --- users


def context(
    container: dict[str, Any], image: security.ImageUser, **pod_level: Any
) -> cri.LinuxContainerSecurityContext:
    desired = pod({"securityContext": container}, securityContext=pod_level)
    (member,) = members(desired)
    return security.container_security(desired, member, image)


def test_a_containers_fields_win_over_its_pods() -> None:
    made = context(
        {"runAsUser": 5}, security.ImageUser(9), runAsUser=7, runAsGroup=8, fsGroup=3, supplementalGroups=[4]
    )
    assert (made.run_as_user.value, made.run_as_group.value) == (5, 8)
    assert list(made.supplemental_groups) == [4, 3]


@pytest.mark.parametrize("image", [security.ImageUser(9), security.ImageUser(None, "app"), security.ImageUser(None)])
def test_the_images_own_user_is_left_to_the_runtime_which_knows_its_group(image: security.ImageUser) -> None:
    made = context({}, image)
    assert not made.HasField("run_as_user")
    assert made.run_as_username == ""


def test_a_group_needs_a_user_beside_it() -> None:
    assert context({"runAsGroup": 8}, security.ImageUser(9)).run_as_user.value == 9
    assert context({"runAsGroup": 8}, security.ImageUser(None, "app")).run_as_username == "app"
    assert context({"runAsGroup": 8}, security.ImageUser(None)).HasField("run_as_user")


def test_privilege_and_its_absence() -> None:
    plain = context({}, security.ImageUser(None))
    assert "/proc/kcore" in plain.masked_paths
    assert "/proc/sys" in plain.readonly_paths
    privileged = context({"privileged": True}, security.ImageUser(None))
    assert privileged.privileged
    assert not privileged.masked_paths
    assert context({"allowPrivilegeEscalation": False}, security.ImageUser(None)).no_new_privs
    added = context({"capabilities": {"add": ["CAP_NET_ADMIN", "sys_time"]}}, security.ImageUser(None))
    assert list(added.capabilities.add_capabilities) == ["NET_ADMIN", "SYS_TIME"]
    default = context({"seccompProfile": {"type": "RuntimeDefault"}}, security.ImageUser(None))
    assert default.seccomp.profile_type == cri.SecurityProfile.ProfileType.RuntimeDefault


@pytest.mark.parametrize(
    ("container", "image", "message"),
    [
        ({"runAsNonRoot": True, "runAsUser": 0}, security.ImageUser(None), "breaks non-root policy"),
        ({"runAsNonRoot": True}, security.ImageUser(0), "image will run as root"),
        ({"runAsNonRoot": True}, security.ImageUser(None, "app"), "non-numeric user"),
        ({"seLinuxOptions": {"level": "s0"}}, security.ImageUser(None), "not supported"),
    ],
)
def test_what_can_not_be_honoured_is_refused(
    container: dict[str, Any], image: security.ImageUser, message: str
) -> None:
    with pytest.raises(security.SecurityError, match=message):
        context(container, image)


def test_a_user_that_is_not_root_passes() -> None:
    assert not context({"runAsNonRoot": True}, security.ImageUser(1000)).HasField("run_as_user")


# --- images


@pytest.mark.parametrize(
    ("name", "tagged", "policy"),
    [
        ("busybox", "busybox:latest", "Always"),
        ("busybox:1", "busybox:1", "IfNotPresent"),
        ("host:5000/x", "host:5000/x:latest", "Always"),
        ("host:5000/x:latest", "host:5000/x:latest", "Always"),
        ("x@sha256:abc", "x@sha256:abc", "IfNotPresent"),
    ],
)
def test_tags_and_policies(name: str, tagged: str, policy: str) -> None:
    assert with_tag(name) == tagged
    assert pull_policy(name, None) == policy
    assert pull_policy(name, "Never") == "Never"


@pytest.mark.parametrize("name", ["", "a b", "/x", "x\n", "ümlaut"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ImageError) as error:
        with_tag(name)
    assert error.value.reason == "InvalidImageName"


def test_pull_secrets_are_chosen_by_registry_and_path() -> None:
    def entry(user: str) -> dict[str, str]:
        return {"auth": base64.b64encode(f"{user}:p:w".encode()).decode()}

    config = json.dumps(
        {"auths": {"https://reg.test/v1/": entry("all"), "reg.test/team": entry("team"), "other.test": entry("no"),
                   "broken.test": {"auth": "!!"}, "odd": 7}}
    ).encode()  # fmt: skip
    found = [one.username for one in credentials("reg.test/team/app:1", [b"not json", b"[]", config])]
    assert found == ["team", "all"]
    assert next(iter(credentials("reg.test/x", [config]))).password == "p:w"
    assert list(credentials("busybox", [config])) == []
