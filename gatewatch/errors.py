"""What the front door says when it cannot do as asked.

    FrontError            one or more sentences for the user, one a line; exit code 1
    |- SiteError          the site file cannot be used
    |- RecordingsError    recordings, their order in time or their inputs cannot be used
    |- UsageError         an option of the command line is wrong; exit code 2
    |- OutputError        the output folder cannot be used or written
    `- StoppedError       the user or the system asked to stop

The other layers have one base class each (`ModelError`, `MediaError`, `RuleError`, `DeskError`); the command line
treats them alike (`gatewatch.cli`).
"""

from __future__ import annotations

from collections.abc import Sequence


class FrontError(Exception):
    """The message is for the user: whole sentences, one a line, without credentials."""

    exit_code = 1


class SiteError(FrontError):
    """A site file that cannot be used; `problems` holds one sentence for each thing to mend, in the file's order."""

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class RecordingsError(FrontError):
    """Recordings, their place in time, or the inputs that belong to them cannot be used."""


class UsageError(FrontError):
    """An option of the command line has a value that it cannot have."""

    exit_code = 2


class OutputError(FrontError):
    """The output folder cannot be used or written."""


class StoppedError(FrontError):
    """The user or the system asked to stop; what was done so far is kept."""
