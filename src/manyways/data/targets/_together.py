"""Several label columns of a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.checked_json import checked
from manyways.data.data import Data
from manyways.data.phrases import listed_names
from manyways.data.targets.base import Recipe, Target
from manyways.data.views.joint import moved_together
from manyways.errors import DataError, ModelError, ParameterError

if TYPE_CHECKING:
    from manyways.data.encoders.base import CheckpointTokenizer
    from manyways.data.encoding import InputEncoding
    from manyways.data.views import Views


@dataclass(frozen=True)
class Targets:
    """Several label columns of any kinds, each of which rows may lack: what they agree on, and what is each one's."""

    members: tuple[Target, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in order."""
        return tuple(target.name for target in self.members)

    @property
    def vectors(self) -> tuple[Target, ...]:
        """Those that have one vector of outputs a row: classes, numbers, sets."""
        return tuple(target for target in self.members if not target.structured)

    @property
    def width(self) -> int:
        """Outputs of all labels with one vector of outputs a row."""
        return sum(target.width for target in self.vectors)

    def of(self, label: str) -> Target:
        """The target of `label`. Raises ModelError where there is none."""
        for target in self.members:
            if target.name == label:
                return target
        raise ModelError(f"The model predicts {', '.join(self.names)}; got {label!r}.")

    @staticmethod
    def fit(data: Data) -> "Targets":
        """The targets of the labels of `data`. Raises DataError as `Target.fit` does, for any of them."""
        return Targets(tuple(Target.fit(data.with_label(label.name)) for label in data.labels))

    def recipe(self, backbone: str = "auto") -> Recipe:
        """Settings that suit them all: the smallest batches, the longest average, the backbone that any asks for.

        Args:
            backbone: The backbone that is named; auto: none.

        Raises:
            ParameterError: Two ask for different backbones, and none is named.
        """
        recipes = {target.name: target.recipe for target in self.members}
        named = {name: recipe.backbone for name, recipe in recipes.items() if recipe.backbone != "auto"}
        if backbone == "auto" and len(set(named.values())) > 1:
            said = " and ".join(f"{name!r} {each}" for name, each in named.items())
            raise ParameterError(f"The labels ask for different backbones: {said}. Name one for all: backbone=….")
        averages = [recipe.average for recipe in recipes.values() if recipe.average]
        samplers = [recipe.sampler for recipe in recipes.values() if recipe.sampler != "epochs"]
        return Recipe(
            batch_size=min(recipe.batch_size for recipe in recipes.values()),
            sampler=next(iter(samplers), "epochs"),
            average=max(averages, default=None),
            backbone=next(iter(named.values()), "auto") if backbone == "auto" else backbone,
        )

    def encoding(self, data: Data, tokenizers: "Mapping[str, CheckpointTokenizer] | None" = None) -> "InputEncoding":
        """The encoding of the inputs of `data` from which all are predicted: that of a label which has its own.

        Raises:
            DataError: Two labels have encodings of their own, which differ; or as `Target.encoding`.
        """
        asking = [target for target in self.members if target.encodes_inputs]
        first, *others = [target.encoding(data, tokenizers) for target in asking or self.members[:1]]
        for target, other in zip(asking[1:], others, strict=True):
            if other.to_json() != first.to_json():
                raise DataError(
                    f"The labels {asking[0].name!r} ({asking[0].kind}) and {target.name!r} ({target.kind}) read the "
                    f"inputs {listed_names(first.encoders)} in ways of their own, which are not the same, so that one "
                    "network cannot learn both. Learn each alone: supervised."
                )
        return first

    def encode(self, data: Data) -> dict[str, NDArray[Any]]:
        """The codes of each label, as `Target.encode` gives them; unlabelled where one is missing or hidden."""
        codes: dict[str, NDArray[Any]] = {}
        for target in self.members:
            there = target.name in data.roles.get("label", ())
            codes[target.name] = target.encode(data.with_label(target.name)) if there else target.unlabelled(len(data))
        return codes

    def seen(
        self,
        views: "Views",
        name: str,
        inputs: Mapping[str, Tensor],
        labels: Mapping[str, Tensor],
        rng: torch.Generator,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:  # fmt: skip
        """The view `name` of a batch: its inputs, and the labels, of which those in space move with them.

        Where labels of different kinds would each move in a way of its own, as boxes and masks do, nothing moves: the
        view changes what else it does, such as colours.
        """
        moving = [target for target in self.members if type(target).seen is not Target.seen]
        if not moving:
            return views.see(name, inputs, rng), dict(labels)
        if len(moving) > 1 and all(target.lies_in == "picture" for target in moving):
            shapes = {target.name: labels[target.name] for target in moving}
            upright = all(getattr(target, "upright", True) for target in moving)
            seen, shapes = moved_together(views, name, inputs, shapes, rng, upright=upright)
            return seen, {**labels, **shapes}
        state = rng.get_state()
        changed: dict[str, Tensor] = {}
        moved = dict(labels)
        for target in moving if len({type(target).seen for target in moving}) == 1 else ():
            rng.set_state(state)  # the same view for each
            seen, moved[target.name] = target.seen(views, name, inputs, labels[target.name], rng)
            if changed and any(not torch.equal(seen[key], changed[key]) for key in seen):
                changed = {}
                break
            changed = seen
        if changed:
            return changed, moved
        rng.set_state(state)
        still = next((each for each in moving if type(each).unmoved is not Target.unmoved), moving[0])
        return still.unmoved(views, name, inputs, rng), dict(labels)

    def to_json(self) -> list[dict[str, Any]]:
        """All that `from_json` needs."""
        return [target.to_json() for target in self.members]

    @staticmethod
    def from_json(saved: Sequence[Mapping[str, Any]]) -> "Targets":
        """The targets that `to_json` wrote. Raises ModelError for anything else."""
        return Targets(tuple(map(Target.from_json, checked(saved, list, "the targets", ModelError))))


def record(columns: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Columns [rows] as one structured array with a field for each."""
    count = len(next(iter(columns.values())))
    rows = np.empty(count, [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        rows[name] = column
    return rows
