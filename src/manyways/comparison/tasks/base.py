"""Task: what a comparison asks of every model, and the scores that say which does it best."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manyways.comparison.results import Best, Entry, Exhibit
from manyways.errors import ParameterError

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.models.model import Model


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


def labels_shown(data: "Data", shown: "Data") -> str:
    """What is said of data with labels, of which those in `shown` may be seen: "40 labels", "all 1,437 labels"."""
    seen, known = int(shown.training.labelled.sum()), int(data.training.known.sum())
    return f"{'all ' if seen == known else ''}{seen:,} label{'' if seen == 1 else 's'}"


@dataclass(frozen=True)
class Task:
    """What is compared.

    asked: whether the roles of the data ask for it. gives: what a model must give, any one of these; scored: the same
    for a model that is scored as it is, before anything is learned. metrics: what it can be compared by, the usual one
    first; shared: the usual one where all start from one model, and so share its tokens. learned_from: what is learned
    from in words, of the data and of it as it is shown to methods. labelled: whether it is to predict one label, of
    which a comparison may hide some. closely: the best entry seen row by row. exhibits: what people would rather look
    at than read, made of every entry's first model. overview: the same of all entries together. several_labels: whether
    it is to predict several labels at once, of which a comparison may hide some rows', too. by_all: whether scores
    depend on how many test rows there are, so that learning curves must be scored on all of them.
    """

    name: str
    asked: "Callable[[Data], bool]"
    gives: frozenset[str]
    metrics: tuple[str, ...]
    learned_from: "Callable[[Data, Data], str]"
    scored: frozenset[str] = frozenset()
    shared: str | None = None
    labelled: bool = False
    closely: "Callable[[str, Model, Data], Best | None]" = nothing_to_show
    exhibits: "Callable[[Model, Data], tuple[Exhibit, ...]]" = no_exhibits
    overview: "Callable[[Sequence[Entry]], tuple[Exhibit, ...]]" = no_overview
    several_labels: bool = False
    by_all: bool = False

    @property
    def has_labels(self) -> bool:
        """Whether there are labels of which a comparison may hide some."""
        return self.labelled or self.several_labels

    def check(self, metric: str | None, shared: bool) -> str:
        """`metric`, or the usual one; `shared` if all start from one model. Raises ParameterError for another's."""
        if metric is None:
            return self.shared if shared and self.shared else self.metrics[0]
        if metric not in self.metrics:
            raise ParameterError(f"metric must be one of {', '.join(self.metrics)} for {self.name}; got {metric!r}.")
        return metric
