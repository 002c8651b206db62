"""Rules that fire once per object and visit of a zone, when the object has been inside for so long."""

from __future__ import annotations

from rules.base import EPSILON_S, C, Finding, Rule, Setting, View
from rules.membership import Membership
from rules.types import Measured


class VisitRule(Rule[C]):
    """Fires when a stay reaches `needed_s`; the value is told as `measure`."""

    def __init__(self, config: C, setting: Setting, membership: Membership, measure: str, needed_s: float) -> None:
        super().__init__(config, setting)
        self._membership = membership
        self._measure = measure
        self._needed_s = needed_s
        self._fired: dict[int, int] = {}

    def update(self, view: View) -> list[Finding]:
        """Objects whose stay is long enough at this frame, while the rule is in effect."""
        findings: list[Finding] = []
        for seen in view.objects:
            for visit, start_s, until_s in self._membership.advance(seen, view):
                if until_s - start_s < self._needed_s - EPSILON_S or self._fired.get(seen.object_id) == visit:
                    continue
                if not self.wants(seen.label) or not view.effective(until_s):
                    continue
                self._fired[seen.object_id] = visit
                measured = {self._measure: Measured(until_s - start_s, self._needed_s)}
                findings.append(Finding(seen.object_id, max(start_s, view.effective_since_s), measured))
        return findings

    def forget(self, object_id: int) -> None:
        """Drops what is kept of the object."""
        self._membership.forget(object_id)
        self._fired.pop(object_id, None)

    def state_size(self) -> int:
        """How many objects are kept."""
        return self._membership.state_size() + len(self._fired)
