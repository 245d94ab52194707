"""Active prompts: a language model asks for the answers to those prompts on which its own samples disagree."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.notation import is_missing
from manyways.errors import NeedsError
from manyways.methods.bases.acquisition import ACQUISITIONS, prompt_strategies
from manyways.methods.bases.acquisition.pool import Pool
from manyways.methods.bases.asking import AskingMethod
from manyways.methods.bases.relabelling import Turn
from manyways.methods.fields import Count, Interval, Named, Positive, check_fields
from manyways.methods.language.sft import SFT
from manyways.methods.method import Learned, Method
from manyways.methods.needs import Answers, Need, Prompts
from manyways.methods.needs.base import columns_of
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model, of_kind
from manyways.randomness import mix
from manyways.training.budget import Budget
from manyways.training.run import Run


def _to_be_answered(data: Data) -> str | None:
    if data.has("messages"):
        return "it chooses among prompts, and conversations have none alone. Name them: prompt=…, completion=…."
    if len(data.roles.get("label", data.roles.get("completion", ()))) != 1:
        return (
            "it needs one column of answers, some of them blank, and no column, or several, has such a role. Name it: "
            f'completion="…", or label="…" where answers are to be hidden, with one of {columns_of(data)}.'
        )
    training = as_questions(data).training
    if not training.labelled.all():
        return None
    return "it needs prompts without an answer, and every training row has one. Leave some blank."


SomeAnswers = Need("some-answers", "answers to some of its prompts", _to_be_answered, labelled=True)


@dataclass(frozen=True, kw_only=True)
class ActivePrompts(AskingMethod):
    """Fine-tune on the answers there are, ask for those on which the model disagrees with itself most, fine-tune anew.

    A row whose completion is blank is a prompt to be answered; answers that are the label may also be hidden, and are
    revealed. Several answers to each prompt are sampled from the model of the latest round, before the first from the
    model that it starts from, and prompts are ranked by how much they differ.
    """

    base: Method = field(default_factory=SFT)
    """The method of each round; any that learns from prompts with completions."""
    strategy: Annotated[str, Named(prompt_strategies)] = "answer-entropy"
    """The measure of disagreement: answer-entropy, of short answers; answer-distance, of long ones; or random."""
    rounds: Count = 2
    """Times that questions are asked; after the last a final training follows."""
    samples: Annotated[int, Interval("[2, inf)")] = 5
    """Answers that are sampled to each prompt."""
    among: Count = 512
    """Prompts, drawn at random in each round, whose answers are sampled."""
    temperature: Positive = 1.0
    """Temperature of sampling."""
    longest: Count = 64
    """Tokens of a sampled answer at most."""

    needs: ClassVar = (Prompts, SomeAnswers)
    gives: ClassVar = frozenset({"generate", "embed"})
    takes: ClassVar = frozenset({"generate"})
    requires_model: ClassVar = True
    suggests: ClassVar = ()
    paper: ClassVar = "Diao et al., Active prompting with chain-of-thought for large language models, ACL 2024"
    example: ClassVar = "arithmetic"

    field_trials: ClassVar = {
        "oracle": {"oracle": lambda rows: ["0"] * len(rows)},
        "temperature": {"temperature": 0.05},
        "longest": {"longest": 3},
        "samples": {"samples": 3},
        "among": {"among": 8},
    }

    def __post_init__(self) -> None:
        check_fields(self)
        if Answers not in self.base.needs or "generate" not in self.base.gives:
            raise NeedsError(
                f"{type(self).__name__}.base must be a method that learns to give answers, such as sft; got "
                f"{self.base}."
            )

    @classmethod
    def example_data(cls) -> Data:
        """Sums, whose answers are labels, so that they can be hidden."""
        return as_questions(super().example_data())

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        """With few rows in a batch, and answers of one token, of which some are the same."""
        return cls(base=SFT(batch_size=4), questions=8, rounds=1, samples=4, longest=1)

    def at_random(self) -> Self:
        return replace(self, strategy="random")

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := Method.lacks(self, data, model):
            return reason
        asked = as_questions(data)
        return self.lacks_answers(asked) or self.base.lacks(as_answers(_some_answered(asked)), model)

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        learned = super().learn(as_questions(data), model, budget, seed, run)
        return learned if data.has("label") else replace(learned, data=None)

    def rows_of_round(self, data: Data, known: Data, trained: list[Model]) -> Data:
        return as_answers(super().rows_of_round(data, known, trained))

    def choose(self, known: Data, candidates: NDArray[np.int64], count: int, turn: Turn) -> NDArray[np.int64]:
        model = turn.model or turn.start
        rng = np.random.default_rng(mix(turn.seed, turn.done))
        strategy = ACQUISITIONS.find(self.strategy if model is not None else "random")()
        if len(candidates) > (among := max(self.among, count)):
            candidates = np.sort(rng.choice(candidates, among, replace=False))
        sample = partial(self._sampled, model, known.select(candidates), mix(turn.seed, turn.done) % 2**31)
        pool = Pool(known, candidates, model, turn.start, seed=turn.seed, sample=sample)
        return candidates[strategy.choose(pool, count, rng)]

    def _sampled(self, model: Model | None, rows: Data, seed: int) -> Sequence[Sequence[str]]:
        """Several answers of `model` to the prompt of each of `rows`."""
        speaker = of_kind(LanguageModel, model)
        prompts = [str(text) for text in rows.take(rows.roles["prompt"][0])]
        repeated = [text for text in prompts for _ in range(self.samples)]
        answers = speaker.generate(repeated, longest=self.longest, temperature=self.temperature, seed=seed)
        return [answers[at : at + self.samples] for at in range(0, len(answers), self.samples)]


def as_questions(data: Data) -> Data:
    """`data` whose answers are a label: one that has a text is visible, a blank one is to be asked for."""
    if data.has("label") or not data.has("completion"):
        return data
    (name,) = data.roles["completion"]
    column = data.columns[name]
    values = _texts(column)
    roles = {role: names for role, names in data.roles.items() if role != "completion"} | {"label": (name,)}
    columns = {**data.columns, name: replace(column, kind="text", values=values)}
    return replace(data, columns=columns, roles=roles, visible=~is_missing(values))


def as_answers(known: Data) -> Data:
    """The rows of `known` whose answer is visible, as prompts with completions."""
    (name,) = known.roles["label"]
    column = known.columns[name]
    roles = {role: names for role, names in known.roles.items() if role != "label"} | {"completion": (name,)}
    answered = known.select(known.labelled)
    columns = {**known.columns, name: replace(column, kind="text", values=_texts(column))}
    return replace(answered, columns=columns, roles=roles, allowance=None, meter=None)


def _texts(column: Column) -> NDArray[Any]:
    """The values of `column` as texts, None for those that are blank."""
    values = column.values[np.arange(len(column))]
    lost = is_missing(np.asarray(values))
    out = np.empty(len(values), object)
    out[:] = [
        None if gone or not str(value).strip() else str(value)
        for value, gone in zip(values.tolist(), lost, strict=True)
    ]
    return out


def _some_answered(data: Data) -> Data:
    """`data` as they may be after the first answers."""
    everything = np.ones(len(data.visible), bool)
    return data if data.training.labelled.any() else replace(data, visible=everything)
