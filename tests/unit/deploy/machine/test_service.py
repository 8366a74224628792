"""The units: what systemd's own checks say of them, and that they are put in and taken out."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.machine import service
from deploy.machine.places import MachinePlaces
from deploy.machine.server_settings import Settings
from deploy.machine.server_setup import ServerPlaces
from sampan.errors import ClusterError

USUAL = MachinePlaces(Path("/var/lib/sampan/machine"), Path("/run/sampan/machine"))
PROGRAM = Path(sys.executable).parent / "sampan"
MOST_EXPOSURE = {"server": 1.5, "node": 9.3}
"""systemd's own figure, from 0 (safe) to 10. A node is root and nearly everything that root may do."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def analyze(*words: str) -> str:
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_systemd
@pytest.mark.parametrize("name", service.NAMES)
def test_systemd_finds_nothing_wrong_with_a_unit(name: str, tmp_path: Path) -> None:
    target = tmp_path / service.unit(name)
    target.write_text(service.text_of(name, PROGRAM, USUAL))
    assert str(target) not in analyze("verify", "--man=no", str(target))


@needs_systemd
@pytest.mark.parametrize("name", service.NAMES)
def test_a_unit_has_only_the_rights_that_it_needs(name: str, tmp_path: Path) -> None:
    target = tmp_path / service.unit(name)
    target.write_text(service.text_of(name, PROGRAM, USUAL))
    said = analyze("security", "--offline=yes", "--no-pager", str(target))
    exposure = re.search(r"Overall exposure level.*: ([0-9.]+)", said)
    assert exposure is not None, said
    assert float(exposure[1]) <= MOST_EXPOSURE[name], said


def test_a_port_below_1024_needs_one_right_more() -> None:
    assert "CapabilityBoundingSet=\n" in service.text_of("server", PROGRAM, USUAL)
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE\n" in service.text_of("server", PROGRAM, USUAL, port=443)


def test_other_directories_than_the_usual_are_told_to_the_program() -> None:
    other = MachinePlaces(Path("/srv/sampan/machine"), Path("/run/other/machine"))
    text = service.text_of("server", Path("/root/venv/bin/sampan"), other)
    assert "Environment=SAMPAN_HOME=/srv/sampan SAMPAN_RUN=/run/other\n" in text
    assert "ReadWritePaths=/srv/sampan/machine/server /run/other/machine/server\n" in text
    assert "ProtectHome=read-only\n" in text


def test_units_are_written_for_what_the_machine_is_and_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAMPAN_HOME", str(tmp_path / "home"))
    root = tmp_path / "root"
    with pytest.raises(ClusterError, match="neither node nor server"):
        service.main(["install", "--root", str(root)])
    settings = ServerPlaces.of(MachinePlaces.here()).settings
    settings.parent.mkdir(parents=True)
    Settings("192.0.2.1", "192.0.2.1").write(settings)
    with pytest.raises(ClusterError, match="is no node yet"):
        service.main(["install", "node", "--root", str(root)])

    assert service.main(["install", "--root", str(root)]) == 0
    written = root / service.UNITS / "sampan-server.service"
    assert f"ExecStart={PROGRAM} server\n" in written.read_text()
    assert (root / service.SYSUSERS).exists()
    service.main(["status", "--root", str(root)])
    assert re.search(r"sampan-server.service +installed", capsys.readouterr().out)
    written.write_text("something else")
    service.main(["status", "--root", str(root)])
    assert re.search(r"sampan-server.service +outdated", capsys.readouterr().out)

    assert service.main(["uninstall", "--root", str(root)]) == 0
    assert not written.exists()
    assert not (root / service.SYSUSERS).exists()


def test_a_program_that_the_servers_user_can_not_reach_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "closed" / "bin" / "sampan"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    (tmp_path / "closed").chmod(0o700)
    with pytest.raises(ClusterError, match="can't be entered by the user sampan"):
        service.open_to_all(program)
