"""The base class of tasks: one thing that models can be compared at, and how they are scored at it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from manyways.comparison.exhibits import Exhibit
from manyways.comparison.results import Best, Entry
from manyways.data.data import Data
from manyways.data.phrases import count_of
from manyways.methods.method import Method
from manyways.models.evaluation import Evaluation
from manyways.models.model import Model
from manyways.training.events import Event

TEST_ROWS = "test rows"


class Watch(Protocol):
    """Notes of a training on its way, taken where the method says that something has ended."""

    def __call__(self, event: Event) -> None:
        """Look at the model of `event`, a milestone."""

    def finish(self, model: Model) -> None:
        """Look at the model that came of it."""

    def scores(self) -> dict[str, float]:
        """Scores that follow from the notes."""

    def exhibits(self) -> tuple[Exhibit, ...]:
        """The notes, to be looked at."""

    def to_json(self) -> dict[str, Any]:
        """The notes as JSON values: a training that was killed goes on with them."""

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `to_json` gave."""


class Task:
    """One thing that models can be compared at.

    A subclass states its name, that of the results; what a model must give (`gives`, any one of these), and what one
    that is scored before anything is learned (`scored`); its `metrics`, the usual one first, or `shared` where all
    start from one model, and so share its tokens; and those of them that are shown `beside` the score. A comparison may
    hide some labels where it is to predict one (`labelled`) or several (`several_labels`). `rows` are the words for one
    and for several of the training rows. `by_all`: the scores depend on the number of test rows, so that learning
    curves are scored on all. `units` are the words for what contributes to its scores, one number each, as far as its
    models tell (`Model.evaluate_rows`): "test rows" that may belong to groups, or what else; empty where nothing does,
    and intervals are over seeds alone. Where the data asks for several tasks, that of the lowest
    `precedence` is the one.
    """

    name: str
    gives: frozenset[str]
    scored: frozenset[str] = frozenset()
    metrics: tuple[str, ...]
    shared: str | None = None
    beside: tuple[str, ...] = ()
    labelled: bool = False
    several_labels: bool = False
    rows: tuple[str, str] = ("row", "rows")
    by_all: bool = False
    precedence: int = 50
    units: str = ""

    def applies(self, data: Data) -> bool:
        """True if the roles of `data` ask for it."""
        return False

    def allowed(self, data: Data) -> bool:
        """True if one of its metrics may ask for it, where the roles of `data` do not."""
        return False

    def metrics_on(self, data: Data) -> tuple[str, ...]:
        """Those of its metrics that can be computed on `data`."""
        return self.metrics

    def visible(self, data: Data) -> Data:
        """`data` as methods see it."""
        return data

    def enters(self, method: Method) -> bool:
        """True if `method` is tried where none is named, and its models give what is asked."""
        return True

    def bound(self, method: Method) -> str:
        """The easier conditions that `method` learns under ("all tasks at once"): it shows the best to hope for."""
        return ""

    def references(self, data: Data) -> Mapping[str, str]:
        """The methods, as text, whose scores stand in every comparison for what is no achievement, and their titles."""
        return {}

    def prepare(self, data: Data) -> None:
        """Compute what all entries share, once."""

    def score(self, model: Model, data: Data, rows: int | None) -> dict[str, float]:
        """All scores of `model` on the test rows of `data`, about `rows` of them; none where it cannot be scored."""
        test = data.test
        if rows is not None:
            test = test.select(np.arange(0, len(test), max(1, len(test) // rows)))
        return {} if model.metric_on(test) is None else model.evaluate(test)

    def evaluate(self, model: Model, data: Data, metric: str) -> Evaluation:
        """All scores of `model` on all test rows of `data`, and what each row contributes to `metric`."""
        if not self.units or model.metric_on(data.test) is None:
            return Evaluation(self.score(model, data, None))
        return model.evaluate_rows(data.test, metric)

    def watch(self, data: Data) -> Watch | None:
        """The notes that are taken of each training on its way; None for none."""
        return None

    def closely(self, name: str, model: Model, test: Data) -> Best | None:
        """The best entry, `name`, row by row; None where no row can be seen."""
        return None

    def exhibits(self, model: Model, test: Data) -> tuple[Exhibit, ...]:
        """Exhibits of an entry's first model: what people would rather look at than read."""
        return ()

    def overview(self, entries: Sequence[Entry]) -> tuple[Exhibit, ...]:
        """Exhibits of all entries together."""
        return ()

    def learned_from(self, data: Data, visible: Data) -> str:
        """Words for the training rows, of which methods are shown those of `visible`: "632 pairs", "40 labels"."""
        if not self.labelled:
            return f"{len(data.training):,} {self.rows[len(data.training) != 1]}"
        seen, known = int(visible.training.labelled.sum()), int(data.training.known.sum())
        return f"{'all ' if seen == known else ''}{count_of(seen, 'label')}"

    def scored_on(self, data: Data) -> str:
        """Words for what a score is the mean over: "360 test rows"."""
        return count_of(len(data.test), "test row")

    def cautions(self, data: Data) -> tuple[str, ...]:
        """Sentences on what somebody who meant another task should know."""
        return ()

    @property
    def has_labels(self) -> bool:
        """True if there are labels of which a comparison may hide some."""
        return self.labelled or self.several_labels

    def fairer(self, data: Data) -> tuple[str, str] | None:
        """The metric that takes the place of the usual one on such `data`, and the reason; None for none."""
        return None

    def usual(self, shared: bool) -> str:
        """The metric where none is named; `shared` if all start from one model."""
        return self.shared if shared and self.shared else self.metrics[0]
