"""Each malformed site file gets its sentences, word for word: file, line, key, what was expected, what was found."""

# ruff: noqa: E501 - the sentences are compared as they are printed, unbroken

from __future__ import annotations

from pathlib import Path

import pytest

from gatewatch.cli import run
from gatewatch.site import SiteError, load_site
from gatewatch.site_checks import LABELS
from gatewatch.site_messages import keys_of, one_of
from gatewatch.site_model import SiteFile
from rules.registry import RULES

HEAD = "site: {name: Lake, timezone: Asia/Shanghai}\n"
CAM = HEAD + "cameras:\n  gate:\n    source: gate.mp4\n"
ZONE = CAM + "    zones: {lawn: [[0, 0], [1, 0], [1, 1]]}\n    lines: {bar: [[0, 0], [1, 1]]}\n"
RULE = ZONE + "    rules:\n"

MALFORMED: list[tuple[str, str | bytes, list[str]]] = [
    (
        "empty file",
        "",
        ["site.yaml: expected a site with the keys site and cameras, found an empty file."],
    ),
    (
        "only comments",
        "# nothing\n",
        ["site.yaml: expected a site with the keys site and cameras, found an empty file."],
    ),
    (
        "a list at the top",
        "- a\n- b\n",
        ['site.yaml:1: expected a mapping with the keys site and cameras, found ["a", "b"].'],
    ),
    (
        "text at the top",
        "hello\n",
        ['site.yaml:1: expected a mapping with the keys site and cameras, found "hello".'],
    ),
    (
        "no cameras",
        HEAD,
        ["site.yaml:1: cameras: expected this required key, found none."],
    ),
    (
        "an empty map of cameras",
        HEAD + "cameras: {}\n",
        ["site.yaml:2: cameras: expected at least one camera, found an empty mapping."],
    ),
    (
        "cameras as a list",
        HEAD + "cameras: [gate]\n",
        ['site.yaml:2: cameras: expected a mapping, found ["gate"].'],
    ),
    (
        "a camera without anything",
        HEAD + "cameras:\n  gate:\n",
        ["site.yaml:3: cameras.gate: expected a mapping, found nothing."],
    ),
    (
        "a camera without a source",
        HEAD + "cameras:\n  gate:\n    analyse_fps: 5\n",
        ["site.yaml:3: cameras.gate.source: expected this required key, found none."],
    ),
    (
        "reasons that cannot be",
        CAM
        + "alerts:\n  reason: []\n  reasons:\n"
        + "    - {code: Dog, verdicts: [closed], label: {}}\n"
        + "    - {code: cat, verdicts: [], label: {de: Katze}, needs_note: 1}\n"
        + "    - {code: cat, verdicts: drill, label: Cat}\n",
        [
            'site.yaml:6: alerts.reason: expected a key out of default_reasons or reasons, found this one (did you mean "reasons"?).',
            'site.yaml:8: alerts.reasons[0].code: expected a code of up to 32 small letters, digits and _, the first a letter, found "Dog".',
            'site.yaml:8: alerts.reasons[0].verdicts[0]: expected resolved, false_alarm or drill, found "closed".',
            "site.yaml:8: alerts.reasons[0].label: expected a label in en or zh-CN, found none.",
            "site.yaml:9: alerts.reasons[1].verdicts: expected at least 1 item, found an empty list.",
            "site.yaml:9: alerts.reasons[1].label.de: expected a key out of en or zh-CN, found this one.",
            "site.yaml:9: alerts.reasons[1].needs_note: expected true or false, found 1.",
            'site.yaml:10: alerts.reasons[2].verdicts: expected a list, found "drill".',
            'site.yaml:10: alerts.reasons[2].label: expected a mapping, found "Cat".',
            'site.yaml:10: alerts.reasons[2].code: expected each code once, found "cat" again (first on line 9).',
        ],
    ),
    (
        "reasons that leave a verdict without one",
        CAM
        + "alerts:\n  default_reasons: false\n  reasons:\n    - {code: cat, verdicts: [resolved], label: {en: Cat}}\n",
        ["site.yaml:7: alerts.reasons: expected at least one reason for the verdict false_alarm, found none."],
    ),
    (
        "no reasons at all",
        CAM + "alerts: {default_reasons: false}\n",
        ["site.yaml:5: alerts.default_reasons: expected at least one reason for the verdict resolved, found none."],
    ),
    (
        "no site",
        "cameras:\n  gate: {source: a.mp4}\n",
        ["site.yaml:1: site: expected this required key, found none."],
    ),
    (
        "site without a time zone",
        "site: {name: Lake}\ncameras:\n  gate: {source: a.mp4}\n",
        ["site.yaml:1: site.timezone: expected this required key, found none."],
    ),
    (
        "unknown key at the top",
        CAM + "camera: {}\n",
        ['site.yaml:5: camera: expected a key out of @KEYS@, found this one (did you mean "cameras"?).'],
    ),
    (
        "misspelt key of a camera",
        CAM + "    analyze_fps: 5\n",
        [
            'site.yaml:5: cameras.gate.analyze_fps: expected a key out of analyse, analyse_fps, detector, lines, rules, source or zones, found this one (did you mean "analyse_fps"?).'
        ],
    ),
    (
        "misspelt key of the site",
        "site: {name: Lake, timzone: Asia/Shanghai}\ncameras:\n  gate: {source: a.mp4}\n",
        [
            "site.yaml:1: site.timezone: expected this required key, found none.",
            'site.yaml:1: site.timzone: expected a key out of language, name or timezone, found this one (did you mean "timezone"?).',
        ],
    ),
    (
        "time zone that is none",
        "site: {name: Lake, timezone: Asia/Shangai}\ncameras:\n  gate: {source: a.mp4}\n",
        [
            'site.yaml:1: site.timezone: expected an IANA time zone such as Asia/Shanghai, found "Asia/Shangai" (did you mean "Asia/Shanghai"?).'
        ],
    ),
    (
        "time zone as an offset",
        "site: {name: Lake, timezone: +08:00}\ncameras:\n  gate: {source: a.mp4}\n",
        ['site.yaml:1: site.timezone: expected an IANA time zone such as Asia/Shanghai, found "+08:00".'],
    ),
    (
        "time zone without its continent",
        "site: {name: Lake, timezone: shanghai}\ncameras:\n  gate: {source: a.mp4}\n",
        [
            'site.yaml:1: site.timezone: expected an IANA time zone such as Asia/Shanghai, found "shanghai" (did you mean "Asia/Shanghai"?).'
        ],
    ),
    (
        "time zone as a folder",
        "site: {name: Lake, timezone: Asia}\ncameras:\n  gate: {source: a.mp4}\n",
        ['site.yaml:1: site.timezone: expected an IANA time zone such as Asia/Shanghai, found "Asia".'],
    ),
    (
        "time zone outside",
        "site: {name: Lake, timezone: ../etc/passwd}\ncameras:\n  gate: {source: a.mp4}\n",
        ['site.yaml:1: site.timezone: expected an IANA time zone such as Asia/Shanghai, found "../etc/passwd".'],
    ),
    (
        "language that nobody speaks here",
        "site: {name: Lake, timezone: UTC, language: zh}\ncameras:\n  gate: {source: a.mp4}\n",
        ['site.yaml:1: site.language: expected en or zh-CN, found "zh".'],
    ),
    (
        "language no, which is text",
        "site: {name: Lake, timezone: UTC, language: no}\ncameras:\n  gate: {source: a.mp4}\n",
        ['site.yaml:1: site.language: expected en or zh-CN, found "no".'],
    ),
    (
        "name of the site as a number",
        "site: {name: 12, timezone: UTC}\ncameras:\n  gate: {source: a.mp4}\n",
        ["site.yaml:1: site.name: expected text, found 12 (put it in quotes)."],
    ),
    (
        "name of the site is blank",
        "site: {name: '  ', timezone: UTC}\ncameras:\n  gate: {source: a.mp4}\n",
        ['site.yaml:1: site.name: expected text without blanks at its ends, found "  ".'],
    ),
    (
        "name of a camera with a blank",
        HEAD + "cameras:\n  north gate: {source: a.mp4}\n",
        ['site.yaml:3: cameras.north gate: expected a name of up to 64 letters, digits, - and _, found "north gate".'],
    ),
    (
        "name of a camera with a dot",
        HEAD + "cameras:\n  gate.1: {source: a.mp4}\n",
        ['site.yaml:3: cameras.gate.1: expected a name of up to 64 letters, digits, - and _, found "gate.1".'],
    ),
    (
        "name of a camera too long",
        HEAD + "cameras:\n  ggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg: {source: a.mp4}\n",
        [
            'site.yaml:3: cameras.ggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg: expected a name of up to 64 letters, digits, - and _, found "ggggggggggggggggggggggggggggggggggggggggggggggggggggggggg...".'
        ],
    ),
    (
        "source as a number",
        HEAD + "cameras:\n  gate: {source: 5}\n",
        ["site.yaml:3: cameras.gate.source: expected text, found 5 (put it in quotes)."],
    ),
    (
        "source is empty",
        HEAD + "cameras:\n  gate: {source: ''}\n",
        ['site.yaml:3: cameras.gate.source: expected text that is not empty, found "".'],
    ),
    (
        "source with a broken variable",
        HEAD + "cameras:\n  gate:\n    source: rtsp://u:${PASS-WORD}@host/\n",
        ["site.yaml:4: cameras.gate.source: expected ${NAME} with letters, digits and _, found a ${ without it."],
    ),
    (
        "frame rate of zero",
        CAM + "    analyse_fps: 0\n",
        ["site.yaml:5: cameras.gate.analyse_fps: expected a number above 0, found 0."],
    ),
    (
        "frame rate below zero",
        CAM + "    analyse_fps: -2.5\n",
        ["site.yaml:5: cameras.gate.analyse_fps: expected a number above 0, found -2.5."],
    ),
    (
        "frame rate as text",
        CAM + "    analyse_fps: fast\n",
        ['site.yaml:5: cameras.gate.analyse_fps: expected a number, found "fast".'],
    ),
    (
        "frame rate in quotes",
        CAM + "    analyse_fps: '5'\n",
        ['site.yaml:5: cameras.gate.analyse_fps: expected a number, found "5" (leave out the quotes).'],
    ),
    (
        "frame rate not a number",
        CAM + "    analyse_fps: .nan\n",
        ["site.yaml:5: cameras.gate.analyse_fps: expected a finite number, found .nan."],
    ),
    (
        "frame rate without end",
        CAM + "    analyse_fps: .inf\n",
        ["site.yaml:5: cameras.gate.analyse_fps: expected a finite number, found .inf."],
    ),
    (
        "frame rate beyond numbers",
        CAM + "    analyse_fps: 1e999\n",
        ["site.yaml:5: cameras.gate.analyse_fps: expected a finite number, found 1e999."],
    ),
    (
        "frame rate true",
        CAM + "    analyse_fps: true\n",
        ["site.yaml:5: cameras.gate.analyse_fps: expected a number, found true."],
    ),
    (
        "detector unknown",
        CAM + "    detector: motoin\n",
        ['site.yaml:5: cameras.gate.detector: expected a mapping or the word motion, found "motoin".'],
    ),
    (
        "detector with an unknown key",
        CAM + "    detector: {weigths: nanodet-g}\n",
        [
            'site.yaml:5: cameras.gate.detector.weigths: expected a key out of input_px, min_score or weights, found this one (did you mean "weights"?).'
        ],
    ),
    (
        "input size not a multiple of 32",
        HEAD + "detector: {input_px: 450}\ncameras:\n  gate:\n    source: gate.mp4\n",
        ["site.yaml:2: detector.input_px: expected a multiple of 32, found 450."],
    ),
    (
        "input size with a fraction",
        HEAD + "detector: {input_px: 448.5}\ncameras:\n  gate:\n    source: gate.mp4\n",
        ["site.yaml:2: detector.input_px: expected a whole number, found 448.5."],
    ),
    (
        "score above one",
        HEAD + "detector: {min_score: 1.5}\ncameras:\n  gate:\n    source: gate.mp4\n",
        ["site.yaml:2: detector.min_score: expected a number of at most 1, found 1.5."],
    ),
    (
        "clip too long",
        HEAD + "clips: {pre_s: 600}\ncameras:\n  gate:\n    source: gate.mp4\n",
        ["site.yaml:2: clips.pre_s: expected a number of at most 60, found 600."],
    ),
    (
        "zone of two points",
        CAM + "    zones: {lawn: [[0, 0], [1, 1]]}\n",
        ["site.yaml:5: cameras.gate.zones.lawn: expected at least 3 points, found a list of 2."],
    ),
    (
        "zone with a point outside",
        CAM + "    zones:\n      lawn:\n        - [0, 0]\n        - [1, 0]\n        - [1.2, 1]\n",
        ["site.yaml:9: cameras.gate.zones.lawn[2]: expected a point [x, y], both from 0 to 1, found [1.2, 1]."],
    ),
    (
        "zone with a point of three numbers",
        CAM + "    zones: {lawn: [[0, 0], [1, 0], [1, 1, 1]]}\n",
        ["site.yaml:5: cameras.gate.zones.lawn[2]: expected a point [x, y], both from 0 to 1, found [1, 1, 1]."],
    ),
    (
        "zone with a point of text",
        CAM + "    zones: {lawn: [[0, 0], [1, 0], [1, '1']]}\n",
        ['site.yaml:5: cameras.gate.zones.lawn[2]: expected a point [x, y], both from 0 to 1, found [1, "1"].'],
    ),
    (
        "zone that crosses itself",
        CAM + "    zones: {lawn: [[0, 0], [1, 1], [1, 0], [0, 1]]}\n",
        [
            "site.yaml:5: cameras.gate.zones.lawn: expected a zone whose edges do not cross or touch, found a crossing near [0.50, 0.50]."
        ],
    ),
    (
        "zone without an area",
        CAM + "    zones: {lawn: [[0, 0], [0.5, 0.5], [1, 1]]}\n",
        ["site.yaml:5: cameras.gate.zones.lawn: expected a zone with an area, found points on one line."],
    ),
    (
        "zone of the same points",
        CAM + "    zones: {lawn: [[0, 0], [0, 0], [1, 1]]}\n",
        ["site.yaml:5: cameras.gate.zones.lawn: expected a zone with at least 3 different points, found 2."],
    ),
    (
        "zone as text",
        CAM + "    zones: {lawn: everywhere}\n",
        ['site.yaml:5: cameras.gate.zones.lawn: expected a list, found "everywhere".'],
    ),
    (
        "zones as a list",
        CAM + "    zones: [[0, 0], [1, 0], [1, 1]]\n",
        ["site.yaml:5: cameras.gate.zones: expected a mapping, found a list of 3."],
    ),
    (
        "line of one point",
        CAM + "    lines: {bar: [[0, 0]]}\n",
        ["site.yaml:5: cameras.gate.lines.bar: expected at least 2 points, found a list of 1."],
    ),
    (
        "line of the same point",
        CAM + "    lines: {bar: [[0.5, 0.5], [0.5, 0.5]]}\n",
        ["site.yaml:5: cameras.gate.lines.bar: expected a line with at least 2 different points, found 1."],
    ),
    (
        "schedule with an unknown day",
        HEAD
        + "schedules:\n  night: [{days: [monday], from: '22:00', to: '06:00'}]\ncameras:\n  gate:\n    source: gate.mp4\n",
        [
            'site.yaml:3: schedules.night[0].days[0]: expected mon, tue, wed, thu, fri, sat or sun, found "monday" (did you mean "mon"?).'
        ],
    ),
    (
        "schedule with a number for a time",
        HEAD + "schedules:\n  night: [{from: 2200, to: '06:00'}]\ncameras:\n  gate:\n    source: gate.mp4\n",
        [
            'site.yaml:3: schedules.night[0].from: expected a time of day in quotes, such as "06:00" or "22:30", found 2200.'
        ],
    ),
    (
        "schedule at hour 25",
        HEAD + "schedules:\n  night: [{from: '25:00', to: '06:00'}]\ncameras:\n  gate:\n    source: gate.mp4\n",
        [
            'site.yaml:3: schedules.night[0].from: expected a time of day in quotes, such as "06:00" or "22:30", found \'25:00\'.'
        ],
    ),
    (
        "schedule without an end",
        HEAD + "schedules:\n  night: [{from: '22:00'}]\ncameras:\n  gate:\n    source: gate.mp4\n",
        ["site.yaml:3: schedules.night[0].to: expected this required key, found none."],
    ),
    (
        "schedule that is called always",
        HEAD + "schedules:\n  always: [{from: '22:00', to: '06:00'}]\n" + CAM[len(HEAD) :],
        ["site.yaml:3: schedules.always: expected another name, as always means at any time, found always."],
    ),
    (
        "schedule without windows",
        HEAD + "schedules:\n  night: []\ncameras:\n  gate:\n    source: gate.mp4\n",
        ["site.yaml:3: schedules.night: expected at least 1 item, found an empty list."],
    ),
    (
        "schedule with an unknown key",
        HEAD
        + "schedules:\n  night: [{from: '22:00', until: '06:00', to: '06:00'}]\ncameras:\n  gate:\n    source: gate.mp4\n",
        ["site.yaml:3: schedules.night[0].until: expected a key out of days, from or to, found this one."],
    ),
    (
        "rules as a mapping",
        ZONE + "    rules: {name: r}\n",
        ["site.yaml:7: cameras.gate.rules: expected a list of rules, found a mapping."],
    ),
    (
        "rule as text",
        RULE + "      - intrusion\n",
        ['site.yaml:8: cameras.gate.rules[0]: expected a mapping with name and kind, found "intrusion".'],
    ),
    (
        "rule without a kind",
        RULE + "      - {name: r, zone: lawn}\n",
        ["site.yaml:8: cameras.gate.rules[0].kind: expected a kind of rule (@KINDS@), found none."],
    ),
    (
        "rule of an unknown kind",
        RULE + "      - {name: r, kind: intrusoin, zone: lawn}\n",
        [
            'site.yaml:8: cameras.gate.rules[0].kind: expected a kind of rule (@KINDS@), found "intrusoin" (did you mean "intrusion"?).'
        ],
    ),
    (
        "rule without a name",
        RULE + "      - {kind: intrusion, zone: lawn}\n",
        ["site.yaml:8: cameras.gate.rules[0].name: expected this required key, found none."],
    ),
    (
        "rule with a name that is none",
        RULE + "      - {name: 'a/b', kind: intrusion, zone: lawn}\n",
        ['site.yaml:8: cameras.gate.rules[0].name: expected a name of up to 64 letters, digits, - and _, found "a/b".'],
    ),
    (
        "two rules of one name",
        RULE + "      - {name: r, kind: intrusion, zone: lawn}\n      - {name: r, kind: line_crossing, line: bar}\n",
        [
            'site.yaml:9: cameras.gate.rules[1].name: expected each name once per camera, found "r" again (first on line 8).'
        ],
    ),
    (
        "rule without its zone",
        RULE + "      - {name: r, kind: intrusion}\n",
        ["site.yaml:8: cameras.gate.rules[0].zone: expected this required key, found none."],
    ),
    (
        "rule on an unknown zone",
        RULE + "      - {name: r, kind: intrusion, zone: lwan}\n",
        [
            'site.yaml:8: cameras.gate.rules[0].zone: expected a zone of this camera (lawn), found "lwan" (did you mean "lawn"?).'
        ],
    ),
    (
        "rule on a zone where there are none",
        CAM + "    rules:\n      - {name: r, kind: intrusion, zone: lawn}\n",
        ['site.yaml:6: cameras.gate.rules[0].zone: expected a zone of this camera (there are none), found "lawn".'],
    ),
    (
        "rule on an unknown line",
        RULE + "      - {name: r, kind: line_crossing, line: barr}\n",
        [
            'site.yaml:8: cameras.gate.rules[0].line: expected a line of this camera (bar), found "barr" (did you mean "bar"?).'
        ],
    ),
    (
        "rule with an unknown schedule",
        HEAD
        + "schedules:\n  night: [{from: '22:00', to: '06:00'}]\ncameras:\n  gate:\n    source: gate.mp4\n    zones: {lawn: [[0, 0], [1, 0], [1, 1]]}\n    lines: {bar: [[0, 0], [1, 1]]}\n    rules:\n      - {name: r, kind: intrusion, zone: lawn, schedule: nigth}\n",
        [
            'site.yaml:10: cameras.gate.rules[0].schedule: expected a schedule (night), found "nigth" (did you mean "night"?).'
        ],
    ),
    (
        "rule with an unknown label",
        RULE + "      - {name: r, kind: intrusion, zone: lawn, labels: [persn]}\n",
        [
            'site.yaml:8: cameras.gate.rules[0].labels[0]: expected a label or a group of labels (@LABELS@), found "persn" (did you mean "person"?).'
        ],
    ),
    (
        "rule with a label that is no list",
        RULE + "      - {name: r, kind: intrusion, zone: lawn, labels: person}\n",
        ["site.yaml:8: cameras.gate.rules[0].labels: expected a list of labels, such as [person], found 'person'."],
    ),
    (
        "labels that motion never gives",
        RULE.replace("gate.mp4", "gate.mp4\n    detector: motion")
        + "      - {name: r, kind: intrusion, zone: lawn, labels: [person, car]}\n",
        [
            'site.yaml:9: cameras.gate.rules[0].labels: expected object or any, all that motion gives, found ["person", "car"].'
        ],
    ),
    (
        "a label that only motion gives",
        RULE + "      - {name: r, kind: intrusion, zone: lawn, labels: [object]}\n",
        [
            'site.yaml:8: cameras.gate.rules[0].labels: expected labels of the detector, as only detector: motion gives object, found ["object"].'
        ],
    ),
    (
        "a site's name that would ring the terminal's bell",
        'site: {name: "A\\u0007", timezone: UTC}\ncameras: {gate: {source: x}}\n',
        ['site.yaml:1: site.name: expected printable text, found "A\\u0007".'],
    ),
    (
        "rule with no labels",
        RULE + "      - {name: r, kind: intrusion, zone: lawn, labels: []}\n",
        ["site.yaml:8: cameras.gate.rules[0].labels: expected at least 1 item, found an empty list."],
    ),
    (
        "rule with an unknown severity",
        RULE + "      - {name: r, kind: intrusion, zone: lawn, severity: hihg}\n",
        [
            'site.yaml:8: cameras.gate.rules[0].severity: expected low, medium, high or critical, found "hihg" (did you mean "high"?).'
        ],
    ),
    (
        "rule with an unknown direction",
        RULE + "      - {name: r, kind: line_crossing, line: bar, direction: left}\n",
        ['site.yaml:8: cameras.gate.rules[0].direction: expected left_to_right, right_to_left or both, found "left".'],
    ),
    (
        "rule with an unknown key",
        RULE + "      - {name: r, kind: loitering, zone: lawn, dwel_s: 30}\n",
        [
            "site.yaml:8: cameras.gate.rules[0].dwell_s: expected this required key, found none.",
            'site.yaml:8: cameras.gate.rules[0].dwel_s: expected a key out of anchor, cooldown_s, dwell_s, gap_s, kind, labels, leave_s, name, schedule, severity or zone, found this one (did you mean "dwell_s"?).',
        ],
    ),
    (
        "duration below zero",
        RULE + "      - {name: r, kind: intrusion, zone: lawn, enter_s: -1}\n",
        ["site.yaml:8: cameras.gate.rules[0].enter_s: expected a number of at least 0, found -1."],
    ),
    (
        "duration in quotes",
        RULE + "      - {name: r, kind: loitering, zone: lawn, dwell_s: '30'}\n",
        ['site.yaml:8: cameras.gate.rules[0].dwell_s: expected a number, found "30" (leave out the quotes).'],
    ),
    (
        "duration with a unit",
        RULE + "      - {name: r, kind: loitering, zone: lawn, dwell_s: 30s}\n",
        ['site.yaml:8: cameras.gate.rules[0].dwell_s: expected a number, found "30s".'],
    ),
    (
        "a key twice",
        CAM + "    source: other.mp4\n",
        ["site.yaml:5: cameras.gate.source: expected each key once, found it again (first on line 4)."],
    ),
    (
        "a camera twice",
        CAM + "  gate: {source: other.mp4}\n",
        ["site.yaml:5: cameras.gate: expected each key once, found it again (first on line 3)."],
    ),
    (
        "a tab",
        CAM + "\tanalyse_fps: 5\n",
        ["site.yaml:5: expected spaces before the first key of the line, found a tab."],
    ),
    (
        "a bracket left open",
        CAM + "    zones: {lawn: [[0, 0], [1, 0]\n",
        ["site.yaml:6: expected valid YAML, found at column 1: expected ',' or ']', but got '<stream end>'."],
    ),
    (
        "a variable without quotes in braces",
        HEAD + "cameras:\n  gate: {source: ${GATE}}\n",
        ["site.yaml:3: expected valid YAML, found at column 19: ${...} without quotes inside {...} or [...]."],
    ),
    (
        "a colon too many",
        CAM + "    analyse: a: b\n",
        ["site.yaml:5: expected valid YAML, found at column 15: mapping values are not allowed here."],
    ),
    (
        "two documents",
        CAM + "---\nsite: {name: Lake, timezone: Asia/Shanghai}\ncameras:\n  gate:\n    source: gate.mp4\n",
        ["site.yaml:5: expected one document, found a second one."],
    ),
    (
        "an unknown alias",
        HEAD + "cameras:\n  gate: *front\n",
        ["site.yaml:3: expected valid YAML, found at column 9: found undefined alias 'front'."],
    ),
    (
        "an alias of itself",
        HEAD + "cameras: &all\n  gate: *all\n",
        ["site.yaml:2: cameras.gate: expected a value, found an alias of the value it stands in."],
    ),
    (
        "aliases of aliases",
        HEAD
        + "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
        ["site.yaml:2: expected at most 100000 values, aliases included, found more."],
    ),
    (
        "too deep",
        HEAD
        + "cameras: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
        ["site.yaml:2: expected at most 40 levels, found more."],
    ),
    (
        "a merge key",
        HEAD + "x: &x {source: a.mp4}\ncameras:\n  gate:\n    <<: *x\n",
        ["site.yaml:5: cameras.gate: expected keys written out, found the merge key <<."],
    ),
    (
        "a tag of another language",
        HEAD + "cameras:\n  gate: {source: !!python/name:os.system x}\n",
        [
            "site.yaml:3: cameras.gate.source: expected a plain value, found the tag tag:yaml.org,2002:python/name:os.system."
        ],
    ),
    (
        "a control character",
        HEAD + "cameras:\n  ga\x07te: {source: a.mp4}\n",
        ["site.yaml:3: expected printable text, found the character U+0007."],
    ),
    (
        "text that is not UTF-8",
        b"site: {name: Lake, timezone: Asia/Shanghai}\ncameras:\n  gate: {source: caf\xe9.mp4}\n",
        ["site.yaml:3: expected text in UTF-8, found the byte 0xe9, which is not."],
    ),
    (
        "UTF-16",
        b"\xff\xfes\x00i\x00t\x00e\x00:\x00 \x00{\x00n\x00a\x00m\x00e\x00:\x00 \x00L\x00a\x00k\x00e\x00,\x00 \x00t\x00i\x00m\x00e\x00z\x00o\x00n\x00e\x00:\x00 \x00A\x00s\x00i\x00a\x00/\x00S\x00h\x00a\x00n\x00g\x00h\x00a\x00i\x00}\x00\n\x00c\x00a\x00m\x00e\x00r\x00a\x00s\x00:\x00\n\x00 \x00 \x00g\x00a\x00t\x00e\x00:\x00\n\x00 \x00 \x00 \x00 \x00s\x00o\x00u\x00r\x00c\x00e\x00:\x00 \x00g\x00a\x00t\x00e\x00.\x00m\x00p\x004\x00\n\x00",
        ["site.yaml:1: expected text in UTF-8, found the byte 0xff, which is not."],
    ),
    (
        "half of a pair",
        HEAD + 'cameras:\n  gate: {source: "\\uD800"}\n',
        ["site.yaml:3: cameras.gate.source: expected text, found half of a UTF-16 pair."],
    ),
    (
        "a password in a wrong place",
        CAM + "    sauce: rtsp://guard:hunter2@192.0.2.8/main\n",
        [
            'site.yaml:5: cameras.gate.sauce: expected a key out of analyse, analyse_fps, detector, lines, rules, source or zones, found this one (did you mean "source"?).'
        ],
    ),
    (
        "a password in a wrong value",
        HEAD + "detector: rtsp://guard:hunter2@192.0.2.8/main\ncameras:\n  gate:\n    source: gate.mp4\n",
        ['site.yaml:2: detector: expected a mapping or the word motion, found "rtsp://guard:***@192.0.2.8/main".'],
    ),
    (
        "JSON with a wrong value",
        '{"site": {"name": "Lake", "timezone": "UTC"},\n "cameras": {"gate": {"source": "a.mp4", "analyse_fps": null, "zones": []}}}\n',
        ["site.yaml:2: cameras.gate.zones: expected a mapping, found an empty list."],
    ),
    (
        "several at once",
        "site: {name: Lake, timezone: Mars/Base, language: de}\ncameras:\n  gate:\n    analyse_fps: -1\n    rules:\n      - {name: r, kind: loitering, zone: lawn}\n",
        [
            'site.yaml:1: site.language: expected en or zh-CN, found "de".',
            'site.yaml:1: site.timezone: expected an IANA time zone such as Asia/Shanghai, found "Mars/Base".',
            "site.yaml:3: cameras.gate.source: expected this required key, found none.",
            "site.yaml:4: cameras.gate.analyse_fps: expected a number above 0, found -1.",
            "site.yaml:6: cameras.gate.rules[0].dwell_s: expected this required key, found none.",
            'site.yaml:6: cameras.gate.rules[0].zone: expected a zone of this camera (there are none), found "lawn".',
        ],
    ),
]


@pytest.mark.parametrize(("text", "sentences"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_every_problem_has_its_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | bytes, sentences: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("site.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SiteError) as caught:
        load_site("site.yaml")
    # Kinds and labels are registered elsewhere; the table stays true when one more comes.
    named = {
        "@KINDS@": one_of(sorted(RULES)),
        "@LABELS@": ", ".join(LABELS),
        "@KEYS@": one_of(sorted(keys_of(SiteFile))),
    }
    expected = [_filled(sentence, named) for sentence in sentences]
    assert list(caught.value.problems) == expected


def _filled(sentence: str, named: dict[str, str]) -> str:
    for mark, words in named.items():
        sentence = sentence.replace(mark, words)
    return sentence


def test_the_table_has_no_password_in_any_sentence() -> None:
    assert not [sentence for _, _, sentences in MALFORMED for sentence in sentences if "hunter2" in sentence]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("missing.yaml", "missing.yaml: expected a site file, found nothing there."),
        ("folder", "folder: expected a site file, found a folder."),
    ],
)
def test_what_is_no_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, sentence: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    with pytest.raises(SiteError) as caught:
        load_site(path)
    assert str(caught.value) == sentence


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("site.yaml").write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    with pytest.raises(SiteError) as caught:
        load_site("site.yaml")
    assert str(caught.value) == "site.yaml: expected a site file of at most 4 MiB, found a larger one."


def test_the_command_line_prints_each_problem_on_its_line_and_exits_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text, sentences = next(row[1:] for row in MALFORMED if row[0] == "several at once")
    assert isinstance(text, str)
    Path("site.yaml").write_text(text, encoding="utf-8")
    assert run(["check", "site.yaml"]) == 1
    printed = capsys.readouterr()
    assert printed.err.splitlines() == sentences
    assert printed.out == ""
