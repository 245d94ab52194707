"""Fusion: one prediction from several inputs, some of which a row may lack."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.encoding import Encoded
from manyways.data.presence import present
from manyways.data.targets import Target
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import RowMethod
from manyways.methods.fields import Count, NotNegative, Share
from manyways.methods.losses import label_loss
from manyways.methods.method import Ablations
from manyways.methods.needs import Input, Label, SeveralInputs
from manyways.models.heads import Head, JointHead
from manyways.models.network import Inputs, Network
from manyways.training.learner import RowLearner


def weighted_vote(apart: Tensor, there: Tensor, weights: Tensor, classes: bool) -> Tensor:
    """What the inputs of a row say together: the weighted mean of what each says, over those that are there.

    apart: what each input says, [rows, inputs, outputs], logits where `classes`; there: bool [rows, inputs]; weights:
    logits of the inputs' weights [inputs]. Classes: log Σ w p, the logarithm of the mean of their probabilities;
    numbers: Σ w x. Weights of inputs that a row lacks go to the others; a row without any is what all say of nothing.
    """
    counted = there | ~there.any(1, keepdim=True)
    shares = weights.expand(len(there), -1).masked_fill(~counted, float("-inf")).log_softmax(1)
    if classes:
        return (apart.log_softmax(2) + shares[:, :, None]).logsumexp(1)
    return (apart * shares.exp()[:, :, None]).sum(1)


def hide_inputs(there: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """`there` bool [rows, inputs] with each input hidden with probability `share`; one of each row's always stays."""
    drawn = torch.rand(2, *there.shape, generator=rng).to(there.device)
    stays = torch.where(there, drawn[0], -1).argmax(1, keepdim=True)
    return (there & (drawn[1] >= share)).scatter(1, stays, there.gather(1, stays))


class VotingHead(Head):
    """A linear head for each input, and learned weights by which their answers are averaged: see `weighted_vote`.

    Reads the features of a network that may lack any of its inputs: theirs of `widths`, then which of them are there.
    """

    name = "voting"

    def __init__(self, widths: Sequence[int], outputs: int, classes: bool) -> None:
        super().__init__()
        self.config = {"widths": list(widths), "outputs": outputs, "classes": classes}
        self.width = sum(widths) + len(widths)
        self.widths, self.classes = tuple(widths), classes
        self.heads = nn.ModuleList(nn.Linear(width, outputs) for width in widths)
        self.weights = nn.Parameter(torch.zeros(len(widths)))

    def apart(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What each input says [rows, inputs, outputs], and which of them are there, bool [rows, inputs]."""
        *parts, there = torch.split(features, [*self.widths, len(self.widths)], dim=1)
        said = [head(part) for head, part in zip(self.heads, parts, strict=True)]
        return torch.stack(said, dim=1).float(), there > 0

    def forward(self, features: Tensor) -> Tensor:
        return weighted_vote(*self.apart(features), self.weights, self.classes)


@dataclass(frozen=True, kw_only=True)
class Fusion(RowMethod[RowLearner]):
    """Learn one label from several inputs, early or late fused, so that a row may lack some of them.

    Early: a joint network reads the features of all inputs. Late: every input has a head and learns to predict alone,
    and the answers are averaged by learned weights. Inputs are hidden at random while it learns, so that the model
    predicts from what is there. (Supervised learning puts features side by side, too, with a linear head on top and
    nothing hidden.)
    """

    kind: Literal["early", "late"] = "early"
    """Whether features are fused, or answers."""
    hide: Share = 0.3
    """Share of the inputs hidden in a batch; one of a row always stays."""
    hidden: Count = 128
    """Width of the joint network of early fusion."""
    dropout: Share = 0.2
    """Share of its hidden units that are dropped."""
    alone_weight: NotNegative = 1.0
    """Weight of the mean loss of the inputs' own answers beside that of the fused one, in late fusion."""
    augment: bool = True
    """Whether batches are seen through weak views."""

    needs: ClassVar = (SeveralInputs, Input, Label)
    gives: ClassVar = frozenset({"classify", "regress", "embed"})
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    suggests: ClassVar = ("fusion", "fusion(kind='late')")
    example: ClassVar = "digit-halves"
    paper: ClassVar = (
        "Snoek, Worring & Smeulders, Early versus late fusion in semantic video analysis, ACM Multimedia 2005; "
        "Neverova et al., ModDrop, TPAMI 2016"
    )

    field_trials: ClassVar = {"alone_weight": {"kind": "late", "alone_weight": 0.0}}

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "hidden inputs": (replace(self, hide=0.0), data)}

    def may_lack(self, network: Network, rows: Encoded) -> tuple[str, ...]:
        return network.names

    def make_head(self, network: Network, target: Target) -> Head:
        if self.kind == "late":
            return VotingHead(network.widths, target.width, target.classification)
        return JointHead(network.width, self.hidden, target.width, self.dropout)

    def goes_on_with(self, head: Head | None) -> bool:
        return isinstance(head, VotingHead if self.kind == "late" else JointHead)

    def draw(self, learner: RowLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.labelled, self.batch_size, step)
        inputs = learner.take(rows)
        seen = learner.views.weak(inputs, rng) if self.augment else inputs
        return {"inputs": self.hidden_from(seen, learner.network, rng), "labels": learner.labels_at(rows)}

    def hidden_from(self, inputs: Inputs, network: Network, rng: torch.Generator) -> Inputs:
        """`inputs` of which some are hidden at random."""
        first = inputs[network.names[0]]
        everywhere = torch.ones(len(first), dtype=torch.bool, device=first.device)
        there = torch.stack([inputs.get(present(name), everywhere) for name in network.names], dim=1)
        left = hide_inputs(there, self.hide, rng)
        return inputs | {present(name): left[:, at] for at, name in enumerate(network.names)}

    def loss(self, learner: RowLearner, batch: Batch) -> Loss:
        features, labels, head = learner.network.features(batch["inputs"]), batch["labels"], learner.network.head
        if not isinstance(head, VotingHead):
            assert head is not None
            return label_loss(head(features), labels), {}
        apart, there = head.apart(features)
        fused = label_loss(weighted_vote(apart, there, head.weights, head.classes), labels)
        parts = zip(apart.unbind(1), there.unbind(1), strict=True)
        own = [label_loss(said[seen], labels[seen]) for said, seen in parts if seen.any()]
        alone = torch.stack(own).mean()
        return fused + self.alone_weight * alone, {"fused": fused, "alone": alone}
