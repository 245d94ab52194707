"""Supervised fine-tuning: learn to give the answers that are shown."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.data.tasks import TaskNumbers, task_numbers
from manyways.errors import DataError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.language import LanguageLearner, LanguageMethod, Rates
from manyways.methods.bases.sampled import Sampled
from manyways.methods.fields import Count, Positive
from manyways.methods.needs import Answers
from manyways.models.language.forward import token_log_probabilities
from manyways.models.language.packing import Group
from manyways.models.language_model import LanguageModel
from manyways.training.mixture import Mixture, shares_of


class AnswerLearner(LanguageLearner):
    """The training rows as prompts with their answers, and the task of each where they are of several."""

    def __init__(
        self, start: LanguageModel, network: nn.Module, data: Data, seed: int, groups: list[Group],
        rows: RowNumbers, tasks: TaskNumbers | None = None,
    ) -> None:  # fmt: skip
        super().__init__(start, network, data, seed)
        self.groups = groups
        self.tasks = tasks
        self.positions = np.arange(len(groups), dtype=np.int64)
        self._rows = rows

    @property
    def count(self) -> int:
        return len(self.groups)

    @property
    def row_of(self) -> RowNumbers:
        return self._rows

    def lengths(self) -> list[NDArray[np.int64]]:
        return [np.array([len(group.prompt) + sum(len(each.ids) for each in group.answers) for group in self.groups])]

    def words(self) -> list[list[int]]:
        return [[*group.prompt, *(token for each in group.answers for token in each.ids)] for group in self.groups]

    def kinds(self) -> torch.Tensor | None:
        return None if self.tasks is None else torch.from_numpy(self.tasks.numbers)


@dataclass(frozen=True, kw_only=True)
class SFT(LanguageMethod[AnswerLearner], Sampled[AnswerLearner]):
    """Learn to say the answers of the data: completions to prompts, or the assistant's turns of conversations.

    The loss is on the answers only, the mean over all their tokens in the batch. Short rows share a line without seeing
    each other. Instruction tuning is this, on instructions.

    Rows of several tasks, which a column of the role task names, are a mixture: `mix` says how often each is drawn, and
    the rows of each come in epochs of its own. The loss counts tokens: a task's share of it is its share of the rows
    times the mean length of its answers, which the lineage states as `tokens`. Scores are of each task, and their mean.
    """

    batch_size: Count = 16
    """Rows in a batch."""
    mix: Literal["proportional", "equal"] | Positive = "proportional"
    """Shares of the tasks in the rows that are drawn: proportional to their rows n, equal, or a temperature T, by which
    they are proportional to n^(1/T): 1 is proportional, and the greater the more equal."""
    cap: Count | None = None
    """The most rows that a task counts with when its share is computed (T5's artificial limit of a set's size). None:
    all."""

    needs: ClassVar = (Answers,)
    uses: ClassVar = ("task",)
    gives: ClassVar = frozenset({"generate", "embed"})
    takes: ClassVar = frozenset({"generate"})
    requires_model: ClassVar = True
    rates: ClassVar = Rates(new=2e-4, pretrained=2e-5, adapters=2e-4)
    suggests: ClassVar = ("sft",)
    paper: ClassVar = (
        "Ouyang et al., Training language models to follow instructions, NeurIPS 2022; mixtures: Raffel et al., T5, "
        "JMLR 2020"
    )
    example: ClassVar = "arithmetic"
    field_trials: ClassVar = {"mix": {"mix": "equal"}, "cap": {"cap": 1}}

    @classmethod
    def example_data(cls) -> Data:
        """Sums as two tasks: those below 60, and four times as many others."""
        data = super().example_data()
        sums = np.array([int(text) for text in data.columns["completion"].take(np.arange(len(data.part)))])
        task = Column("task", "category", np.where(sums < 60, "small", "large").astype(object))
        return replace(data, columns={**data.columns, "task": task}, roles={**data.roles, "task": ("task",)})

    def lacks_of(self, data: Data) -> str | None:
        if reason := super().lacks_of(data):
            return reason
        if data.has("task") or (self.mix == "proportional" and self.cap is None):
            return None
        field = "cap" if self.mix == "proportional" else "mix"
        return (
            f"{field}={getattr(self, field)!r} is of the rows of several tasks, and no column has the role task. Name "
            f'it: task="…" with one of {", ".join(data.columns)}. Or leave {field} out.'
        )

    def make_learner(self, data: Data, start: LanguageModel, network: nn.Module, seed: int) -> AnswerLearner:
        tasks = task_numbers(data.training) if data.has("task") else None
        groups, rows = self.reader(start).fitting_answers(data.training)
        if tasks is None:
            learner = AnswerLearner(start, network, data, seed, groups, rows)
            self.put_sampler(learner)
            return learner
        tasks = replace(tasks, numbers=tasks.numbers[rows])
        if lost := [name for name, size in tasks.sizes.items() if not size]:
            raise DataError(
                f"All rows of the task {lost[0]!r} of {data.name} are longer than the tokens that the model reads. "
                'Shorten them, let them be cut, too_long="cut", or leave the task out.'
            )
        learner = AnswerLearner(start, network, data, seed, groups, rows, tasks)
        shares = shares_of(list(tasks.sizes.values()), self.mix, self.cap)
        self.put_sampler(learner, lambda: Mixture(tasks.numbers, shares))
        return learner

    def draw(self, learner: AnswerLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.positions, self.batch_size, step)
        return {"rows": rows, "packed": learner.pack([learner.groups[row] for row in rows])}

    def micro_batch(self, learner: AnswerLearner, batch: Batch, part: slice) -> tuple[float, Batch]:
        packed = learner.pack([learner.groups[row] for row in batch["rows"][part]])
        return len(packed.targets) / len(batch["packed"].targets), {"packed": packed}

    def loss(self, learner: AnswerLearner, batch: Batch) -> Loss:
        return -token_log_probabilities(learner.network, batch["packed"]).mean(), {}

    def facts(self, learner: AnswerLearner, steps: int) -> dict[str, Any]:
        facts = super().facts(learner, steps)
        if learner.tasks is None or "stages" in learner.sampler.facts():
            return facts
        return {**facts, "mixture": self._mixture(learner, learner.tasks, steps)}

    def _mixture(self, learner: AnswerLearner, tasks: TaskNumbers, steps: int) -> dict[str, dict[str, float]]:
        """Of each task its rows, their share of all that are drawn and of the tokens, and how often each was seen."""
        shares = shares_of(list(tasks.sizes.values()), self.mix, self.cap)
        answers = np.array([_learned_tokens(group) for group in learner.groups])
        tokens = np.array([answers[tasks.numbers == task].mean() for task in range(len(shares))]) * shares
        drawn = steps * self.batch_size * shares
        return {
            name: {
                "rows": size,
                "share": round(float(share), 6),
                "tokens": round(float(part), 6),
                "epochs": round(float(times), 3),
            }
            for (name, size), share, part, times in zip(
                tasks.sizes.items(), shares, tokens / tokens.sum(), drawn / np.array(list(tasks.sizes.values())),
                strict=True,
            )
        }  # fmt: skip


def _learned_tokens(group: Group) -> int:
    """Tokens of a row's answer that are learned from."""
    return sum(len(answer.ids) if answer.mask is None else sum(answer.mask) for answer in group.answers)
