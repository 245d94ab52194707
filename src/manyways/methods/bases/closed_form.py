"""Methods whose model is a closed form of its rows, so that a row can be taken out of it again."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.categories import spelling
from manyways.data.data import Data
from manyways.data.encoders.categories import CategoryCode
from manyways.data.encoders.table import TableEncoder
from manyways.data.encoding import InputEncoding
from manyways.data.parts import TRAINING
from manyways.data.specs import Spec
from manyways.data.targets import Target
from manyways.errors import NeedsError
from manyways.methods.bases.feature import FeatureMethod
from manyways.methods.features import Features, plain_features
from manyways.methods.forgetting import forgetting, remade
from manyways.methods.method import Learned
from manyways.models.backbones.raw import WordCounts, plain_backbone
from manyways.models.heads import Head
from manyways.models.model import Model, of_kind
from manyways.models.network import Network
from manyways.models.predictor import Predictor
from manyways.training.budget import Budget
from manyways.training.run import Run

OUTLIERS = "they stood out so far from the others that rounding would show."


class ClosedFormHead(Head):
    """A head that keeps what it needs of its rows to take any of them out again.

    Features float32 [rows, width]; labels class codes int64 [rows], or numbers float64 [rows] in their own unit.
    """

    @abstractmethod
    def add(self, features: Tensor, labels: Tensor) -> None:
        """Learn from the first rows."""

    @abstractmethod
    def remove(self, features: Tensor, labels: Tensor, left: NDArray[np.int64]) -> Self:
        """The head without some rows, which it learned from; `left` says where those that stay stand among its own.

        It may be this one, changed.
        """

    @abstractmethod
    def select(self, kept: Tensor) -> Self:
        """The head for the features at the positions `kept` alone."""

    @abstractmethod
    def solve(self, target: Target) -> None:
        """Make of what is kept what `forward` says; numbers are said standardised, as `target` has them."""

    def doubt(self) -> str | None:
        """The reason why what `remove` left is not near enough to what the other rows alone give; None where it is."""
        return None


@dataclass(frozen=True, kw_only=True)
class ClosedForm(FeatureMethod):
    """A method that writes down what it has learned in a `ClosedFormHead`, over the features of a model or raw inputs.

    Of raw inputs nothing is learned but which categories occur: a row leaves nothing behind in an encoder.
    """

    counts_words: ClassVar[bool] = False
    """True if raw text is the number of its words; else which of them are there, in fewer dimensions."""

    gives: ClassVar = frozenset({"classify", "regress", "embed"})
    forgets: ClassVar = "1e-8"

    @abstractmethod
    def make_head(self, specs: Mapping[str, Spec] | None, width: int, target: Target) -> ClosedFormHead:
        """An empty head for `width` features: those of raw inputs like `specs`, or (None) those of a model."""

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        target = Target.fit(data)
        frozen = plain_features(data, model, counts=self.counts_words, backbone=self.backbone, device=run.pick_device())
        specs = None if frozen.parents else frozen.encoding.specs
        head = self.make_head(specs, frozen.network.width, target)
        used = shaping(data)
        rows = data.select(used)
        head.add(torch.from_numpy(frozen.alone(rows)), _labels(rows, target))
        head.solve(target)
        frozen.network.head = head
        made = Predictor(network=frozen.network, inputs=frozen.encoding, target=target)
        return Learned(made, used, frozen.parents)

    def forget(
        self, model: Model, data: Data, rows: NDArray[np.bool_], *, budget: Budget | str | int | None = None,
        seed: int | None = None, run: Run | None = None,
    ) -> Model:  # fmt: skip
        before = model.lineage.parents
        task = forgetting(
            self, model, data, rows, shaping(data), own=model.lineage.rows, before=before, budget=budget, seed=seed
        )
        predictor, target = of_kind(Predictor, model), Target.fit(task.rest)
        self.check(task.rest)
        network, inputs = predictor.copy_of_network(), predictor.inputs
        if self.mixes_raw(inputs):
            raise NeedsError(
                f"{self} cannot forget faster than by training anew: beside the features of a checkpoint it has raw "
                "numbers and categories, whose encoding is of all rows. Train without them: fit(data.select(~rows))."
            )
        head = ClosedFormHead.taken_from(network)
        assert predictor.target is not None
        gone = torch.from_numpy(Features(network, inputs, uses_all_rows=False).alone(task.gone))
        head = head.remove(gone, _labels(task.gone, predictor.target), task.left)
        if not before:
            inputs, kept = without_categories(inputs, InputEncoding.fit(task.rest, plain=True))
            if kept is not None:
                network, head = _raw_network(network, inputs), head.select(kept)
        head.solve(target)
        if reason := head.doubt():
            raise NeedsError(f"{self} cannot forget these rows to within {self.forgets}: {reason} Train without them.")
        network.head = head
        predictor = Predictor(network=network, inputs=inputs, target=target)
        learned = Learned(predictor, shaping(task.rest), before)
        return remade(self, learned, task, model, run)


def without_categories(old: InputEncoding, new: InputEncoding) -> tuple[InputEncoding, Tensor | None]:
    """`new`, of fewer rows than `old`, and which features of `old` are its own; None where they are the same.

    Raises:
        NeedsError: So few categories are left that they no longer share features.
    """
    place, kept = 0, []
    for name, encoder in old.encoders.items():
        codes: tuple[Any, ...] = encoder.codes if isinstance(encoder, TableEncoder) else (encoder,)
        others = getattr(new.encoders[name], "codes", codes)
        for code, other in zip(codes, others, strict=True):
            width = code.width if isinstance(encoder, TableEncoder) else plain_backbone(encoder.spec).width
            stay = np.ones(width, bool)
            if isinstance(code, CategoryCode):
                if other.buckets != code.buckets:
                    raise NeedsError(
                        f"Without these rows the {len(other.known):,} categories of {code.column!r} are so few that "
                        "they are told apart by other features than the model has counted. Train without them."
                    )
                left = set(map(spelling, other.categories))
                stay[: len(code.categories)] = [spelling(each) in left for each in code.categories]
            kept.append(place + np.flatnonzero(stay))
            place += width
    positions = np.concatenate(kept)
    return new, None if len(positions) == place else torch.from_numpy(positions)


def _raw_network(network: Network, inputs: InputEncoding) -> Network:
    counts = any(isinstance(part, WordCounts) for part in network.backbones)
    return Network({name: plain_backbone(spec, counts=counts) for name, spec in inputs.specs.items()}).eval()


def shaping(data: Data) -> NDArray[np.bool_]:
    """True for each row of `data` that is learned from: the labelled training rows."""
    used: NDArray[np.bool_] = (data.part[data.rows] == TRAINING) & data.labelled
    return used


def _labels(rows: Data, target: Target) -> Tensor:
    if target.classification:
        return torch.from_numpy(target.encode(rows))
    return torch.from_numpy(np.asarray(rows.take(target.name), np.float64))
