"""Every public model and every field says what it is: kubectl explain prints it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import sampan.api
from sampan.api.base import Object

MACHINERY = ("sampan.api.base", "sampan.api.rules", "sampan.api.defaults")
LONGEST = 160


def models() -> Iterator[type[Object]]:
    for module in pkgutil.walk_packages(sampan.api.__path__, "sampan.api."):
        if module.name not in MACHINERY:
            for found in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(found) and issubclass(found, Object) and found.__module__ == module.name:
                    yield found


def texts() -> Iterator[tuple[str, str]]:
    """(what, its documentation) of everything that must have one."""
    for model in models():
        yield f"{model.__module__}.{model.__name__}", model.__doc__ or ""
        for name, info in model.model_fields.items():
            yield f"{model.__module__}.{model.__name__}.{name}", info.description or ""


def test_everything_is_documented() -> None:
    found = dict(texts())
    assert len(found) > 1900
    assert [what for what, text in found.items() if not text.strip()] == []


def test_a_documentation_is_a_short_sentence() -> None:
    odd = [what for what, text in texts() if text.strip()[-1:] not in (".", "?") or len(text) > LONGEST]
    assert odd == []


def test_every_module_says_what_it_is_about() -> None:
    names = [one.name for one in pkgutil.walk_packages(sampan.api.__path__, "sampan.api.")]
    assert [name for name in names if not (importlib.import_module(name).__doc__ or "").strip()] == []
