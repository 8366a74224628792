"""Which form an answer takes: JSON or YAML, and the object itself, its metadata only, or a table.

Source: "Alternate representations of resources" and "Receiving resources as Tables" of the API concepts.
Elsewhere: making tables (tables.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import yaml

from sampan.errors import ApiError, Reason

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SERVED = f"{JSON}, {YAML}"
FORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
DISCOVERY = ("APIGroupDiscoveryList",)


@dataclass(frozen=True, slots=True)
class Form:
    """What to send. `form` is empty for the object as it is."""

    media: str = JSON
    form: str = ""
    group: str = ""
    version: str = ""

    @property
    def plain(self) -> bool:
        """The stored bytes will do."""
        return self.media == JSON and not self.form


PLAIN = Form()


@lru_cache(maxsize=512)
def negotiate(accept: str, forms: bool = True) -> Form:
    """The first form of an Accept header that is served, by quality, then order. Raises ApiError 406.

    Without `forms`, only the object itself is: what is asked and never stored has no table and no metadata.
    """
    if not accept or accept == JSON:
        return PLAIN
    clauses: list[tuple[float, int, Form]] = []
    for index, clause in enumerate(accept.split(",")):
        media, *rest = (part.strip() for part in clause.split(";"))
        parameters = dict(part.partition("=")[::2] for part in rest)
        media = {"*/*": JSON, "application/x-yaml": YAML}.get(media.lower(), media.lower())
        if media not in (JSON, YAML):
            continue
        form = parameters.get("as", "")
        group, version = parameters.get("g", ""), parameters.get("v", "")
        if form and not forms:
            continue
        if form in FORMS:
            if group != "meta.k8s.io" or version != "v1":
                continue
        elif form in DISCOVERY:
            if group != "apidiscovery.k8s.io" or version != "v2":
                continue
        elif form:
            continue
        try:
            quality = float(parameters.get("q", "1"))
        except ValueError:
            continue
        if quality > 0:
            clauses.append((-quality, index, Form(media, form, group, version)))
    if not clauses:
        raise ApiError(406, Reason.NOT_ACCEPTABLE, f"only the following media types are accepted: {SERVED}")
    return min(clauses, key=lambda one: one[:2])[2]


def media_type(header: str) -> str:
    """The media type of a body, without parameters; JSON when none is given. Raises ApiError 415."""
    media = header.partition(";")[0].strip().lower() or JSON
    media = {"application/x-yaml": YAML, "text/json": JSON}.get(media, media)
    if media not in (JSON, YAML, PROTOBUF):
        raise unsupported(f"{SERVED}, {PROTOBUF}")
    return media


def unsupported(accepted: str) -> ApiError:
    """415 UnsupportedMediaType."""
    return ApiError(
        415,
        Reason.UNSUPPORTED_MEDIA_TYPE,
        f"the body of the request was in an unknown format - accepted media types include: {accepted}",
    )


def encode(value: Any, media: str = JSON, pretty: bool = False) -> bytes:
    """A plain value as bytes."""
    if media == YAML:
        return yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=True, allow_unicode=True).encode()
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) if pretty else orjson.dumps(value)
