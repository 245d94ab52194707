"""Merging: one model out of several that were trained from one start, without data and without training."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from manyways.data.data import Data
from manyways.data.storage import cache_folder
from manyways.errors import ModelError, NeedsError, ParameterError
from manyways.methods.fields import Finite, Interval
from manyways.methods.merging import _formulas as formulas
from manyways.methods.merging._folders import read_merged, write_checkpoint
from manyways.methods.merging._ingredients import Ingredient, check_alike, open_ingredient
from manyways.methods.merging._streaming import stream
from manyways.methods.method import DEFAULT_BUDGET, Ablations, Learned, Method
from manyways.models.lineage import machine
from manyways.models.model import Model
from manyways.models.saving import fingerprint, write_folder
from manyways.training.budget import Budget
from manyways.training.run import Run

How = Literal["linear", "slerp", "task_arithmetic", "ties", "dare"]
ON_A_BASE = ("task_arithmetic", "ties", "dare")
"""These add up what the models learned on top of a base; the others lie between the models."""
TRIMMED = ("ties", "dare")
MEANS = ("linear", "slerp", "ties")
"""In these the weights are those of a mean."""


@dataclass(frozen=True, kw_only=True)
class Merge(Method):
    """Make one model of several that were trained from one start: no data, no training.

    Folders are read and written one tensor at a time, and computed in float32 or better. What is no weight is the
    first model's: the types of numbers, labels, configuration, tokenizer, and counters. Other whole numbers must be
    the same in all. `fit` gives the model, which is float32 in memory and of the first one's type again when it is
    saved, if that has one; `manyways.merge_folders` writes a folder, however large.
    """

    models: tuple[str, ...] = ()
    """Folders of the models: saved by Manyways, or checkpoints of transformers in safetensors."""
    how: How = "linear"
    """linear: the weighted mean (model soup); slerp: a point on the arc between two. On a base, the sum of what each
    learned: task_arithmetic; ties: trimmed, with one sign for each number; dare: with numbers dropped at random."""
    base: str | None = None
    """Folder of the model that all were trained from, for task_arithmetic, ties and dare."""
    weights: tuple[Finite, ...] = ()
    """A weight per model; none given: 1 for each. A mean is divided by their sum; with slerp, the second's share is the
    place on the arc. On a base without a mean they may be negative, which takes away what a model learned."""
    density: Annotated[float, Interval("(0, 1]")] = 0.2
    """Share of each tensor's numbers that is kept: with ties the largest (in the paper of all tensors together), with
    dare any, at random."""
    scale: Finite = 1.0
    """Multiplies what is added to the base (λ)."""

    needs: ClassVar = ()
    gives: ClassVar = frozenset({"classify", "regress", "embed", "generate", "fill", "score"})
    suggests: ClassVar = ()
    written: ClassVar = 'merge(models=("model-a", "model-b"))'
    paper: ClassVar = (
        "Wortsman et al., Model soups, ICML 2022; Shoemake, SIGGRAPH 1985; Ilharco et al., Editing models with task "
        "arithmetic, ICLR 2023; Yadav et al., TIES-Merging, NeurIPS 2023; Yu et al., DARE, ICML 2024"
    )

    field_trials: ClassVar = {
        "models": {"models": ("no-such-folder", "no-other-folder")},
        "weights": {"weights": (1.0, 2.0)},
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", _as_texts("models", self.models))
        object.__setattr__(self, "base", _as_text("base", self.base))
        super().__post_init__()
        self._check_together()

    def _check_together(self) -> None:
        """Raise ParameterError for fields that do not go together."""
        if self.base is not None and self.how not in ON_A_BASE:
            raise ParameterError(f"Merge.base is for {', '.join(ON_A_BASE)}; got {self.base!r} with {self.how!r}.")
        if self.base is None and self.how in ON_A_BASE and self.models:
            raise ParameterError(
                f"Merge.base must be the folder of the model that all were trained from; got None with {self.how!r}."
            )
        if self.density != Merge.density and self.how not in TRIMMED:
            raise ParameterError(f"Merge.density is for {' and '.join(TRIMMED)}; got {self.density} with {self.how!r}.")
        if self.scale != Merge.scale and self.how not in ON_A_BASE:
            raise ParameterError(f"Merge.scale is for {', '.join(ON_A_BASE)}; got {self.scale} with {self.how!r}.")
        if self.models and self.how == "slerp" and len(self.models) != 2:
            raise ParameterError(
                f"Merge.models must be two folders, the ends of the arc, with 'slerp'; got {len(self.models)}. Merge "
                "more with how='linear'."
            )
        if self.weights and len(self.weights) != len(self.models):
            raise ParameterError(
                f"Merge.weights must be one number per model; got {len(self.weights)} for {len(self.models)} models."
            )
        if self.how in MEANS and self.weights and (min(self.weights) < 0 or sum(self.weights) == 0):
            raise ParameterError(
                f"Merge.weights of a mean must be 0 or more, and not all 0; got {self.weights!r} with {self.how!r}."
            )

    def ablations(self, data: Data) -> Ablations:
        return {"the last of its models": (replace(self, weights=(*[1.0] * (len(self.models) - 1), 0.0)), data)}

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if not self.models:
            return f"it merges saved models, and none is named. Name their folders: {self.written}."
        if len(self.models) < 2 and self.base is None:
            return "one model alone is no merge. Name another folder in models."
        if model is not None:
            return "it starts from the folders that it names. Save the model, and name its folder in models."
        return super().lacks(data, model)

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        ingredients = self.ingredients()
        lineages = tuple(each.lineage() for each in ingredients)
        # A model in memory is a copy of what was read, so that the folder need not stay.
        with tempfile.TemporaryDirectory(dir=cache_folder(), ignore_cleanup_errors=True) as place:
            self.write(ingredients, Path(place), seed)
            made = read_merged(Path(place), ingredients[0], self.abilities(ingredients))
        return Learned(made, np.zeros(len(data), bool), lineages)

    def as_model(self, learned: Learned, data: Data, budget: Budget, seed: int) -> Model:
        # In a chain, or to be scored, it may be given data, but it learns nothing from them.
        nothing = Data.nothing()
        of_nothing = replace(learned, rows=np.zeros(len(nothing), bool))
        return replace(super().as_model(of_nothing, nothing, budget, seed), gives=learned.model.gives)

    def ingredients(self) -> list[Ingredient]:
        """The models, then the base where there is one.

        Raises:
            ModelError: They cannot be merged.
        """
        opened = [open_ingredient(folder) for folder in (*self.models, *([self.base] if self.base else []))]
        check_alike(opened)
        self.abilities(opened)
        return opened

    def abilities(self, ingredients: Sequence[Ingredient]) -> frozenset[str]:
        """The abilities of all models.

        Raises:
            ModelError: One gives something that cannot be merged.
        """
        stated = {each: each.saved["gives"] for each in ingredients[: len(self.models)] if each.saved}
        for each, gives in stated.items():
            if stray := sorted({*gives} - self.gives):
                raise ModelError(
                    f"{each.path} gives {', '.join(stray)}, whose numbers mean something else in every model. Models "
                    f"that can be merged give {', '.join(sorted(self.gives))}."
                )
        return frozenset.intersection(*map(frozenset, stated.values())) if stated else frozenset()

    def write(self, ingredients: Sequence[Ingredient], out: Path, seed: int) -> dict[str, Any]:
        """Write the merged weights and the files beside them into `out`; see `Model.write` for what it gives."""
        stream(ingredients, partial(self._recipe, seed), out)
        saved = ingredients[0].saved or {}
        return {
            name: value for name, value in saved.items() if name not in ("lineage", "files", "gives", "kind", "format")
        }

    def _recipe(
        self, seed: int, name: str, given: list[Tensor], exact: torch.dtype
    ) -> Callable[[list[Tensor]], Tensor]:
        """The function that merges blocks of a tensor, `given` those of the models, then of the base if any."""
        count = len(self.models)
        weights = self.weights or (1.0,) * count
        if self.how == "linear":
            return lambda block: formulas.linear(block, weights)
        if self.how == "slerp":
            ends = formulas.arc(given[0], given[1], weights[1] / sum(weights), exact)
            return lambda block: formulas.weighted_sum(block, ends)
        if self.how == "task_arithmetic":
            return lambda block: formulas.task_arithmetic(block[-1], block[:-1], weights, self.scale)
        if self.how == "ties":
            least = [formulas.threshold(given[-1], tensor, self.density, exact) for tensor in given[:-1]]
            return lambda block: formulas.ties(block[-1], block[:-1], weights, least, self.scale)
        numbers = [formulas.randomness(seed, name, at) for at in range(count)]

        def drop_and_rescale(block: list[Tensor]) -> Tensor:
            kept = [formulas.random_mask(each, len(block[0]), self.density) for each in numbers]
            return formulas.dare(block[-1], block[:-1], weights, kept, self.density, self.scale)

        return drop_and_rescale

    def to_json(self) -> dict[str, Any]:
        # A folder may hold another model tomorrow, and what was merged of this one must not be taken for it.
        folders = (*self.models, *([self.base] if self.base else []))
        return {**super().to_json(), "contents": [fingerprint(Path(folder)) for folder in folders]}

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        from manyways.methods.supervised.supervised import Supervised
        from manyways.methods.transfer.fine_tune import FineTune

        start = Supervised(size=0.5).fit(data, budget=4)
        models = [FineTune().fit(data, start, budget=4, seed=seed) for seed in (1, 2)]
        base, *tuned = [str(model.save(folder / str(at))) for at, model in enumerate([start, *models])]
        return cls(models=tuple(tuned), base=base, how="dare", density=0.5, scale=0.5)


def merge_folders(
    models: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    how: How = "linear",
    base: str | os.PathLike[str] | None = None,
    weights: Sequence[float] = (),
    density: float = Merge.density,
    scale: float = Merge.scale,
    seed: int = 0,
) -> Path:
    """Merge the models in the folders `models` into the folder `out`, as `Merge`, holding a tensor of each at a time.

    Of models that Manyways saved it makes one that `manyways.load` loads, with their lineage; of checkpoints of
    transformers it makes such a checkpoint, in as many files as the first has, with its configuration and tokenizer.

    Args:
        models: Folders of the models.
        out: Folder to write.
        how: Way of merging, as for `Merge`.
        base: Folder of the model that all were trained from, for ways on a base.
        weights: A weight per model; by default 1 for each.
        density: Share of each tensor's parameters that is kept, for ties and dare.
        scale: Factor of what is added to the base.
        seed: Seed of the parameters that dare drops.

    Returns:
        The folder that was written.

    Raises:
        ParameterError: The fields do not go together.
        NeedsError: The models cannot be merged that way.
        ModelError: The folders do not go together, are damaged, or cannot be written.
    """
    method = Merge(
        models=_as_texts("models", models),
        how=how,
        base=_as_text("base", base),
        weights=tuple(weights),
        density=density,
        scale=scale,
    )
    folder, nothing = Path(out), Data.nothing()
    if reason := method.lacks(nothing):
        raise NeedsError(f"{method} cannot be carried out: {reason}")
    ingredients = method.ingredients()
    parents = tuple(each.lineage() for each in ingredients)
    write = partial(method.write, ingredients, seed=seed)
    saved = ingredients[0].saved
    if saved is None:
        return write_checkpoint(folder, write)
    begun = method.lineage(nothing, DEFAULT_BUDGET, seed)
    lineage = replace(begun, parents=parents, machine=machine(Run().pick_device()))
    return write_folder(folder, saved["kind"], method.abilities(ingredients), lineage, write)


def _as_texts(field: str, given: Any) -> Any:
    """A list or tuple of folders as a tuple of text; anything else as it is, to be refused by its type."""
    if not isinstance(given, list | tuple):
        return given
    return tuple(_as_text(f"{field}[{at}]", each) for at, each in enumerate(given))


def _as_text(field: str, given: Any) -> Any:
    if isinstance(given, Model):
        raise ParameterError(
            f"Merge.{field} must be the folder of a saved model; got a model in memory, {given.lineage.title}. Save "
            "it, and give its folder: model.save('model-a')."
        )
    return os.fspath(given) if isinstance(given, os.PathLike) else given
