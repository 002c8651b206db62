"""A body for each operation that takes one, as a client might send it; a test holds them to their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOTHING: Mapping[str, Any] = {}
_LATER = "2026-06-01T00:00:00Z"
_HOOK = "https://hooks.example.com/gatewatch"

BODIES: Mapping[str, Mapping[str, Any]] = {
    "mark_seen": _NOTHING,
    "acknowledge_alert": {"version": 1},
    "claim_alert": {"version": 2},
    "assign_alert": {"version": 3, "assignee": "li.na", "note": "She is at the gate."},
    "release_alert": {"version": 4, "note": "End of my shift."},
    "resolve_alert": {"version": 3, "reason": "staff_member", "note": "The gardener, known by sight."},
    "mark_false_alarm": {"version": 1, "reason": "animal"},
    "mark_drill": {"version": 1, "reason": "exercise"},
    "reopen_alert": {"version": 5, "note": "It was not the gardener."},
    "add_alert_note": {"note": "The patrol is on its way."},
    "create_incident": {"title": "Two at the north gate", "alert_ids": ["alert.north-gate.lawn-intrusion.000001"]},
    "rename_incident": {"version": 1, "title": "Break-in at the north gate"},
    "add_incident_alerts": {"version": 1, "alert_ids": ["alert.north-gate.lawn-intrusion.000002"]},
    "add_incident_note": {"note": "Police were called at 14:03."},
    "close_incident": {"version": 4, "note": "Handed over to the police."},
    "reopen_incident": {"version": 5},
    "sign_journal_head": _NOTHING,
    "export_journal": {"after": 0},
    "log_in": {"user": "li.na", "password": "correct horse battery staple"},
    "choose_password": {"current_password": "the one that was given", "new_password": "one that only I know"},
    "create_user": {"user": "li.na", "display_name": "李娜", "role": "guard", "cameras": ["north-gate"]},
    "change_user": {"version": 1, "role": "supervisor", "cameras": None},
    "reset_password": _NOTHING,
    "unlock_user": _NOTHING,
    "create_token": {
        "name": "alarm receiving centre",
        "permissions": ["alerts.read", "alerts.handle"],
        "expires_at": _LATER,
    },
    "post_input": {"camera": "north-gate", "line": "barrier", "kind": "authorisation"},
    "set_arming_profile": {"version": 1, "profile": "night"},
    "set_arming_override": {"version": 2, "camera": "north-gate", "target": "lawn", "armed": False},
    "post_external_event": {"event_id": "gate-20260301-0007", "kind": "panic", "text": "Button at the desk"},
    "create_webhook": {"name": "alarm receiving centre", "url": _HOOK, "topics": ["alert.raised", "alert.resolve"]},
    "change_webhook": {"version": 1, "enabled": False},
    "rotate_webhook_secret": {"version": 2},
    "test_webhook": _NOTHING,
    "replay_webhook_dead_letters": _NOTHING,
    "replay_webhook_message": _NOTHING,
}
"""By operation."""
