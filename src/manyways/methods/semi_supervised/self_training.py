"""Self-training: what the model is sure of becomes a label."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.data.targets import StructuredTarget
from manyways.methods.bases._reward_names import check_reward, content_of
from manyways.methods.bases.relabelling import RelabellingMethod, Turn, hidden
from manyways.methods.fields import Count, Finite, Interval, Positive, refuse_others
from manyways.methods.method import Ablations, Learned, Method
from manyways.methods.needs import Answers, PartlyAnswered
from manyways.methods.recommendations import Recommendation
from manyways.methods.semi_supervised._answers import Asking, answered_part, with_answers, without_answer
from manyways.methods.starts import last
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model, of_kind
from manyways.randomness import mix
from manyways.training.budget import Budget
from manyways.training.run import Run

ANSWERS = ("reward", "least_reward", "samples", "longest", "temperature")
"""The fields that are of answers."""


@dataclass(frozen=True, kw_only=True)
class SelfTraining(RelabellingMethod):
    """Train on the labels, label the rows that the model is sure of, train anew on both; several rounds.

    Each round starts from the same model as the first, so that early mistakes are not carried on in the weights, and
    labels every row afresh.

    Around `sft` prompts without a completion are what has no label: the model answers each of them several times, and
    the best answer is learned from where the model is sure of it (the mean probability of its tokens, a geometric one),
    or where a reward says that it is good. The lineage states which rows hold such answers.
    """

    threshold: Annotated[float, Interval("[0, 1)")] = 0.95
    """Least confidence with which a row is given its guess as a label."""
    rounds: Count = 3
    """Trainings in all; the first on the given labels alone."""
    reward: str | Callable[..., Any] | Model | None = None
    """Of answers: a function of prompts, completions and columns, as "package.module:function" too; a model that
    scores, or its folder. None: the model's own confidence, which must reach `threshold`."""
    least_reward: Finite = 1.0
    """Least reward with which an answer is learned from."""
    samples: Count = 4
    """Answers to each prompt, of which the best is taken."""
    longest: Count = 128
    """The most tokens of an answer; longer ones are none."""
    temperature: Positive = 0.7
    """Temperature at which answers are sampled."""
    hand_on: bool = False
    """Hand on to the next stage of a chain the guesses that the last model is sure of, as labels."""

    recommends: ClassVar = {
        "any": Recommendation("learns again from its own surest guesses, with any method inside", 36),
    }
    paper: ClassVar = (
        "Yarowsky, Unsupervised word sense disambiguation, ACL 1995; Lee, Pseudo-label (2013); answers by a reward: "
        "Zelikman et al., STaR, NeurIPS 2022"
    )

    field_trials: ClassVar = {
        "hand_on": "It changes what the next stage of a chain is shown, not the model.",
        "reward": {"reward": "json:dumps"},  # it is refused where there are labels, as the others of answers are
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.of_answers:
            refuse_others(self, **dict.fromkeys(ANSWERS, "is of answers to prompts, which base=sft learns"))
            return
        check_reward(self.reward)
        # What it needs and gives is what its base does: these stand on the object, in place of the class's.
        for name, value in (("needs", (PartlyAnswered,)), ("gives", self.base.gives), ("takes", self.base.takes)):
            object.__setattr__(self, name, value)

    @property
    def of_answers(self) -> bool:
        """True if what it labels are prompts, and a label is an answer."""
        return Answers in last(self.base).needs

    def can_teach(self, base: Method) -> bool:
        return Answers in last(base).needs or super().can_teach(base)

    def to_json(self) -> dict[str, Any]:
        content = content_of(self.reward)  # a folder may hold another model tomorrow
        return super().to_json() | ({"reward_content": content} if content else {})

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if not self.of_answers or (reason := self.lacks_of(data)):
            return reason if self.of_answers else super().lacks(data, model)
        return self.base.lacks(answered_part(data), model)

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        """With guesses of which a model of a few steps is sure enough."""
        return cls(threshold=0.2)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its guesses": (replace(self, threshold=1 - 1e-12), data)}

    def trainings(self, data: Data | None = None) -> int:
        return self.rounds

    def rows_of_round(self, data: Data, known: Data, trained: list[Model]) -> Data:
        if self.of_answers:
            return answered_part(known)
        return self._with_guesses(known, trained[-1]) if trained else known

    def relabelled(self, data: Data, known: Data, turn: Turn) -> Data:
        if not self.of_answers or turn.model is None:
            return known
        asking = Asking(
            self.samples, self.longest, self.temperature, self.reward,
            self.threshold if self.reward is None else self.least_reward,
        )  # fmt: skip
        model = of_kind(LanguageModel, turn.model)
        return with_answers(data, model, asking, turn.run.pick_device(), mix(turn.seed, turn.done, 3))

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        learned = super().learn(data, model, budget, seed, run)
        if not self.of_answers or learned.data is None:
            return learned
        asked, left = without_answer(data), set(without_answer(learned.data).tolist())
        guesses = [int(data.rows[row]) for row in asked if row not in left]
        facts = {"asked": len(asked), "answered": len(guesses), "guesses": guesses}
        return replace(learned, facts={**learned.facts, **facts}, data=None)

    def rows_used(self, data: Data, known: Data) -> NDArray[np.bool_]:
        # The guesses of earlier rounds shaped the last one, and through them all rows that were guessed at.
        return np.asarray(data.part[data.rows] == TRAINING)

    def left(self, known: Data, model: Model) -> Data:
        if self.of_answers:
            return known
        return self._with_guesses(known, model) if self.hand_on else known

    def hands_on(self) -> bool:
        return self.hand_on or super().hands_on()

    def _with_guesses(self, known: Data, model: Model) -> Data:
        rows, target = hidden(known), model.label_target
        if not len(rows):
            return known
        if isinstance(target, StructuredTarget):
            predicted = model.predictions(known.select(rows))
            sure = np.array([each.confidence >= self.threshold for each in predicted])
            codes = [each.code for each, is_sure in zip(predicted, sure, strict=True) if is_sure]
            guesses = target.decode_rows(codes, known.select(rows[sure]))
        else:
            probabilities = model.probabilities(known.select(rows))
            # Of a label that answers several questions every answer must be sure.
            sure = target.distributions(probabilities).max(axis=2).min(axis=1) >= self.threshold
            guesses = target.decode(target.most_probable(probabilities[sure]))
        return known.with_label_values(rows[sure], guesses, guessed=True) if sure.any() else known
