"""Standard output that neither a narrow encoding nor a closed pipe can turn into a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import sys


def be_lenient() -> None:
    """Characters that the terminal's encoding lacks are written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_line(line: str) -> None:
    """Prints a line at once. When nobody reads any more (`| head`), the work goes on without printing."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            # Whatever is flushed at exit then goes nowhere instead of failing once more.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
