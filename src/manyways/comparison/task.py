"""The task of a comparison: what the roles of the data ask for, and the scores that say who does it best."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manyways.comparison.results import TaskName
from manyways.errors import DataError, ParameterError
from manyways.models.language.judgements import judged
from manyways.models.metrics import check_metric

if TYPE_CHECKING:
    from manyways.data.data import Data


@dataclass(frozen=True)
class Task:
    """What is compared.

    metrics: what it can be compared by, the usual one first. shared: the usual one where all start from one model,, and
    so share its tokens.
    """

    name: TaskName
    metrics: tuple[str, ...] = ()
    shared: str | None = None

    @property
    def labelled(self) -> bool:
        """Whether it is to predict a label."""
        return self.name in LABELLED

    @property
    def gives(self) -> frozenset[str]:
        """What a model must give, any one of these, to be compared."""
        if self.labelled:
            return frozenset({"classify", "regress"})
        return frozenset({"act"} if self.name == "acting" else {"generate"})

    def check(self, metric: str | None, shared: bool) -> str:
        """`metric`, or the usual one; `shared` if all start from one model. Raises ParameterError for another's."""
        if self.labelled:
            return check_metric(metric, self.name == "classification")
        if metric is None:
            return self.shared if shared and self.shared else self.metrics[0]
        if metric not in self.metrics:
            raise ParameterError(f"metric must be one of {', '.join(self.metrics)} for {self.name}; got {metric!r}.")
        return metric


LABELLED = ("classification", "regression")
SAID = ("nats_per_character", "nats_per_token", "perplexity")
PREFERRED = ("preference_accuracy", "margin")
TASKS: dict[str, Task] = {
    "classification": Task("classification"),
    "regression": Task("regression"),
    "pairs": Task("pairs", (*PREFERRED, *SAID)),
    "judged": Task("judged", (*PREFERRED, *SAID)),
    "answers": Task("answers", SAID, shared="nats_per_token"),
    "text": Task("text", SAID, shared="nats_per_token"),
    "acting": Task("acting", ("mean_reward",)),
}
"""Every task by its name: that of the results."""


def task_of(data: "Data") -> Task:
    """What the roles of `data` ask for. Raises DataError where nothing could be scored."""
    for name, asked in ASKED.items():
        if asked(data):
            return TASKS[name]
    raise DataError(
        f'{data.name} has nothing to compare by. Name the column to predict, label="…", or those of a language model: '
        f'prompt="…" and completion="…", chosen="…" and rejected="…", or text="…", out of {", ".join(data.columns)}.'
    )


def _predicts(data: "Data") -> bool:
    return data.has("label") and bool(data.inputs)


ASKED: dict[str, Callable[["Data"], bool]] = {
    "classification": lambda data: _predicts(data) and data.classification,
    "regression": _predicts,
    "pairs": lambda data: data.has("chosen") and data.has("rejected"),
    "judged": lambda data: judged(data) is not None,
    "answers": lambda data: data.has("messages") or data.has("completion"),
    "text": lambda data: data.has("text"),
    "acting": lambda data: data.environment is not None,
}
"""What asks for each task; the first that does is the one."""
