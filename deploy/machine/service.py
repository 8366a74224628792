"""`sampan service`: the systemd units that run this machine's node and its server.

Always: a unit runs `sampan node` or `sampan server` and knows nothing more, so all that a machine is lies in its
state. Written files are this program's own; a user's changes live in drop-ins, which nothing here touches.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template

from deploy.machine import server_settings
from deploy.machine.places import MachinePlaces
from deploy.machine.server_setup import ServerPlaces
from deploy.places import DEFAULT_HOME
from sampan.errors import ClusterError

Say = Callable[[str], None]

NAMES = ("server", "node")
"""In the order in which they are started."""
UNITS = Path("etc/systemd/system")
SYSUSERS = Path("etc/sysusers.d/sampan.conf")
USER = "sampan"
BOOTED = Path("/run/systemd/system")
"""Is there when systemd is process 1 (sd_booted(3))."""
DEFAULT_RUN = Path("/run/sampan")
HOMES = ("/home", "/root", "/run/user")
"""What ProtectHome= hides."""


def unit(name: str) -> str:
    """The unit of `node` or `server`."""
    return f"sampan-{name}.service"


def text_of(name: str, program: Path, places: MachinePlaces, *, port: int = 6443) -> str:
    """A unit's text. Pure but for the template."""
    home, run = places.state.parent, places.run.parent
    template = resources.files("deploy.machine").joinpath("units", unit(name)).read_text()
    own = ServerPlaces.of(places)
    usual = home == DEFAULT_HOME and run == DEFAULT_RUN
    directories = (
        f"StateDirectory={own.state.relative_to(DEFAULT_HOME.parent)}\n"
        f"RuntimeDirectory={own.run.relative_to(DEFAULT_RUN.parent)}"
        if usual
        else f"ReadWritePaths={own.state} {own.run}"
    )
    values: Mapping[str, str] = {
        "program": str(program),
        "environment": "" if usual else f"Environment=SAMPAN_HOME={home} SAMPAN_RUN={run}",
        "directories": directories,
        "capabilities": "CAP_NET_BIND_SERVICE" if port < 1024 else "",
        "private_users": "no" if port < 1024 else "yes",  # a port below 1024 needs a right in the machine's own
        "home": "read-only" if any(path.is_relative_to(one) for one in HOMES for path in (program, home)) else "yes",
    }
    return Template(template).substitute(values).replace("\n\n\n", "\n\n")


def configured(places: MachinePlaces) -> list[str]:
    """What this machine is: `server`, `node`, both or nothing yet."""
    there = {"server": ServerPlaces.of(places).settings.exists(), "node": places.identity.exists()}
    return [name for name in NAMES if there[name]]


def install(name: str, say: Say, *, root: Path = Path("/"), start: bool = True) -> None:
    """Write a unit, and have it run now and after every boot unless it is written for another root. Repeatable.

    Raises ClusterError.
    """
    _needs_root(root)
    places = MachinePlaces.here()
    if name not in configured(places):
        made_by = "sampan join" if name == "node" else "sampan server --prepare"
        raise ClusterError(where="this machine", what=f"is no {name} yet", remedy=f"make it one first: {made_by} ...")
    settings = server_settings.read(ServerPlaces.of(places).settings) if name == "server" else None
    text = text_of(name, _program(), places, port=settings.port if settings else 6443)
    if name == "server" and root == Path("/"):
        open_to_all(_program())
    target = root / UNITS / unit(name)
    changed = _write(target, text)
    say(f"{target} {'written' if changed else 'is as it should be'}")
    if name == "server":
        sysusers = resources.files("deploy.machine").joinpath("units", "sysusers.conf").read_text()
        _write(root / SYSUSERS, Template(sysusers).substitute(state=ServerPlaces.of(places).state))
    if root != Path("/") or not start:
        return
    if not BOOTED.exists():
        raise ClusterError(
            where="systemd",
            what="is not this machine's service manager, so the unit that was written does not run",
            remedy=f"run it yourself: sampan {name}",
        )
    if name == "server":
        _systemd("systemd-sysusers", str(SYSUSERS.name))
        _give(ServerPlaces.of(places))
    _systemd("systemctl", "daemon-reload")
    _systemd("systemctl", "enable", unit(name))
    _systemd("systemctl", "restart" if changed else "start", unit(name))
    say(f"{unit(name)} runs, and will after every boot; its log: journalctl -u {unit(name)}")


def uninstall(name: str, say: Say, *, root: Path = Path("/")) -> bool:
    """Stop a unit and take its files away; the machine's state stays. Returns whether there was one."""
    _needs_root(root)
    target = root / UNITS / unit(name)
    had = target.exists()
    live = root == Path("/") and BOOTED.exists()
    if had and live:
        _systemd("systemctl", "disable", "--now", unit(name))
    target.unlink(missing_ok=True)
    if name == "server":
        (root / SYSUSERS).unlink(missing_ok=True)
    if had and live:
        _systemd("systemctl", "daemon-reload")
    say(f"{unit(name)} {'removed' if had else 'is not installed'}")
    return had


def status(root: Path = Path("/")) -> list[tuple[str, str, str, str]]:
    """(unit, whether its file is installed and current, enabled, active) of what this machine is or has units for."""
    places = MachinePlaces.here()
    rows = []
    for name in NAMES:
        target = root / UNITS / unit(name)
        if not target.exists() and name not in configured(places):
            continue
        file = "missing"
        if target.exists():
            settings = server_settings.read(ServerPlaces.of(places).settings) if name == "server" else None
            current = text_of(name, _program(), places, port=settings.port if settings else 6443)
            file = "installed" if target.read_text() == current else "outdated"
        rows.append((unit(name), file, _asked("is-enabled", name), _asked("is-active", name)))
    return rows


def _asked(question: str, name: str) -> str:
    if not BOOTED.exists():
        return "no systemd"
    done = subprocess.run(["systemctl", question, unit(name)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _systemd(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError(where=" ".join(words), what=str(error)) from error
    if done.returncode:
        raise ClusterError(
            where=" ".join(words),
            what=done.stderr.strip() or f"exit code {done.returncode}",
            remedy=f"look at: journalctl -xe; systemctl status {words[-1]}",
        )


def _give(places: ServerPlaces) -> None:
    """The server's state belongs to the user that runs it; it holds no link that leads elsewhere."""
    for top in (places.state, places.run):
        if not top.exists():
            continue
        shutil.chown(top, USER, USER)
        for directory, directories, files in os.walk(top):
            for entry in (*directories, *files):
                path = Path(directory, entry)
                if not path.is_symlink():
                    shutil.chown(path, USER, USER)


def _write(path: Path, text: str) -> bool:
    """Put a file there in one rename. Returns whether it is another than before."""
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.replace(path)
    return True


def _program() -> Path:
    """This very `sampan`: the one beside the interpreter that runs now."""
    found = Path(sys.executable).parent / "sampan"
    if not found.exists():
        raise ClusterError(
            where=str(found), what="is not there, so a unit would have nothing to run", remedy="install Sampan with pip"
        )
    return found


def open_to_all(program: Path) -> None:
    """The server's user must be able to run it. Raises ClusterError."""
    for path in (program, *program.parents):
        if not path.stat().st_mode & 0o001:
            raise ClusterError(
                where=str(path),
                what=f"can't be entered by the user {USER}, who runs the server, so {program} could not start",
                remedy="install Sampan where everybody may read it, such as /opt/sampan",
            )


def _needs_root(root: Path) -> None:
    if root == Path("/") and os.geteuid() != 0:
        raise ClusterError(where="sampan service", what="needs root", remedy="run it with sudo")


def main(argv: Sequence[str]) -> int:
    """`sampan service install|status|uninstall [node|server]`: by default all that this machine is."""
    parser = argparse.ArgumentParser(prog="sampan service", description="The systemd units of this machine.")
    parser.add_argument("action", choices=("install", "status", "uninstall"))
    parser.add_argument("name", nargs="?", choices=NAMES, help="by default all that this machine is")
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="write below DIR, start nothing")
    parser.add_argument("--no-start", action="store_true", help="install: write the units, start nothing")
    options = parser.parse_args(argv)
    if options.action == "status":
        rows = [("UNIT", "FILE", "ENABLED", "ACTIVE"), *status(options.root)]
        for row in rows:
            print("   ".join(f"{cell:<{width}}" for cell, width in zip(row, (21, 9, 10, 10), strict=True)).rstrip())
        return 0 if len(rows) > 1 and all(row[1] == "installed" and row[3] == "active" for row in rows[1:]) else 1
    names = [options.name] if options.name else configured(MachinePlaces.here())
    if options.action == "uninstall":
        for name in reversed(names or NAMES):
            uninstall(name, print, root=options.root)
        return 0
    if not names:
        raise ClusterError(
            where="this machine", what="is neither node nor server yet", remedy="sampan join ..., or sampan server"
        )
    for name in names:
        install(name, print, root=options.root, start=not options.no_start)
    return 0
