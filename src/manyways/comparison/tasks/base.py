"""Task: what a comparison asks of every model, and the scores that say which does it best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from manyways.comparison.exhibits import Exhibit
from manyways.comparison.results import Best, Entry

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.methods.method import Method
    from manyways.models.model import Model
    from manyways.training.events import Event


class Watch(Protocol):
    """What a task notes of a training on its way, where the method says that something has ended."""

    def __call__(self, event: "Event") -> None:
        """Look at the model of `event`, a milestone."""

    def finish(self, model: "Model") -> None:
        """Look at the model that came of it."""

    def scores(self) -> dict[str, float]:
        """Scores that follow from what was noted."""

    def exhibits(self) -> tuple[Exhibit, ...]:
        """What was noted, to be looked at."""

    def to_json(self) -> dict[str, Any]:
        """What was noted, as JSON values: a training that was killed goes on with it."""

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `to_json` gave."""


def scored_by_itself(model: "Model", data: "Data", rows: int | None) -> dict[str, float]:
    """All scores of `model` on the test rows of `data`, or in its environment; none where it cannot be scored."""
    test = some_test_rows(data, rows)
    return {} if model.metric_on(test) is None else model.evaluate(test)


def some_test_rows(data: "Data", most: int | None) -> "Data":
    """The test rows of `data`, all or evenly spread at most about `most` of them."""
    test = data.test
    return test if most is None else test.select(np.arange(0, len(test), max(1, len(test) // most)))


def any_method(method: "Method") -> bool:
    """For tasks that every method may enter whose model gives what is asked."""
    return True


def no_bound(method: "Method") -> str:
    """For tasks in which all learn under the same conditions."""
    return ""


def nothing_to_prepare(data: "Data") -> None:
    """For tasks that score by the test rows alone."""


def nothing_to_show(name: str, model: "Model", test: "Data") -> Best | None:
    """For tasks whose best entry has nothing that could be seen row by row."""
    return None


def no_exhibits(model: "Model", test: "Data") -> tuple[Exhibit, ...]:
    """For tasks of which there is nothing to look at."""
    return ()


def no_overview(entries: Sequence[Entry]) -> tuple[Exhibit, ...]:
    """For tasks of which nothing is to be seen but scores."""
    return ()


def count_of(called: str, several: str) -> "Callable[[Data, Data], str]":
    """What is said of training rows that are `called` so: "632 pairs"."""

    def said(data: "Data", shown: "Data") -> str:
        rows = len(data.training)
        return f"{rows:,} {called if rows == 1 else several}"

    return said


def on_test_rows(data: "Data") -> str:
    """What is said of tasks that score by the test rows: "360 test rows"."""
    return f"{len(data.test):,} test row{'' if len(data.test) == 1 else 's'}"


def labels_shown(data: "Data", shown: "Data") -> str:
    """What is said of data with labels, of which those in `shown` may be seen: "40 labels", "all 1,437 labels"."""
    seen, known = int(shown.training.labelled.sum()), int(data.training.known.sum())
    return f"{'all ' if seen == known else ''}{seen:,} label{'' if seen == 1 else 's'}"


@dataclass(frozen=True)
class Task:
    """What is compared.

    asked: whether the roles of the data ask for it; allowed: whether it can be asked for besides, by one of its
    metrics. gives: what a model must give, any one of these; scored: the same for a model that is scored as it is,
    before anything is learned. metrics: what it can be compared by, the usual one first; beside: those of them that are
    shown beside the score; shared: the usual one where all start from one model, and so share its tokens. learned_from:
    what is learned from in words, of the data and of it as it is shown to methods. scored_on: over what a score is the
    mean, in words. labelled: whether it is to predict one label, of which a comparison may hide some; several_labels:
    whether it is to predict several at once, of which it may hide some rows', too.

    enters: which methods are tried where none is named, of those whose models give what is asked. bound: for methods
    that learn under easier conditions than is asked, these conditions in words ("all tasks at once"): they are shown
    as what can be hoped for at best. prepare: what is computed once for all entries. score: all scores of a model on
    the data, or on about so many of its test rows while it learns; by_all: whether they depend on how many there are,
    so that learning curves must be scored on all. watch: what is noted of a training on its way. closely: the best
    entry seen row by row. exhibits: what people would rather look at than read, made of every entry's first model.
    overview: the same of all entries together.
    """

    name: str
    asked: "Callable[[Data], bool]"
    gives: frozenset[str]
    metrics: tuple[str, ...]
    learned_from: "Callable[[Data, Data], str]"
    scored: frozenset[str] = frozenset()
    scored_on: "Callable[[Data], str]" = on_test_rows
    shared: str | None = None
    beside: tuple[str, ...] = ()
    labelled: bool = False
    allowed: "Callable[[Data], bool]" = lambda data: False
    enters: "Callable[[Method], bool]" = any_method
    bound: "Callable[[Method], str]" = no_bound
    prepare: "Callable[[Data], None]" = nothing_to_prepare
    score: "Callable[[Model, Data, int | None], dict[str, float]]" = scored_by_itself
    watch: "Callable[[Data], Watch] | None" = None
    closely: "Callable[[str, Model, Data], Best | None]" = nothing_to_show
    exhibits: "Callable[[Model, Data], tuple[Exhibit, ...]]" = no_exhibits
    overview: "Callable[[Sequence[Entry]], tuple[Exhibit, ...]]" = no_overview
    several_labels: bool = False
    by_all: bool = False

    @property
    def has_labels(self) -> bool:
        """Whether there are labels of which a comparison may hide some."""
        return self.labelled or self.several_labels

    def usual(self, shared: bool) -> str:
        """What it is compared by where nothing is said; `shared` if all start from one model."""
        return self.shared if shared and self.shared else self.metrics[0]
