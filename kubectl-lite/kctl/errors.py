"""What kctl says when it can't do what it was told."""

from __future__ import annotations

from sampan.api_error import ApiError, SampanError

COMPLETE = ("The connection", "Unable to connect", "You must specify the type of resource to get")
"""Sentences that kubectl prints without `error:` in front."""


class UsageError(SampanError):
    """The command line, a manifest, or what they ask for is wrong."""


class Exit(SampanError):
    """The command ends with this exit code and has said all there is to say."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


def wording(error: SampanError) -> str:
    """An error as kubectl says it."""
    if not isinstance(error, ApiError):
        text = str(error)
        return text if text.startswith(COMPLETE) else f"error: {text}"
    if error.reason == "Invalid":
        return _invalid(error)
    if error.reason == "Unauthorized":
        return "error: You must be logged in to the server (Unauthorized)"
    reason = f" ({error.reason})" if error.reason else ""
    return f"Error from server{reason}: {error.message}"


def _invalid(error: ApiError) -> str:
    """What rules an object breaks: in one line if it is one, else below each other."""
    details = error.details
    causes = details.get("causes") or ()
    head = "The request is invalid"
    if details.get("kind") or details.get("name"):
        head = f'The {details.get("kind", "")} "{details.get("name", "")}" is invalid'
    elif error.message and not causes:
        head += f": {error.message}"
    texts = dict.fromkeys(f"{one['field']}: {one['message']}" if one.get("field") else one["message"] for one in causes)
    if len(texts) < 2:
        return ": ".join([head, *texts])
    return "\n".join([f"{head}: ", *(f"* {text}" for text in texts)])
