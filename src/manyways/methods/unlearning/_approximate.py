"""Approximate ways to forget: they move a model's weights, and prove nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.splits import parts_of
from manyways.methods.bases.gradient import Batch, GradientMethod
from manyways.methods.fields import Count, NotNegative, Positive
from manyways.methods.forgetting import check_mask
from manyways.methods.method import Method
from manyways.methods.needs import Examples, Forget, Need
from manyways.methods.unlearning._learners import UnlearnerT
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model
from manyways.models.predictor import Predictor
from manyways.training.budget import Budget
from manyways.training.run import Run

PASSES, FEWEST = 3, 50
"""Times that every row to be forgotten is seen where no budget is named; steps at least."""


@dataclass(frozen=True, kw_only=True)
class OfMarkedRows(Method):
    """Changes a model by the rows that are marked as to be forgotten, and proves nothing."""

    requires_model: ClassVar = True
    suggests: ClassVar = ()
    approximate: ClassVar = True

    @classmethod
    def example_data(cls) -> Data:
        """Digits, of which a fifth are to be forgotten."""
        data = super().example_data()
        return data.with_forgotten(parts_of(data.ids, 5, 0) == 0)

    def forget(
        self, model: Model, data: Data, rows: NDArray[np.bool_], *, budget: Budget | str | int | None = None,
        seed: int | None = None, run: Run | None = None,
    ) -> Model:  # fmt: skip
        """As `fit`, with `rows` of `data` as those to be forgotten. They stay in the lineage: this is no proof."""
        check_mask(data, rows)
        return self.fit(data.with_forgotten(rows), model, budget=budget, seed=seed or 0, run=run)


@dataclass(frozen=True, kw_only=True)
class Approximate(OfMarkedRows, GradientMethod[UnlearnerT], Generic[UnlearnerT]):
    """Steps that make a model worse on the rows marked to be forgotten, and keep it as it is on the others.

    The rows are still in the lineage of what is made: nothing proves that they left no trace.
    """

    batch_size: Count = 32
    """Rows to be forgotten in a batch, and rows to be kept."""
    learning_rate: Positive = 1e-4
    """The highest learning rate of AdamW, reached after the warm-up."""
    weight_decay: NotNegative = 0.0
    """Decoupled weight decay of the matrices."""

    needs: ClassVar[tuple[Need, ...]] = (Examples, Forget)
    uses: ClassVar = ("weight",)
    gives: ClassVar = frozenset({"classify", "regress", "embed", "generate"})
    takes: ClassVar = frozenset({"classify", "regress", "generate"})

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=8)

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        return super().lacks(data, model) or (None if model is None else unfit(self.method_name(), data, model))

    def default_budget(self, data: Data) -> Budget:
        marked = int(data.training.forgotten.sum())
        return Budget(max(FEWEST, PASSES * marked // self.batch_size), "steps")

    def draw(self, learner: UnlearnerT, step: int, rng: torch.Generator) -> Batch:
        forget = learner.pick(learner.forget, self.batch_size, step)
        retain = learner.pick(learner.retain, self.batch_size, step, stream=1)
        return {
            "forget": learner.batch(forget), "retain": learner.batch(retain), "rows": torch.from_numpy(forget),
        }  # fmt: skip

    def examples_per_step(self, learner: UnlearnerT) -> float:
        return 2 * self.batch_size

    def make_model(self, learner: UnlearnerT) -> Model:
        return learner.model()

    def rows_reached(self, learner: UnlearnerT, steps: int) -> NDArray[np.bool_]:
        used: NDArray[np.bool_] = learner.used
        return used

    def facts(self, learner: UnlearnerT, steps: int) -> dict[str, Any]:
        return no_proof(len(learner.forget))


def no_proof(rows: int) -> dict[str, Any]:
    """The facts in the lineage of a model that forgot `rows` approximately."""
    return {"forgotten": rows, "proof": False}


def unfit(name: str, data: Data, model: Model) -> str | None:
    """The reason why gradient steps cannot move `model` away from rows of `data`, with what to do; None if they can."""
    title = model.lineage.title
    if isinstance(model, LanguageModel):
        return None if data.has("text") or data.has("messages") or data.has("completion") else (
            'a language model forgets texts or answers. Name their columns: text="…", or prompt="…" and completion="…".'
        )  # fmt: skip
    if not isinstance(model, Predictor) or not any(True for _ in model.network.parameters()):
        return (
            f"{name} moves weights by their gradients, and {title} has none that it could move. Ask the method that "
            "made it to forget."
        )
    if not (data.has("label") and (data.training.labelled & data.training.forgotten).any()):
        return "no row that is to be forgotten has a label, so the model has not learned it. Mark others."
    return None
