"""Plans of forgetting: how each model that the rows reached forgets them, at what cost, with which guarantee."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from manyways.lineage.store.model_record import SHORT
from manyways.lineage.store.row_counts import row_count_text
from manyways.lineage.terms import CANNOT, EXACT


@dataclass(frozen=True)
class ForgettingStep:
    """Step of a plan: one model, and the way in which it forgets.

    how: `learned again`, `put together again` out of its stages, `deleted`, `cannot`, or the method that takes the rows
    out. guarantee: how near the result is to what training without the rows gives: `bitwise`, `1e-8`, `not proof`, or
    why it is less. rows, given: how many of the rows that it was given are forgotten, and how many it was given. steps,
    seconds: what learning it took. note: what else is to be said. new: the id of the model that takes its place. used:
    which rows of the source it was learned from, packed; None where those that are forgotten are all that is left out.
    audit: what membership inference measured on the model before and after, as JSON values.
    """

    model: str
    title: str
    how: str
    guarantee: str
    rows: int
    given: int
    steps: int = 0
    seconds: float = 0.0
    note: str = ""
    new: str | None = None
    used: str | None = None
    audit: Mapping[str, Any] | None = None

    @property
    def short(self) -> str:
        """The beginning of the model's id."""
        return self.model[:SHORT]

    def to_json(self) -> dict[str, Any]:
        """The step as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class ForgettingPlan:
    """Plan of forgetting some rows: a step for every model that they reached, ancestors first.

    rows: how many distinct ones there are. subject: whose, where they are one's. how: as it was asked for. copies:
    folders outside of the store that hold a model as it was. counted: how many there are in the data, where some may be
    the same.
    """

    steps: tuple[ForgettingStep, ...]
    rows: int
    subject: str | None = None
    how: str = EXACT
    copies: tuple[str, ...] = ()
    counted: int = 0

    @property
    def rows_text(self) -> str:
        """The number of rows in words."""
        return row_count_text(self.counted or self.rows, self.rows)

    @property
    def refused(self) -> tuple[ForgettingStep, ...]:
        """The models that cannot be made to forget."""
        return tuple(step for step in self.steps if step.how == CANNOT)

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> "ForgettingPlan":
        """The plan that `to_json` wrote."""
        steps = tuple(ForgettingStep(**step) for step in saved["steps"])
        return ForgettingPlan(**{**saved, "steps": steps, "copies": tuple(saved["copies"])})
