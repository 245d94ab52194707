"""Fusion: one prediction from several inputs, some of which a row may lack."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from manyways.data.data import Data
from manyways.data.encoding import Encoded
from manyways.data.presence import present
from manyways.data.targets import Target, predictions
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import LabelledMethod
from manyways.methods.fields import Count, NotNegative, Share
from manyways.methods.method import Ablations
from manyways.methods.needs import Input, RowLabel, SeveralInputs
from manyways.methods.recommendations import Recommendation
from manyways.models.heads import Head, JointHead
from manyways.models.network import Inputs, Network
from manyways.training.learner import LabelledLearner


def weighted_vote(apart: Tensor, there: Tensor, weights: Tensor, activation: str) -> Tensor:
    """The weighted mean of what the inputs of a row say, over those that are there: outputs [rows, outputs].

    Weights of inputs that a row lacks go to the others; a row without any is what all say of nothing.

    Args:
        apart: The outputs of each input, [rows, inputs, outputs].
        there: Which inputs a row has, bool [rows, inputs].
        weights: Logits of the inputs' weights [inputs].
        activation: What outputs are: "softmax", logits of classes: log Σ w p; "sigmoid", logits each of its own: the
            logit of Σ w p; "identity": Σ w x.
    """
    counted = there | ~there.any(1, keepdim=True)
    shares = weights.expand(len(there), -1).masked_fill(~counted, float("-inf")).log_softmax(1)
    if activation == "softmax":
        return (apart.log_softmax(2) + shares[:, :, None]).logsumexp(1)
    if activation == "sigmoid":
        on, off = (logsigmoid(sign * apart) + shares[:, :, None] for sign in (1, -1))
        return on.logsumexp(1) - off.logsumexp(1)
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

    def __init__(self, widths: Sequence[int], outputs: int, activation: str) -> None:
        super().__init__()
        self.config = {"widths": list(widths), "outputs": outputs, "activation": activation}
        self.width = sum(widths) + len(widths)
        self.widths, self.activation = tuple(widths), activation
        self.heads = nn.ModuleList(nn.Linear(width, outputs) for width in widths)
        self.weights = nn.Parameter(torch.zeros(len(widths)))

    def apart(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs of each input [rows, inputs, outputs], and which inputs are there, bool [rows, inputs]."""
        *parts, there = torch.split(features, [*self.widths, len(self.widths)], dim=1)
        said = [head(part) for head, part in zip(self.heads, parts, strict=True)]
        return torch.stack(said, dim=1).float(), there > 0

    def forward(self, features: Tensor) -> Tensor:
        return weighted_vote(*self.apart(features), self.weights, self.activation)


@dataclass(frozen=True, kw_only=True)
class Fusion(LabelledMethod[LabelledLearner]):
    """Learn one label from several inputs, early or late fused, so that a row may lack some of them.

    Early: a joint network reads the features of all inputs. Late: every input has a head and learns to predict alone,
    and the answers are averaged by learned weights. Inputs are hidden at random while it learns, so that the model
    predicts from what is there. (Supervised learning puts features side by side, too, with a linear head on top and
    nothing hidden.)
    """

    kind: Literal["early", "late"] = "early"
    """Object of the fusion: features or answers."""
    hide: Share = 0.3
    """Share of the inputs hidden in a batch; one of a row always stays."""
    hidden: Count = 128
    """Width of the joint network of early fusion."""
    dropout: Share = 0.2
    """Share of its hidden units that are dropped."""
    alone_weight: NotNegative = 1.0
    """Weight of the mean loss of the inputs' own answers beside that of the fused one, in late fusion."""
    augment: bool = True
    """True to see batches through weak views."""

    needs: ClassVar = (SeveralInputs, Input, RowLabel)
    gives: ClassVar = predictions(structured=False) | {"embed"}
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    suggests: ClassVar = ("fusion", "fusion(kind='late')")
    example: ClassVar = "digit-halves"
    recommends: ClassVar = {
        "any": Recommendation("a network for each input, joined, that does with any of them missing", 12),
    }
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
            return VotingHead(network.widths, target.width, target.activation)
        return JointHead(network.width, self.hidden, target.width, self.dropout)

    def goes_on_with(self, head: Head | None) -> bool:
        return isinstance(head, VotingHead if self.kind == "late" else JointHead)

    def draw(self, learner: LabelledLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.labelled, self.batch_size, step)
        inputs = learner.take(rows)
        seen = learner.views.weak(inputs, rng) if self.augment else inputs
        return {"inputs": self.hidden_from(seen, learner.network, rng), **learner.labels_of(rows)}

    def hidden_from(self, inputs: Inputs, network: Network, rng: torch.Generator) -> Inputs:
        """`inputs` of which some are hidden at random."""
        first = inputs[network.names[0]]
        everywhere = torch.ones(len(first), dtype=torch.bool, device=first.device)
        there = torch.stack([inputs.get(present(name), everywhere) for name in network.names], dim=1)
        left = hide_inputs(there, self.hide, rng)
        return inputs | {present(name): left[:, at] for at, name in enumerate(network.names)}

    def loss(self, learner: LabelledLearner, batch: Batch) -> Loss:
        features, head = learner.network.features(batch["inputs"]), learner.network.head
        if not isinstance(head, VotingHead):
            return learner.label_loss(learner.network.predict(features), batch), {}
        apart, there = head.apart(features)
        fused = learner.label_loss(weighted_vote(apart, there, head.weights, head.activation), batch)
        labels = {name: batch[name] for name in ("labels", "weights") if name in batch}
        alone = torch.stack([
            learner.label_loss(outputs[seen], {name: part[seen] for name, part in labels.items()})
            for outputs, seen in zip(apart.unbind(1), there.unbind(1), strict=True)
            if seen.any()
        ]).mean()  # fmt: skip
        return fused + self.alone_weight * alone, {"fused": fused, "alone": alone}
