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

    Attributes:
        model: Id of the model.
        title: Its title.
        how: `learned again`, `put together again` out of its stages, `deleted`, `cannot`, or the method that takes the
            rows out.
        guarantee: Distance of the result from training without the rows: `bitwise`, `1e-8`, `not proof`, or the reason
            why it is less.
        rows: Number of the rows that it was given that are forgotten.
        given: Number of rows that it was given.
        steps: Steps that learning it took.
        seconds: Seconds that learning it took.
        note: Further remarks.
        new: Id of the model that takes its place.
        used: Rows of the source that it was learned from, packed; None where those that are forgotten are all that is
            left out.
        audit: Membership inference on the model before and after, as JSON values.
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

    Attributes:
        steps: The steps.
        rows: Number of distinct rows.
        subject: Subject whose rows they are, where they are one's.
        how: Way that was asked for.
        copies: Folders outside of the store that hold a model as it was.
        counted: Number of rows in the data, where some may be the same.
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
