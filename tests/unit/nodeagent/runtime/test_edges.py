"""Config files, HTTP heads, channel protocols and statuses."""

from http import HTTPStatus

import pytest

from nodeagent.runtime.config import ConfigError, parse
from nodeagent.runtime.stats import network_view
from nodeagent.runtime.streaming import request
from nodeagent.runtime.streaming.channels import choose
from nodeagent.runtime.streaming.commands import status_of, window_size

PATHS = {
    "socket": "/run/cri.sock",
    "state_dir": "/var/lib/s",
    "run_dir": "/run/s",
    "image_store": "/var/lib/i",
    "forkserver_socket": "/run/fork.sock",
}


def test_a_config_has_its_defaults() -> None:
    config = parse(PATHS)
    assert (str(config.socket), config.network, config.streaming_address) == ("/run/cri.sock", "none", "127.0.0.1:0")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"socket": "relative"}, "socket must be an absolute path"),
        ({"state_dir": None}, "state_dir"),
        ({"sockets": "/x"}, "unknown field sockets"),
        ({"network": "cni"}, "'builtin' or 'none'"),
        ({"insecure_registries": "x"}, "list of hosts"),
        ({"log_level": 3}, "log_level must be text"),
    ],
)
def test_a_wrong_config_is_refused_with_its_field(change: dict, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        parse({**PATHS, **change})


def test_a_request_head_is_read() -> None:
    head = b"GET /exec/t?port=1&port=2 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n\r\n"
    asked = request.parse(head)
    assert (asked.method, asked.path, asked.query) == ("GET", "/exec/t", {"port": ["1", "2"]})
    assert asked.words("connection") == ["keep-alive", "Upgrade"]


@pytest.mark.parametrize("head", [b"hello\r\n\r\n", b"GET / HTTP/2\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"])
def test_a_broken_head_is_refused(head: bytes) -> None:
    with pytest.raises(request.BadRequest) as caught:
        request.parse(head)
    assert caught.value.status == HTTPStatus.BAD_REQUEST


def test_the_newest_protocol_that_both_know_is_chosen() -> None:
    assert choose(["v4.channel.k8s.io", "v5.channel.k8s.io"]) == "v5.channel.k8s.io"
    assert choose(["nonsense", "channel.k8s.io"]) == "channel.k8s.io"
    assert (choose([]), choose(["nonsense"])) == ("", None)


def test_statuses_as_clients_look_for_them() -> None:
    assert status_of(0)["status"] == "Success"
    assert status_of(7)["details"] == {"causes": [{"reason": "ExitCode", "message": "7"}]}


@pytest.mark.parametrize("message", [b"", b"[]", b"{}", b'{"Width": 0, "Height": 5}', b'{"Width": 70000, "Height": 5}'])
def test_a_senseless_window_size_is_ignored(message: bytes) -> None:
    assert window_size(message) is None


def test_network_figures_from_proc() -> None:
    table = (
        "Inter-|   Receive\n face |bytes packets\n"
        "    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n"
        "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
    )
    view = network_view(table, 5)
    found = view.default_interface
    assert (found.name, found.rx_bytes.value, found.rx_errors.value, found.tx_bytes.value, found.tx_errors.value) == (
        "eth0",
        1,
        3,
        9,
        11,
    )
    assert not view.interfaces
