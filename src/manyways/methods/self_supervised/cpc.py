"""CPC: which frame of a sound comes next?"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from manyways.data.data import Data
from manyways.methods.bases.frames import FrameLearner, FrameMethod, whole
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import Count
from manyways.methods.recommendations import Recommendation
from manyways.models.backbones.tokens import Tokens
from manyways.models.model import Model
from manyways.models.network import Inputs


class CPCLearner(FrameLearner):
    """A learner of sounds, and the linear maps that predict frames, one for each step ahead."""

    predictors: nn.Linear


class Choices(NamedTuple):
    """Choices among frames, of which one is right: scores [choices, frames] and the places of the right ones."""

    scores: Tensor
    right: Tensor


@dataclass(frozen=True, kw_only=True)
class CPC(FrameMethod[CPCLearner]):
    """Learn features of sound without labels: tell which frames follow, out of others, from those heard so far.

    A context network goes over the frames; from its state at t a linear map for each step k predicts the frame at
    t + k, and the log-bilinear score must be highest for that one (InfoNCE).
    """

    steps: Count = 8
    """Steps ahead, of 20 ms each, of which every one is predicted."""
    negatives: Count | None = None
    """Frames, drawn from all clips of a batch, that the right one is told from. None: all others of its own clip, which
    share its speaker, so that it is the content by which they are told apart."""

    suggests: ClassVar = ("cpc >> fine-tune", "cpc >> linear-probe")
    recommends: ClassVar = {"any": Recommendation("features of sound are learned first, by what comes next", 47)}
    paper: ClassVar = "Van den Oord, Li & Vinyals, Representation learning with contrastive predictive coding (2018)"
    own_backbone: ClassVar = "audio-gru"
    needs_causal: ClassVar = True
    field_trials: ClassVar = {"negatives": {"negatives": 4}}

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=8, size=0.25, steps=3)

    def fewest_frames(self) -> int:
        return self.steps + 2

    def shorten(self) -> str:
        return "fewer steps, such as steps=3"

    def begin(self, data: Data, model: Model | None, seed: int) -> CPCLearner:
        learner = super().begin(data, model, seed)
        width = learner.network.width
        learner.predictors = nn.Linear(width, self.steps * width, bias=False)
        return learner

    def draw(self, learner: CPCLearner, step: int, rng: torch.Generator) -> Batch:
        return {**super().draw(learner, step, rng), "others": self._others(rng, learner.device)}

    def _others(self, rng: torch.Generator, device: torch.device) -> Tensor:
        """Where among the frames of a batch the distractors of each step ahead lie, in [0, 1)."""
        return torch.rand(self.steps, self.negatives or 0, generator=rng).to(device)

    def loss(self, learner: CPCLearner, batch: Batch) -> Loss:
        losses, right, total = [], [], 0
        for choices in self.choices(learner, batch["inputs"], batch["others"]):
            losses.append(cross_entropy(choices.scores, choices.right, reduction="sum"))
            right.append((choices.scores.argmax(1) == choices.right).sum())
            total += len(choices.right)
        if not total:
            return sum(losses, learner.predictors.weight.sum() * 0), {}
        return torch.stack(losses).sum() / total, {"accuracy": torch.stack(right).sum() / total}

    def choices(self, learner: CPCLearner, inputs: Inputs, others: Tensor) -> list[Choices]:
        """The choices at each step ahead, of all places from which it lies within the clip."""
        frames = learner.frames(inputs)
        context = learner.backbone.context(frames).features
        predicted = learner.predictors(context).float().chunk(self.steps, dim=2)
        choose = _in_clip if self.negatives is None else _in_batch
        count = frames.features.shape[1]
        return [
            choose(predicted[ahead - 1][:, : count - ahead], frames, ahead, others[ahead - 1])
            for ahead in range(1, min(self.steps, count - 1) + 1)
        ]

    def pretext(self, learner: CPCLearner, inputs: Inputs, rng: torch.Generator) -> dict[str, float]:
        every = self.choices(learner, inputs, self._others(rng, learner.device))
        right = torch.cat([choices.scores.argmax(1) == choices.right for choices in every]).float()
        chance = torch.cat([1 / choices.scores.isfinite().sum(1) for choices in every])
        return {"accuracy": float(right.mean()), "chance": float(chance.mean())} if len(right) else {}


def _in_clip(predicted: Tensor, frames: Tokens, ahead: int, others: Tensor) -> Choices:
    """The frame `ahead` among all of its clip, of `predicted` [rows, places, width]."""
    mask, features = whole(frames), frames.features.float()
    scores = (predicted @ features.transpose(1, 2)).masked_fill(~mask[:, None], float("-inf"))
    rows, places = mask[:, ahead:].nonzero(as_tuple=True)
    return Choices(scores[rows, places], places + ahead)


def _in_batch(predicted: Tensor, frames: Tokens, ahead: int, others: Tensor) -> Choices:
    """The frame `ahead`, put first, among some of all clips: those that lie at `others`, shares of all frames."""
    mask, features = whole(frames), frames.features.float()
    rows, places = mask[:, ahead:].nonzero(as_tuple=True)
    every = mask.flatten().nonzero()[:, 0]
    drawn = every[(others * len(every)).long()]
    from_here, right = predicted[rows, places], features[rows, places + ahead]
    scores = from_here @ features.flatten(0, 1)[drawn].T
    itself = drawn == (rows * mask.shape[1] + places + ahead)[:, None]
    own = (from_here * right).sum(1, keepdim=True)
    scores = torch.cat([own, scores.masked_fill(itself, float("-inf"))], dim=1)
    return Choices(scores, torch.zeros(len(rows), dtype=torch.int64, device=rows.device))
