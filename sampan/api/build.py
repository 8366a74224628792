"""Building models' parsers: the inner ones first, each once.

pydantic builds a parser when it is first needed, and uses the finished parsers of the models inside it; an unfinished
one it generates anew in every parser that contains it. Left alone, each workload kind generates all of PodSpec thrice.
Built from the inside out, those of all built-in kinds take a tenth of the time.
"""

from __future__ import annotations

from sampan.api.base import Object
from sampan.api.rules import model_in


def build(model: type[Object]) -> None:
    """Build the parser of a model and of all models in it. Fine to repeat."""
    _build(model, set())


def _build(model: type[Object], begun: set[type[Object]]) -> None:
    if model.__pydantic_complete__ or model in begun:
        return
    begun.add(model)  # a model may contain itself
    for info in model.model_fields.values() if model.__pydantic_fields_complete__ else ():
        inner = model_in(info.annotation)
        if inner is not None:
            _build(inner, begun)
    model.model_rebuild()
