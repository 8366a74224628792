"""List the kinds that the server has."""

from __future__ import annotations

from kctl import flags
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.tables import columns


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.at_most(0, "unexpected arguments: [{words}]\nSee '{command} -h' for help and examples")
    flags.text("api-group", "only kinds of this group", default="*")
    flags.switch("namespaced", "only namespaced kinds; false for the others", default=True)
    flags.texts("verbs", "only kinds with all of these verbs", split=True)
    flags.texts("categories", "only kinds in all of these categories", split=True)
    flags.switch("no-headers", "leave the headings out")
    flags.switch("cached", "use what is known already (kinds are always asked for anew)")
    flags.text("sort-by", "name or kind")
    flags.text("output", "wide or name", short="o")


def run(values: Values) -> int:
    """Print them, the core group's first."""
    if values.output not in ("", "wide", "name"):
        raise UsageError(f"--output {values.output} is not supported; name and wide are")
    if values.sort_by not in ("", "name", "kind"):
        raise UsageError("--sort-by accepts only name or kind")
    found = sorted(flags.session(values).discovery.everything(), key=lambda one: (one.group, one.plural))
    if values.sort_by:
        found.sort(key=lambda one: one.kind if values.sort_by == "kind" else one.plural)
    wide = values.output == "wide"
    rows: list[list[str]] = []
    for one in found:
        if values.api_group not in ("*", one.group):
            continue
        if "namespaced" in values.given and one.namespaced != values.namespaced:
            continue
        if not set(values.verbs) <= set(one.verbs) or not set(values.categories) <= set(one.categories):
            continue
        if values.output == "name":
            rows.append([one.qualified])
            continue
        row = [one.plural, ",".join(one.short_names), one.api_version, str(one.namespaced).lower(), one.kind]
        rows.append(row + ([",".join(one.verbs), ",".join(one.categories)] if wide else []))
    if not values.no_headers and values.output != "name":
        heading = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]
        rows.insert(0, heading + (["VERBS", "CATEGORIES"] if wide else []))
    for line in columns(rows):
        print(line)
    return 0
