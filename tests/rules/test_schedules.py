from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from rules.engine import Engine
from rules.schedules import Schedule, Window
from rules.types import RuleError
from tests.rules.scenes import Actor, frames, make_config, make_engine, play, stay

ALL = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def window(begin: str, end: str, days: list[str] | None = None) -> Window:
    return Window.model_validate({"from": begin, "to": end, "days": days or ALL})


def open_at(timezone: str, windows: list[Window], *local: str) -> list[bool]:
    """Local wall time, `+` after it where daylight saving repeats the hour and the second one is meant."""
    zone = ZoneInfo(timezone)
    schedule = Schedule(windows, zone)
    moments = [datetime.fromisoformat(t.rstrip("+")).replace(tzinfo=zone, fold=int(t.endswith("+"))) for t in local]
    return [schedule.is_open(moment.astimezone(UTC)) for moment in moments]


def test_a_day_window_begins_at_from_and_ends_before_to() -> None:
    told = open_at("Asia/Shanghai", [window("08:00", "18:00", ["mon"])],
                   "2026-03-02T07:59:59", "2026-03-02T08:00", "2026-03-02T17:59:59.999", "2026-03-02T18:00",
                   "2026-03-03T12:00")  # fmt: skip
    assert told == [False, True, True, False, False]


def test_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    told = open_at("Asia/Shanghai", [window("22:00", "06:00", ["fri"])],
                   "2026-03-06T05:00", "2026-03-06T22:00", "2026-03-07T05:59:59", "2026-03-07T06:00",
                   "2026-03-07T22:30", "2026-03-08T01:00")  # fmt: skip
    assert told == [False, True, True, False, False, False]


def test_sunday_night_reaches_into_monday() -> None:
    assert open_at("UTC", [window("22:00", "06:00", ["sun"])], "2026-03-09T05:00", "2026-03-10T05:00") == [True, False]


def test_whole_days_and_midnight_as_an_end() -> None:
    assert open_at("UTC", [window("00:00", "24:00", ["sat"])], "2026-03-07T23:59:59", "2026-03-08T00:00") == [
        True,
        False,
    ]
    assert open_at("UTC", [window("20:00", "00:00", ["sat"])], "2026-03-07T23:59", "2026-03-08T00:00") == [True, False]
    assert open_at("UTC", [window("07:00", "07:00", ["sat"])], "2026-03-07T06:59", "2026-03-07T07:00",
                   "2026-03-08T06:59", "2026-03-08T07:00") == [False, True, True, False]  # fmt: skip


def test_several_windows() -> None:
    windows = [window("22:00", "06:00", ["mon"]), window("12:00", "13:00", ["tue"])]
    assert open_at("UTC", windows, "2026-03-03T03:00", "2026-03-03T11:00", "2026-03-03T12:30") == [True, False, True]


def test_the_night_when_the_clock_goes_forward_is_an_hour_shorter() -> None:
    """Berlin, 29 March 2026: 02:00 becomes 03:00."""
    schedule = Schedule([window("22:00", "06:00")], ZoneInfo("Europe/Berlin"))
    begin = datetime(2026, 3, 28, 12, tzinfo=UTC)
    minutes = [begin + timedelta(minutes=m) for m in range(24 * 60)]
    assert sum(schedule.is_open(m) for m in minutes) == 7 * 60
    skipped = Schedule([window("02:15", "02:45")], ZoneInfo("Europe/Berlin"))
    assert not any(skipped.is_open(m) for m in minutes)


def test_the_night_when_the_clock_goes_back_is_an_hour_longer() -> None:
    """New York, 1 November 2026: 02:00 becomes 01:00 again; what holds at 01:30 holds both times."""
    schedule = Schedule([window("22:00", "06:00")], ZoneInfo("America/New_York"))
    begin = datetime(2026, 10, 31, 16, tzinfo=UTC)
    assert sum(schedule.is_open(begin + timedelta(minutes=m)) for m in range(24 * 60)) == 9 * 60
    told = open_at("America/New_York", [window("01:00", "02:00")],
                   "2026-11-01T00:59", "2026-11-01T01:30", "2026-11-01T01:30+", "2026-11-01T02:00")  # fmt: skip
    assert told == [False, True, True, False]


def test_the_sites_zone_counts_not_the_machines() -> None:
    moment = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # 23:00 in Shanghai
    night = [window("22:00", "06:00")]
    assert Schedule(night, ZoneInfo("Asia/Shanghai")).is_open(moment)
    assert not Schedule(night, ZoneInfo("UTC")).is_open(moment)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(RuleError, match="without a time zone"):
        Schedule([window("22:00", "06:00")], ZoneInfo("UTC")).is_open(datetime(2026, 3, 2))


@pytest.mark.parametrize("clock", ["6:00", "25:00", "06:60", "24:01", 360, None, "06:00:00", "noon"])
def test_a_clock_that_is_none_is_refused(clock: object) -> None:
    with pytest.raises(ValidationError, match="expected a time of day in quotes"):
        Window.model_validate({"from": clock, "to": "07:00"})


def test_a_schedule_without_a_known_start_asks_for_it() -> None:
    engine = make_engine(make_config("intrusion", name="lawn", zone="yard", schedule="night"))
    with pytest.raises(RuleError) as raised:
        play(engine, frames([Actor(stay((0.5, 0.6), 2.0))], 5.0))
    assert str(raised.value) == (
        "rule 'lawn' of camera 'cam' follows the schedule 'night', but the time at which the recording started is "
        "unknown; give it with --started-at"
    )


def test_an_unknown_schedule_is_refused_when_the_engine_is_built() -> None:
    with pytest.raises(RuleError) as raised:
        make_engine(make_config("intrusion", name="lawn", zone="yard", schedule="weekend"))
    assert str(raised.value) == "rule 'lawn' of camera 'cam' names the schedule 'weekend'; the site has 'night'"
    Engine("cam", [], zones={}, lines={}, schedules={}, timezone=ZoneInfo("UTC"), versions={})
