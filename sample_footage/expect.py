"""Writes `expected_events.jsonl` from the results of `gatewatch demo --no-serve --out DIR`:

    python -m sample_footage.expect DIR

Only a test reads that file; look at the events before you commit them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

KEPT = ("rule", "kind", "label", "media_time_s")


def main(arguments: list[str]) -> int:
    """Runs the script; returns the exit code."""
    if len(arguments) != 1 or not (source := Path(arguments[0]) / "events.jsonl").is_file():
        print(__doc__, file=sys.stderr)
        return 2
    events = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    lines = [json.dumps({key: event[key] for key in KEPT}) + "\n" for event in events]
    Path(__file__).with_name("expected_events.jsonl").write_text("".join(lines), encoding="utf-8")
    print(f"{len(lines)} events")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
