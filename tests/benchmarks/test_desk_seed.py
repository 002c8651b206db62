"""The alerts that the desk's benchmark makes in bulk are such as the desk would have written."""

from __future__ import annotations

from pathlib import Path

from api.audit import Trust, audit_database
from api.keys import KEY_FILE, SiteKeys
from benchmarks.desk import seed


def test_the_audit_passes_what_was_made_in_bulk(tmp_path: Path) -> None:
    database = seed(tmp_path, 2000, lambda _: None)
    report = audit_database(str(database), Trust(SiteKeys.load(database.parent / KEY_FILE)))
    assert report.findings == []
    assert (report.intact, report.alerts) == (True, 2000)
