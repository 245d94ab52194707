"""Time steps are told from dates and numbers, with the season and the calendar that follow, and what breaks them."""

import numpy as np
import pytest

from manyways.data.time_steps import TimeStep, check_regular, step_of
from manyways.errors import DataError

pytestmark = pytest.mark.quick


def stamps(first: str, count: int, unit: str, every: int = 1) -> np.ndarray:
    begin = np.datetime64(first, unit)
    return (begin + every * np.arange(count)).astype("datetime64[us]").astype(np.int64)


@pytest.mark.parametrize(("times", "unit", "name", "season"), [
    (stamps("2024-01-01T00", 50, "h"), "microseconds", "hour", 24),
    (stamps("2024-01-01T00:00", 50, "m", 15), "microseconds", "15 minutes", 96),
    (stamps("2024-01-01", 50, "D"), "microseconds", "day", 7),
    (stamps("2024-01-01", 50, "D", 7), "microseconds", "7 days", 52),
    (stamps("2024-01", 50, "M"), "months", "month", 12),
    (stamps("2024-01", 50, "M", 3), "months", "3 months", 4),
    (stamps("2000", 30, "Y"), "months", "12 months", 1),
])  # fmt: skip
def test_steps_of_dates_have_their_season(times: np.ndarray, unit: str, name: str, season: int) -> None:
    step = step_of(times, dates=True)
    assert (step.unit, step.name, step.season) == (unit, name, season)
    check_regular(times, np.arange(len(times)), step, True, "the series")
    assert (step.after(times[:-3], 3) == times[3:]).all()


def test_days_without_a_weekend_are_business_days() -> None:
    days = np.busday_offset(np.datetime64("2024-01-01"), np.arange(60))
    times = days.astype("datetime64[us]").astype(np.int64)
    step = step_of(times, dates=True)
    assert (step.unit, step.season) == ("business days", 5)
    check_regular(times, np.arange(60), step, True, "the series")
    assert (step.after(times[:-7], 7) == times[7:]).all()
    with pytest.raises(DataError, match="has a gap: after 2024-01-16.* 1 step is missing until 2024-01-18"):
        check_regular(np.delete(times, 12), np.arange(59), step, True, "the series")


def test_ends_of_months_are_regular() -> None:
    ends = (np.arange(np.datetime64("2023-02"), np.datetime64("2025-02")) + 0).astype("datetime64[D]") - 1
    times = ends.astype("datetime64[us]").astype(np.int64)
    step = step_of(times, dates=True)
    assert step == TimeStep("months", 1.0)
    assert (step.after(times[:-5], 5) == times[5:]).all()


def test_numbers_have_no_season_and_no_calendar() -> None:
    step = step_of(np.arange(0, 50, 0.5), dates=False)
    assert (step.season, step.name) == (1, "step of 0.5")
    assert step.calendar(np.arange(3.0))[1].shape == (3, 0)


def test_the_calendar_of_hours_repeats_by_day_week_and_year() -> None:
    times = stamps("2024-01-01T00", 24 * 15, "h")
    names, values = TimeStep("microseconds", 3600e6).calendar(times)
    assert [name.split()[0] for name in names[::2]] == ["hour", "weekday", "month"]
    assert np.allclose(values[:24, :2], values[24:48, :2])
    assert np.allclose(values[:168], values[168:336])
    assert not np.allclose(values[:24, 2:4], values[24:48, 2:4])
    # Midnight of a Monday begins both cycles.
    assert np.allclose(values[0, :4], [0, 1, 0, 1])


@pytest.mark.parametrize(("times", "message"), [
    ([0, 1, 2, 1, 3], "must increase: row 13 is of 1, and the row before it of 2"),
    ([0, 1, 2, 2, 3], "has the time 2 more than once, in rows 12 and 13"),
    ([0, 1, 2, 2.5, 3.5], "irregular: most are a step of 1 apart, and row 13 at 2.5"),
    ([0, 1, 2, 5, 6], "has a gap: after 2.* 2 steps are missing until 5 in row 13"),
])  # fmt: skip
def test_what_is_not_regular_is_refused_with_its_row(times: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_regular(np.array(times), np.arange(10, 15), TimeStep("numbers", 1.0), False, "The series")
