"""What kctl says when it can't do what it was told."""

from __future__ import annotations

from sampan.api_error import ApiError, SampanError

COMPLETE = ("The connection", "Unable to connect", "You must")
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
        return f"The {error.message}" if error.message else "The request is invalid"
    if error.reason == "Unauthorized":
        return "error: You must be logged in to the server (Unauthorized)"
    if error.reason == "BadRequest" and error.message.startswith("error "):
        return f"Error from server (BadRequest): {error.message}"
    reason = f" ({error.reason})" if error.reason else ""
    return f"Error from server{reason}: {error.message}"
