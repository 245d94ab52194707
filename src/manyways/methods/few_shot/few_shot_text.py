"""SetFit: a sentence encoder learns from pairs of few labelled rows, and a linear model from what it then embeds."""

import copy
from dataclasses import dataclass
from math import ceil
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cosine_similarity, mse_loss, normalize

from manyways.data.data import Data
from manyways.data.storage import chunks_of
from manyways.errors import NeedsError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import PredictingMethod
from manyways.methods.fields import Count, Positive
from manyways.methods.needs import Classes, Input
from manyways.methods.recommendations import Recommendation
from manyways.models.heads import LinearHead
from manyways.models.model import Model
from manyways.models.network import Network, is_checkpoint
from manyways.models.predictor import Predictor
from manyways.randomness import epoch_positions, mix
from manyways.training.budget import Budget
from manyways.training.learner import LabelledLearner
from manyways.training.steps import ParameterGroup

EMBEDDED_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class FewShotText(PredictingMethod[LabelledLearner]):
    """Tune a sentence encoder on pairs of few labelled texts, then fit logistic regression on its embeddings (SetFit).

    Rows of a class are drawn together and those of different classes apart: a few rows make many pairs. It needs a
    pretrained encoder, `backbone=`, or a model that embeds.
    """

    batch_size: Count = 16
    """Pairs in a batch."""
    learning_rate: Positive = 5e-5
    """The highest learning rate of the encoder; the paper takes 2e-5, for encoders five times as large."""
    loss_type: Literal["contrastive", "cosine"] = "contrastive"
    """Loss: contrastive picks the rows of a class out of all rows of a batch (supervised contrastive, Khosla et al.
    2020); cosine draws the similarity of a pair to 1 in a class and to 0 between classes (the paper's)."""
    temperature: Positive = 0.05
    """Divides the similarities in the contrastive loss."""
    pairs: Literal["oversampling", "unique"] = "oversampling"
    """Pairs of the cosine loss: as many of one class as of two (oversampling), or any two rows, each pair once before
    any comes again (unique), of which few are of one class where there are many classes."""
    iterations: Count = 20
    """Pairs of one class, and as many of two for the cosine loss, for each labelled row: the budget where none is
    given."""
    penalty: Positive = 0.1
    """L2 penalty of the logistic regression, the inverse of scikit-learn's C, on embeddings of length 1."""

    needs: ClassVar = (Input, Classes)
    gives: ClassVar = frozenset({"classify", "embed"})
    takes: ClassVar = frozenset({"embed"})
    requires_model: ClassVar = True
    suggests: ClassVar = ()
    recommends: ClassVar = {
        "text": Recommendation("a pretrained encoder tuned on pairs of the labelled texts, then a linear model", 6)
    }
    paper: ClassVar = "Tunstall et al., Efficient few-shot learning without prompts (2022)"

    field_trials: ClassVar = {
        "iterations": "It is the budget where none is given, and a trial gives one.",
        "pairs": {"loss_type": "cosine"},
    }

    def needs_start(self) -> bool:
        return not is_checkpoint(self.backbone)

    def default_budget(self, data: Data) -> Budget:
        labelled = int(data.training.labelled.sum())
        pairs = self.iterations * labelled * (1 if self.loss_type == "contrastive" else 2)
        return Budget(max(1, ceil(pairs / self.batch_size)), "steps")

    def begin(self, data: Data, model: Model | None, seed: int) -> LabelledLearner:
        target = self.make_target(data, model)
        network, encoding, _ = self.start_backbones(data, model)
        network.head = None
        learner = self.make_learner(network, data, encoding, target, seed)
        if len(np.unique(learner.labels.numpy()[learner.labelled])) < 2:
            raise NeedsError(
                f"FewShotText learns from rows of two classes at least, and all {len(learner.labelled)} labelled rows "
                f"of {data.name} are of one. Label a row of another class."
            )
        return learner

    def parameter_groups(self, learner: LabelledLearner) -> list[ParameterGroup]:
        return [ParameterGroup(list(learner.network.parameters()), self.learning_rate)]

    def draw(self, learner: LabelledLearner, step: int, rng: torch.Generator) -> Batch:
        labels, seed = learner.labels.numpy()[learner.labelled], mix(learner.seed, 2)
        if self.loss_type == "contrastive":
            rows = np.unique(np.concatenate(pairs_of_a_class(labels, self.batch_size, step, seed)))
            classes = torch.from_numpy(labels[rows]).to(learner.device)
            return {"inputs": learner.take(learner.labelled[rows]), "classes": classes}
        draw = unique_pairs if self.pairs == "unique" else balanced_pairs
        left, right = draw(labels, self.batch_size, step, seed)
        rows, places = np.unique(np.concatenate([left, right]), return_inverse=True)  # each is read once
        sides = torch.from_numpy(places.reshape(2, -1)).to(learner.device)
        same = torch.from_numpy((labels[left] == labels[right]).astype(np.float32)).to(learner.device)
        return {"inputs": learner.take(learner.labelled[rows]), "left": sides[0], "right": sides[1], "same": same}

    def loss(self, learner: LabelledLearner, batch: Batch) -> Loss:
        features = learner.network.features(batch["inputs"]).float()
        if self.loss_type == "contrastive":
            return supervised_contrastive(features, batch["classes"], self.temperature), {}
        similar = cosine_similarity(features[batch["left"]], features[batch["right"]])
        return mse_loss(similar, batch["same"]), {}

    def make_model(self, learner: LabelledLearner) -> Model:
        network = copy.deepcopy(learner.network).eval()
        labels = learner.labels.numpy()[learner.labelled]
        network.head = fitted_head(embeddings(network, learner), labels, learner.target.width, self.penalty)
        return Predictor(network=network, inputs=learner.encoding, target=learner.target)


def supervised_contrastive(features: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Minus the mean log probability by which a row picks the others of its class out of all others in the batch.

    Khosla et al. 2020, equation 2; rows that are alone in their class are what the others must not pick.

    Args:
        features: [rows, width], of any length.
        classes: The class of each row [rows].
        temperature: Divides the cosine similarities.
    """
    unit = normalize(features, dim=1)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    others = (unit @ unit.T / temperature).masked_fill(itself, float("-inf")).log_softmax(dim=1)
    same = (classes[:, None] == classes[None]) & ~itself
    count = same.sum(dim=1)
    picked = others.masked_fill(~same, 0.0).sum(dim=1) / count.clamp_min(1)
    return -picked.sum() / (count > 0).sum().clamp_min(1)


def pairs_of_a_class(
    labels: NDArray[np.int64], count: int, step: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of `count` pairs of rows of one class; each row is as often the first of a pair.

    A row that is alone in its class makes a pair with itself.
    """
    left = epoch_positions(len(labels), count, step, seed)
    rng = np.random.default_rng([seed, step])
    return left, np.array([_partner(labels, row, True, rng) for row in left])


def _partner(labels: NDArray[np.int64], row: int, positive: bool, rng: np.random.Generator) -> int:
    """Another row of the class of `row` where `positive`, itself where there is none; else one of another class."""
    others = np.flatnonzero((labels == labels[row]) == positive)
    others = others[others != row] if positive and len(others) > 1 else others
    return int(rng.choice(others))


def balanced_pairs(
    labels: NDArray[np.int64], count: int, step: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of `count` pairs of rows, every second one of one class; each row is as often the first of a pair.

    A row that is alone in its class makes a pair with itself.
    """
    left = epoch_positions(len(labels), count, step, seed)
    rng = np.random.default_rng([seed, step])
    return left, np.array([_partner(labels, row, (place + step) % 2 == 0, rng) for place, row in enumerate(left)])


def unique_pairs(
    labels: NDArray[np.int64], count: int, step: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of `count` pairs of two rows, each pair once before any comes again."""
    rows = len(labels)
    numbers = epoch_positions(rows * (rows - 1) // 2, count, step, seed)
    # The pairs (0, 1), (0, 2), (1, 2), (0, 3), … are numbered in this order.
    right = ((1 + np.sqrt(1 + 8.0 * numbers)) / 2).astype(np.int64)
    return numbers - right * (right - 1) // 2, right


def embeddings(network: Network, learner: LabelledLearner) -> NDArray[np.float32]:
    """The embeddings of the labelled rows by `network`, of length 1, [rows, width]."""
    with torch.inference_mode():
        parts = [
            normalize(network.features(learner.take(learner.labelled[rows])).float(), dim=1).cpu()
            for rows in chunks_of(len(learner.labelled), EMBEDDED_AT_ONCE)
        ]
    return np.asarray(torch.cat(parts).numpy())


def fitted_head(features: NDArray[np.float32], labels: NDArray[np.int64], classes: int, penalty: float) -> "UnitHead":
    """The logistic regression of `labels` on embeddings of length 1."""
    from manyways.methods.transfer.linear_probe import logistic

    weight, bias = logistic(features, labels, classes, penalty)
    with torch.random.fork_rng():  # a new layer draws weights, which are replaced at once
        head = UnitHead(features.shape[1], classes)
    with torch.no_grad():
        head.linear.weight.copy_(torch.from_numpy(weight))
        head.linear.bias.copy_(torch.from_numpy(bias))
    return head


class UnitHead(LinearHead):
    """One affine map of features that are scaled to length 1."""

    name = "unit-length"

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(normalize(features, dim=1))
