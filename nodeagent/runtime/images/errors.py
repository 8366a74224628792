"""What can go wrong with an image: each error says where, what, and what to do about it.

ImageError
|- InvalidReference a name that is no image reference
|- FormatError      a manifest, config, index or archive that breaks its format
|  `- UnsafeLayer   a layer that tries to leave its root, to smuggle metadata or to exhaust the machine
|- DigestMismatch   content that is not what its digest promised
|- NotFound         no such image, tag or blob
|- ImageInUse       removal of what a container still needs
|- RegistryError    a registry that refuses, fails or cannot be reached
`- BuildError       a Dockerfile that cannot be built; `where` is its file and line
"""

from __future__ import annotations


class ImageError(Exception):
    """`where` it happened, `what` is wrong and, if there is one, the `remedy`."""

    def __init__(self, where: str, what: str, remedy: str = "") -> None:
        super().__init__(where, what, remedy)
        self.where = where
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.remedy}" if self.remedy else text


class InvalidReference(ImageError):
    pass


class FormatError(ImageError):
    pass


class UnsafeLayer(FormatError):
    pass


class DigestMismatch(ImageError):
    pass


class NotFound(ImageError):
    pass


class ImageInUse(ImageError):
    pass


class RegistryError(ImageError):
    """`status` is the HTTP status, 0 if there was no answer."""

    def __init__(self, where: str, what: str, remedy: str = "", *, status: int = 0) -> None:
        super().__init__(where, what, remedy)
        self.status = status


class BuildError(ImageError):
    pass
