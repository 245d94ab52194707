"""A Newton step away from the rows to be forgotten, and Fisher noise over what they may have left."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.data.targets import Target
from manyways.methods.expected import Say, announce, seconds_of
from manyways.methods.features import Features
from manyways.methods.fields import Count, NotNegative, Positive
from manyways.methods.method import Learned
from manyways.methods.needs import Forget, Input, Label
from manyways.methods.unlearning._approximate import OfMarkedRows, no_proof, unfit
from manyways.models.heads import LinearHead
from manyways.models.model import Model, of_kind
from manyways.models.predictor import Predictor
from manyways.randomness import generator
from manyways.training.budget import Budget
from manyways.training.run import Run

TOLERANCE, MOST_TURNS = 1e-10, 500
LARGE, TYPICAL_TURNS = 1 << 30, 50
"""Products in a turn, from which on one is timed; turns that a step takes, about."""
NUMBERS_AT_ONCE, MOST_KEPT = 1 << 22, 1 << 27
"""Outputs that are computed at a time, and that are kept from one turn to the next: a gigabyte."""
MOST_GROWTH, MOST_IGNORANCE = 1.05, 2.0
"""Largest growth of the loss of the retain set, and of the squared error of the others, that goes unremarked."""
BIAS = 1e-6
"""Penalty on the biases, by which the step is the shortest where adding a number to all of them changes nothing."""


@dataclass(frozen=True, kw_only=True)
class Newton(OfMarkedRows):
    """Move the head as if the rows to be forgotten had not been among those it is the optimum of. No proof.

    One Newton step on the loss of the rows that stay takes a linear head that was trained to its optimum, such as a
    linear probe's, to nearly where they alone would take it; what the features have learned stays. With `noise` weights
    are blurred where the rows that stay do not mind: by the Fisher information to the power of −1/4. A head that is far
    from its optimum, as tiny batches leave it, may be moved too far: the lineage says so (`facts["caution"]`).
    """

    penalty: Positive = 100.0
    """L2 penalty of the head's loss, on standardised features: the one that linear-probe was given. A head that was
    trained by gradients has none; there the step is the shorter the larger this is."""
    noise: NotNegative = 0.0
    """Standard deviation of the noise on a weight whose Fisher information is 1."""
    noisy: Literal["head", "all"] = "head"
    """Choice of the weights that get noise."""
    fisher_rows: Count = 500
    """Rows that the Fisher information is estimated on."""

    needs: ClassVar = (Input, Label, Forget)
    gives: ClassVar = frozenset({"classify", "regress", "embed"})
    takes: ClassVar = frozenset({"classify", "regress"})
    paper: ClassVar = (
        "Guo et al., Certified data removal from machine learning models, ICML 2020; noise: Golatkar et al., Eternal "
        "sunshine of the spotless net, CVPR 2020"
    )

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(noise=0.01, noisy="all", fisher_rows=8)

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks(data, model):
            return reason
        if model is None or (reason := unfit(self.method_name(), data, model)):
            return reason
        if not isinstance(model.network.head, LinearHead):
            return f"it moves a linear head, which {model.lineage.title} has not. Train one on top: linear-probe."
        return None

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        model = of_kind(Predictor, model)
        assert model.target is not None
        used = (data.part[data.rows] == TRAINING) & data.labelled
        gone, rest = data.select(used & data.forgotten), data.select(used & ~data.forgotten)
        network, target = model.copy_of_network(), model.target
        head = LinearHead.taken_from(network)
        features = Features(network, model.inputs, uses_all_rows=False)
        labels = [torch.from_numpy(target.encode(rows)) for rows in (rest, gone)]
        held = [torch.from_numpy(features.of(rows)) for rows in (rest, gone)]
        before = [_mean_loss(target, head, *each) for each in zip(held, labels, strict=True)]
        _step(head, held, labels, self.penalty, partial(announce, run, budget))
        after = [_mean_loss(target, head, *each) for each in zip(held, labels, strict=True)]
        facts = no_proof(len(gone))
        if caution := _overshot(before, after, target):
            facts["caution"] = caution
            run.notice(caution)
        network.head = head
        made = Predictor(network=network, inputs=model.inputs, target=target)
        if self.noise:
            self._blur(made, rest, seed)
        return Learned(made, used, (model,), facts=facts)

    @torch.no_grad()
    def _blur(self, model: Predictor, rest: Data, seed: int) -> None:
        """Add noise to the weights, by the information that the rows which stay have on each."""
        network, rng = model.network, generator(seed, 0)
        assert network.head is not None
        weights = dict((network if self.noisy == "all" else network.head).named_parameters())
        information = self._information(model, rest, list(weights.values()), rng)
        floor = 1e-6 * max(float(each.max()) for each in information) or 1.0
        for weight, known in zip(weights.values(), information, strict=True):
            noise = torch.randn(weight.shape, generator=rng)
            weight.add_(self.noise * known.clamp_min(floor).pow(-0.25) * noise)

    def _information(
        self, model: Predictor, rest: Data, weights: list[nn.Parameter], rng: torch.Generator
    ) -> list[Tensor]:
        """The mean squared gradient of each weight, over rows with labels drawn from what the model says of them."""
        network = model.network.eval()
        rows = model.inputs.encode(rest)
        chosen = torch.randperm(len(rows), generator=rng)[: self.fisher_rows].numpy()
        total = [torch.zeros_like(weight) for weight in weights]
        for at in chosen:
            with torch.enable_grad():
                said = network(rows.batch(np.array([at])))
                gradients = torch.autograd.grad(model.label_target.loss(said, _drawn(said, model, rng)), weights)
            for held, gradient in zip(total, gradients, strict=True):
                held.addcmul_(gradient, gradient, value=1 / len(chosen))
        return total


def _drawn(outputs: Tensor, model: Predictor, rng: torch.Generator) -> Tensor:
    assert model.target is not None
    if model.target.classification:
        return torch.multinomial(outputs.detach().float().softmax(1), 1, generator=rng)[:, 0]
    return outputs.detach()[:, 0] + torch.randn(len(outputs), generator=rng)


@torch.no_grad()
def _mean_loss(target: Target, head: LinearHead, features: Tensor, labels: Tensor) -> float:
    """The mean cross-entropy of the head on some rows, or the mean squared error, in variances of the labels."""
    pieces = zip(_pieces(features, head.linear.weight), _pieces(labels, head.linear.weight), strict=True)
    return sum(float(target.loss(head(some), wanted)) * len(some) for some, wanted in pieces) / len(features)


def _overshot(before: list[float], after: list[float], target: Target) -> str | None:
    """The way in which the step went too far, by the losses of the retain set and the forget set, in words; else None.

    A step from the optimum makes the loss of the rows that stay smaller. Numbers that are gone are then said as well as
    by a model that never saw them, which is hardly worse than to say their mean; a class may be gone as a whole.
    """
    what = "cross-entropy" if target.classification else "mean squared error, in variances of the label,"
    if after[0] > MOST_GROWTH * before[0]:
        why = f"the {what} of the rows that stay grew from {before[0]:.3g} to {after[0]:.3g}"
    elif not target.classification and after[1] > MOST_IGNORANCE:
        why = f"the {what} of the forgotten rows is {after[1]:.3g}, and about 1 where nothing is known of them"
    else:
        return None
    return (
        f"The step went too far: {why}. It takes the head to be at the optimum of its loss, where linear-probe leaves "
        "it: put that before it, or raise penalty."
    )


@torch.no_grad()
def _step(
    head: LinearHead, features: list[Tensor], labels: list[Tensor], penalty: float, say: Say | None = None
) -> None:
    """Move `head` by H⁻¹ Σ ∇ℓ over the rows that are gone, H the Hessian of the penalised loss of those that stay.

    features, labels: of the rows that stay, and of those that are gone; say announces what takes long.
    """
    mean, scale = features[0].double().mean(0), features[0].double().std(0, correction=0)
    scale = torch.where(scale < 1e-6, 1.0, scale)
    rest, gone = (torch.cat([(each.double() - mean) / scale, torch.ones(len(each), 1)], 1) for each in features)
    weight, bias = head.linear.weight.double(), head.linear.bias.double()
    now = torch.cat([weight * scale, (bias + weight @ mean)[:, None]], 1)  # the same head, of standardised features
    ridge = torch.full((now.shape[1],), penalty, dtype=torch.float64)
    ridge[-1] = BIAS * penalty
    multiply, gradient = curvature(rest, now, labels[0]), slope(gone, now, labels[1])
    if say and len(rest) * now.numel() > LARGE:
        seconds = TYPICAL_TURNS * seconds_of(lambda: multiply(gradient))
        work = f"A Newton step of {len(now):,} outputs on {len(rest):,} rows"
        say(seconds, work, "Fewer rows, or ridge, which takes rows out in seconds, take less.")
    moved = now + conjugate_gradients(lambda step: multiply(step) + ridge * step, gradient)
    head.linear.weight.copy_(moved[:, :-1] / scale)
    head.linear.bias.copy_(moved[:, -1] - (moved[:, :-1] / scale) @ mean)


def slope(rows: Tensor, weights: Tensor, labels: Tensor) -> Tensor:
    """Σ ∇ℓ over `rows` [rows, width] at `weights` [outputs, width]: of cross-entropy, or half the squared error."""
    total = torch.zeros_like(weights)
    for some, wanted in zip(_pieces(rows, weights), _pieces(labels, weights), strict=True):
        apart = some @ weights.T
        if labels.dtype == torch.int64:
            apart = apart.softmax(1)
            apart[torch.arange(len(some)), wanted] -= 1
        else:
            apart -= wanted.double()[:, None]
        total.addmm_(apart.T, some)
    return total


def curvature(rows: Tensor, weights: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
    """The Hessian of the summed loss over `rows` at `weights`, as a function that multiplies by it."""
    if labels.dtype != torch.int64:
        return lambda step: (rows @ step.T).T @ rows
    pieces = _pieces(rows, weights)

    def shares_of(some: Tensor) -> Tensor:
        return (some @ weights.T).softmax(1)

    kept = [shares_of(some) for some in pieces] if len(rows) * len(weights) <= MOST_KEPT else None

    def multiply(step: Tensor) -> Tensor:
        total = torch.zeros_like(step)
        for at, some in enumerate(pieces):
            shares, moved = kept[at] if kept else shares_of(some), some @ step.T
            total.addmm_((shares * (moved - (shares * moved).sum(1, keepdim=True))).T, some)
        return total

    return multiply


def _pieces(rows: Tensor, weights: Tensor) -> list[Tensor]:
    """`rows`, or what belongs to them, in pieces whose outputs by `weights` are not too many numbers at once."""
    return list(torch.split(rows, max(1, NUMBERS_AT_ONCE // len(weights))))


def conjugate_gradients(multiply: Callable[[Tensor], Tensor], wanted: Tensor) -> Tensor:
    """The solution x of A x = `wanted`, A symmetric and positive (Hestenes & Stiefel 1952)."""
    solution, left = torch.zeros_like(wanted), wanted.clone()
    direction, size = left.clone(), float(left.square().sum())
    enough = TOLERANCE**2 * size
    for _ in range(MOST_TURNS):
        if size <= enough:
            break
        image = multiply(direction)
        length = size / float((direction * image).sum())
        solution += length * direction
        left -= length * image
        before, size = size, float(left.square().sum())
        direction = left + size / before * direction
    return solution
