"""What commands that change objects share: dry runs, validation, and saying what was done."""

from __future__ import annotations

import sys

from kctl.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kctl.discovery import ApiResource
    from kctl.flags import Flags, Values

SUFFIXES = {"none": "", "client": " (dry run)", "server": " (server dry run)"}
VALIDATION = {"true": "Strict", "strict": "Strict", "warn": "Warn", "false": "Ignore", "ignore": "Ignore"}


def declare(flags: Flags, *, output: bool = True) -> None:
    """Declare --dry-run, --field-manager and -o."""
    flags.text("dry-run", "none, client or server", default="none", bare="unchanged")
    flags.text("field-manager", "name of who changes fields")
    if output:
        flags.text("output", "name|yaml|json|jsonpath=...|go-template=...", short="o")
        flags.text("template", "the template of -o go-template or jsonpath")
        flags.switch("show-managed-fields", "show managedFields in JSON and YAML")


def declare_validation(flags: Flags) -> None:
    """Declare --validate."""
    flags.text("validate", "strict, warn or ignore", default="strict", bare="strict")


def validation(values: Values) -> str:
    """--validate as the API has it. Raises UsageError."""
    if values.validate not in VALIDATION:
        raise UsageError(
            f'invalid - validate option "{values.validate}"; must be one of: strict (or true), warn, ignore (or false)'
        )
    return VALIDATION[values.validate]


class Write:
    """How one call of a command writes, and what it says afterwards."""

    def __init__(self, values: Values, manager: str, *, local: bool = False) -> None:
        """With `local`, nothing is sent, nor said of a dry run. Raises UsageError for flags that do not exist."""
        self._local = local
        self.dry_run = str(values.dry_run)
        if self.dry_run == "unchanged":
            print("W0000 --dry-run is deprecated and can be replaced with --dry-run=client.", file=sys.stderr)
            self.dry_run = "client"
        if self.dry_run not in SUFFIXES:
            raise UsageError(f'Invalid dry-run value ({self.dry_run}). Must be "none", "server", or "client".')
        self.output = str(getattr(values, "output", ""))
        if template := getattr(values, "template", ""):
            from kctl.printers import with_template

            self.output = with_template(self.output, template)
        if self.output not in ("", "name", "json", "yaml"):
            from kctl.printers import check

            check(self.output)
        self._shown = 0
        self._gathered: list[tuple[dict[str, Any], str]] = []
        self._managed_fields = bool(getattr(values, "show_managed_fields", False))
        self._manager = values.field_manager or manager

    @property
    def pretends(self) -> bool:
        """Nothing is to be sent at all."""
        return self.dry_run == "client" or self._local

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the request."""
        query = {"fieldManager": self._manager}
        return query | {"dryRun": "All"} if self.dry_run == "server" else query

    def report(self, resource: ApiResource, value: dict[str, Any], done: str, *, gather: bool = False) -> None:
        """Print the object in the format that -o asks for, or what was done with it.

        With `gather` a format that shows whole objects waits for show_gathered().
        """
        name = value.get("metadata", {}).get("name", "")
        if not self.output:
            print(f"{resource.label(name)} {done}{SUFFIXES[self.dry_run]}", flush=True)
        elif self.output == "name":
            print(resource.label(name), flush=True)
        else:
            from kctl import printers

            if not self._managed_fields:
                value.get("metadata", {}).pop("managedFields", None)
            if gather:
                self._gathered.append((value, resource.label(name)))
                return
            if self._shown and self.output == "yaml":
                print("---")
            self._shown += 1
            printers.show_values([value], self.output, as_list=False, names=[resource.label(name)])
            sys.stdout.flush()

    def show_gathered(self) -> None:
        """Print what was gathered: one object as it is, several as a List."""
        if not self._gathered:
            return
        from kctl import printers

        values = [value for value, _ in self._gathered]
        names = [name for _, name in self._gathered]
        printers.show_values(values, self.output, as_list=len(values) > 1, names=names)
        sys.stdout.flush()
