"""Print the client's and the server's version."""

from __future__ import annotations

import json

from kctl import flags
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from sampan.version import VERSION


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.at_most(0, "extra arguments: [{words}]")
    flags.switch("client", "the client's only; no server is asked")
    flags.text("output", "json or yaml", short="o")


def run(values: Values) -> int:
    """Print them."""
    if values.output not in ("", "json", "yaml"):
        raise UsageError("--output must be 'yaml' or 'json'")
    found: dict[str, dict[str, str]] = {"clientVersion": {"gitVersion": f"v{VERSION}"}}
    if not values.client:
        found["serverVersion"] = flags.session(values).get("/version")
    if values.output == "json":
        print(json.dumps(found, indent=2))
    elif values.output == "yaml":
        from kctl.printers import to_yaml

        print(to_yaml(found), end="")
    else:
        for name, key in (("Client", "clientVersion"), ("Server", "serverVersion")):
            if key in found:
                print(f"{name} Version: {found[key]['gitVersion']}")
    return 0
