"""What goes wrong between a camera's bytes and a picture."""

from __future__ import annotations


class MediaError(Exception):
    """A recording, stream or device cannot be used as asked; the message is one sentence for the user.

    Credentials never appear in it.
    """


class StreamLostError(MediaError):
    """A live stream ended, fell silent or could not be reached; another attempt may succeed."""
