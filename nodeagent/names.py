"""How a pod is called and how it finds others: hostname, /etc/hosts, resolver settings. Pure.

Source: the Kubernetes documentation, "DNS for Services and Pods"; resolv.conf(5), hosts(5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sampan.api import core_v1
from sampan.cri import api_pb2 as cri

LONGEST_HOSTNAME = 63
MOST_SERVERS = 3
MOST_SEARCHES = 32
MOST_SEARCH_LETTERS = 2048


@dataclass(frozen=True, slots=True)
class Resolver:
    """A resolver's settings, as resolv.conf has them."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def read_resolver(text: str) -> Resolver:
    """Parse a resolv.conf; what it does not know, it leaves out."""
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        match words[0]:
            case "nameserver" if len(words) > 1:
                servers.append(words[1])
            case "search" | "domain":
                searches = words[1:]
            case "options":
                options = words[1:]
    return Resolver(tuple(servers), tuple(searches), tuple(options))


def hostname(pod: core_v1.Pod, cluster_domain: str) -> tuple[str, str]:
    """The pod's hostname, and its domain ("" when it has none)."""
    spec = pod.spec
    if spec.hostname_override:
        return spec.hostname_override, ""
    short = (spec.hostname or pod.metadata.name or "")[:LONGEST_HOSTNAME].rstrip("-.")
    domain = ""
    if spec.subdomain:
        domain = f"{spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}"
    return short, domain


def kernel_hostname(pod: core_v1.Pod, cluster_domain: str) -> str:
    """What `hostname` prints in the pod: the FQDN only if setHostnameAsFQDN."""
    short, domain = hostname(pod, cluster_domain)
    return f"{short}.{domain}" if pod.spec.set_hostname_as_fqdn and domain else short


def hosts_file(pod: core_v1.Pod, ips: Sequence[str], cluster_domain: str, node_hosts: str = "") -> str:
    """The text of /etc/hosts: the pod's own names and its hostAliases; for the host's network the node's file."""
    if pod.spec.host_network:
        text = "# Kubernetes-managed hosts file (host network).\n" + node_hosts
    else:
        short, domain = hostname(pod, cluster_domain)
        own = f"{short}.{domain}\t{short}" if domain else short
        text = (
            "# Kubernetes-managed hosts file.\n"
            "127.0.0.1\tlocalhost\n"
            "::1\tlocalhost ip6-localhost ip6-loopback\n"
            "fe00::0\tip6-localnet\n"
            "fe00::0\tip6-mcastprefix\n"
            "fe00::1\tip6-allnodes\n"
            "fe00::2\tip6-allrouters\n"
        )
        text += "".join(f"{ip}\t{own}\n" for ip in ips)
    if pod.spec.host_aliases:
        text += "\n# Entries added by HostAliases.\n"
        for alias in pod.spec.host_aliases:
            text += "\t".join((alias.ip, *alias.hostnames)) + "\n"
    return text


def dns_config(pod: core_v1.Pod, cluster_dns: Sequence[str], cluster_domain: str, node: Resolver) -> cri.DNSConfig:
    """The pod's resolver settings, by dnsPolicy and dnsConfig."""
    policy = pod.spec.dns_policy or "ClusterFirst"
    if policy == "ClusterFirst" and pod.spec.host_network:
        policy = "Default"
    if policy == "ClusterFirstWithHostNet":
        policy = "ClusterFirst"
    if policy == "None":
        found = Resolver()
    elif policy == "ClusterFirst" and cluster_dns:
        namespace = pod.metadata.namespace
        own = (f"{namespace}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain)
        found = Resolver(tuple(cluster_dns), _unique((*own, *node.searches)), ("ndots:5",))
    else:
        found = node
    asked = pod.spec.dns_config
    if asked is not None:
        options = {option.partition(":")[0]: option for option in found.options}
        for option in asked.options:
            name = option.name or ""
            options[name] = f"{name}:{option.value}" if option.value else name
        found = Resolver(
            _unique((*found.servers, *asked.nameservers)),
            _unique((*found.searches, *asked.searches)),
            tuple(options.values()),
        )
    searches: list[str] = []
    for search in found.searches[:MOST_SEARCHES]:
        if sum(map(len, searches)) + len(searches) + len(search) <= MOST_SEARCH_LETTERS:
            searches.append(search)
    return cri.DNSConfig(servers=found.servers[:MOST_SERVERS], searches=searches, options=found.options)


def _unique(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
