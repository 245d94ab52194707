"""The reading of windows: how stretches of series were made of a table."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from manyways.checked_json import described
from manyways.errors import DataError

Unit = Literal["microseconds", "business days", "months", "numbers"]
"""The unit of a time step."""


@dataclass(frozen=True)
class WindowReading:
    """The way in which windows were made of a table, so that a model makes them of another table in the same way.

    Attributes:
        channels: Columns that run side by side in a window, the series itself first.
        label: Columns that are forecast, each as a series of its own.
        time: Column of times.
        group: Column that tells series apart; None where there is one.
        history: Steps of a window.
        horizon: Steps that are forecast.
        season: Steps of the season.
        unit: Unit of the time step.
        step: Time step in that unit.
    """

    channels: tuple[str, ...]
    label: tuple[str, ...]
    time: str
    group: str | None
    history: int
    horizon: int
    season: int
    unit: Unit
    step: float

    def to_json(self) -> dict[str, Any]:
        """JSON values that `from_json` makes it again from."""
        return asdict(self)

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> "WindowReading":
        """The reading that `to_json` wrote. Raises DataError where it does not fit."""
        given = described(saved, "the reading of a series", DataError)
        unit = next((each for each in get_args(Unit) if each == given.get("unit", str)), None)
        group = given.members.get("group")
        lengths = {name: given.get(name, int) for name in ("history", "horizon", "season")}
        if unit is None or min(lengths.values()) < 1:
            raise DataError("The reading of a series is damaged: its lengths are below 1, or its time step is unknown.")
        return WindowReading(
            channels=tuple(given.all("channels", str)),
            label=tuple(given.all("label", str)),
            time=given.get("time", str),
            group=None if group is None else given.get("group", str),
            unit=unit,
            step=given.get("step", float),
            **lengths,
        )

    @property
    def options(self) -> dict[str, Any]:
        """The options of `manyways.read` with which a table is read so."""
        roles = {"time": self.time, "label": list(self.label), "input": list(self.channels)}
        lengths = {"horizon": self.horizon, "history": self.history, "season": self.season}
        return {**roles, **lengths, **({"group": self.group} if self.group else {})}
