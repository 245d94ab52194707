"""Multi-task learning: several labels of a row, by networks that share all, a part, or nothing."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Targets
from manyways.errors import ParameterError, did_you_mean
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.labels import LabelsMethod
from manyways.methods.fields import NotNegative, Positive
from manyways.methods.multi_task import _adashare
from manyways.methods.multi_task._combinations import by_uncertainty, cagrad, conflict_free, gradnorm_loss, upgrad
from manyways.methods.multi_task._learner import MultiTaskLearner, weights_by_label
from manyways.methods.multi_task._sharing import distances, last_shared, walk_in
from manyways.models.lockstep import CrossStitch, Kind, Lockstep, units_of
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.networks import Networks, Way, sharing_of
from manyways.training.loop import autocast
from manyways.training.steps import ParameterGroup

APART = ("none", "soft")
"""Kinds of sharing in which each label has a network that it alone goes through."""
LEAST_WEIGHT = 1e-3
"""Least loss weight that GradNorm gives a label."""
GRADNORM_RATE, POLICY_RATE = 10.0, 10.0
"""Multiples of the learning rate for GradNorm's loss weights and AdaShare's policy, which have few steps."""


@dataclass(frozen=True, kw_only=True)
class MultiTask(LabelsMethod[MultiTaskLearner]):
    """Learn several labels of any kinds at once: classes, numbers, tags, trees, boxes. Rows may lack some of them.

    By default one network is shared and ends in a head for each label (hard sharing, Caruana 1997). A label's loss is
    the mean over the rows of the batch that have it, and the losses are summed, times `label_weights`; a sum whose
    weights are tuned is what other weightings have to beat. `model.predict(rows)["colour"]` is one label of all rows,
    `model.only("colour")` the model of that label alone.
    """

    sharing: Literal["hard", "none", "soft", "cross-stitch", "adashare"] = "hard"
    """The part that labels share: all but the heads; nothing, so that a step costs as many times more; nothing, with
    weights that are drawn together; features of their own networks, mixed after each layer; or, of one network, the
    residual blocks that a learned policy lets each pass through."""
    weighting: Literal["equal", "uncertainty", "gradnorm", "pcgrad", "cagrad", "upgrad"] = "equal"
    """The way in which losses go together: their sum; by learned uncertainties (Kendall et al.); by weights that let
    all be learned at one rate (GradNorm); or with gradients of the shared weights that do not conflict (PCGrad, CAGrad,
    UPGrad)."""
    label_weights: Mapping[str, float] | tuple[tuple[str, float], ...] = ()
    """Fixed weights of losses by label, such as {'pos': 1, 'tree': 0.5}; 1 where none is named."""
    alpha: NotNegative = 1.5
    """GradNorm's pull towards one rate of learning."""
    c: NotNegative = 0.4
    """CAGrad's distance from the mean gradient, beside its length."""
    penalty: Positive = 0.01
    """Weight of the squared distance between the weights of networks that are shared softly."""
    stitch_rate: Positive = 10.0
    """Multiple of the learning rate for cross-stitch units. Their paper takes 100 and more for plain gradient descent;
    Adam's steps are as long for small gradients."""
    sparsity: NotNegative = 0.05
    """Weight of AdaShare's loss of blocks that labels pass through."""
    sharing_weight: NotNegative = 0.05
    """Weight of AdaShare's loss of labels that pass through different blocks."""

    suggests: ClassVar = (
        "multi-task", "multi-task(weighting='uncertainty')", "multi-task(weighting='pcgrad')",
        "multi-task(weighting='upgrad')", "multi-task(sharing='none')",
    )  # fmt: skip
    paper: ClassVar = (
        "Caruana, Multitask learning (1997); Kendall, Gal & Cipolla, CVPR 2018; Chen et al., GradNorm, ICML 2018; Yu "
        "et al., PCGrad, NeurIPS 2020; Liu et al., CAGrad, NeurIPS 2021; Quinton & Rey, UPGrad (2024); Duong et al., "
        "soft sharing, ACL 2015; Misra et al., Cross-stitch networks, CVPR 2016; Sun et al., AdaShare, NeurIPS 2020"
    )
    field_trials: ClassVar = {
        "label_weights": {"label_weights": (("label", 5.0),), "weighting": "pcgrad"},
        "alpha": {"weighting": "gradnorm", "alpha": 0.0},
        "c": {"weighting": "cagrad", "c": 3.0},
        "penalty": {"sharing": "soft", "penalty": 10.0},
        "stitch_rate": {"sharing": "cross-stitch", "stitch_rate": 0.1},
        "sparsity": {"sharing": "adashare", "sparsity": 5.0, "backbone": "vit"},
        "sharing_weight": "It pulls policies together that differ, which takes more steps than a trial has.",
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_weights", weights_by_label(self.label_weights))
        super().__post_init__()
        if self.sharing in APART and self.weighting != "equal":
            raise ParameterError(
                f"MultiTask.weighting balances labels that share weights; with sharing={self.sharing!r} leave it out; "
                f"got {self.weighting!r}."
            )
        if self.sharing == "adashare" and self.weighting != "equal":
            raise ParameterError(
                "MultiTask.weighting must be 'equal' with sharing='adashare', whose policy decides what conflicts; got "
                f"{self.weighting!r}."
            )

    # Networks.

    def start_shared(self, data: Data, model: Model | None, targets: Targets) -> tuple[Network, InputEncoding]:
        if lost := [name for name, _ in self._weights if name not in targets.names]:
            raise ParameterError(
                f"MultiTask.label_weights names {lost[0]!r}, which is no label; labels are {', '.join(targets.names)}."
                f"{did_you_mean(lost[0], targets.names)}"
            )
        network, encoding = super().start_shared(data, model, targets)
        if self.sharing not in ("hard", *APART):
            kind: Kind = "adashare" if self.sharing == "adashare" else "cross-stitch"
            walk_in(network, Lockstep(kind, len(targets.members)), encoding, data)
        return network, encoding

    def networks(self, network: Network, targets: Targets) -> Networks:
        if self.sharing == "hard":
            return self.sharing_one(network, targets)
        if self.sharing in APART:
            networks = [copy.deepcopy(network) for _ in targets.members]
            for each, target in zip(networks, targets.members, strict=True):
                each.put_head(self.head_for(each, target))
            return Networks(networks, [Way(name, place) for place, name in enumerate(targets.names)])
        heads = [self.head_for(network, target) for target in targets.members]
        return Networks([network], [Way(name, 0, place) for place, name in enumerate(targets.names)], heads)

    def begin(self, data: Data, model: Model | None, seed: int) -> MultiTaskLearner:
        learner = super().begin(data, model, seed)
        learner.log_variances.requires_grad_(self.weighting == "uncertainty")
        learner.loss_weights.requires_grad_(self.weighting == "gradnorm")
        if self.sharing == "adashare":
            learner.first_weights = _adashare.weights_of(learner.network)
        return learner

    # Steps.

    def parameter_groups(self, learner: MultiTaskLearner) -> list[ParameterGroup]:
        stitches = [unit.mixing for unit in units_of(learner.network, CrossStitch) if isinstance(unit, CrossStitch)]
        apart = [
            ParameterGroup(list(stitches), self.stitch_rate * self.learning_rate),
            ParameterGroup([learner.loss_weights], GRADNORM_RATE * self.learning_rate),
            ParameterGroup([unit.logits for unit in learner.skippable], POLICY_RATE * self.learning_rate),
        ]
        own = {id(parameter) for group in apart for parameter in group.parameters}
        groups = [
            replace(group, parameters=[each for each in group.parameters if id(each) not in own])
            for group in super().parameter_groups(learner)
        ]
        return [group for group in (*groups, *apart) if any(each.requires_grad for each in group.parameters)]

    def draw(self, learner: MultiTaskLearner, step: int, rng: torch.Generator) -> Batch:
        batch = super().draw(learner, step, rng)
        if self.sharing == "adashare":
            batch |= {"step": step, "noise": _adashare.gumbel_noise(learner.skippable, rng)}
        return batch

    @property
    def _weights(self) -> tuple[tuple[str, float], ...]:
        return weights_by_label(self.label_weights)

    def together(self, learner: MultiTaskLearner, losses: dict[str, Tensor]) -> Tensor:
        stacked = torch.stack(list(losses.values()))
        places = learner.places(losses)
        if self.weighting == "uncertainty":
            members = [learner.targets.members[place] for place in places]
            classes = torch.tensor([each.probabilistic or each.structured for each in members], device=stacked.device)
            return by_uncertainty(stacked, learner.log_variances[places], classes)
        if self.weighting == "gradnorm":
            return (learner.loss_weights.detach()[places] * stacked).sum()
        return stacked.sum()

    def label_losses(self, learner: MultiTaskLearner, batch: Batch) -> dict[str, Tensor]:
        weights = dict(self._weights)
        return {name: weights.get(name, 1.0) * loss for name, loss in super().label_losses(learner, batch).items()}

    def loss(self, learner: MultiTaskLearner, batch: Batch) -> Loss:
        loss, parts = super().loss(learner, batch)
        if self.sharing == "soft":
            loss = loss + self.penalty * distances(learner.network.members)
        return loss, parts

    def gradients(self, learner: MultiTaskLearner, batch: Batch) -> dict[str, Tensor]:
        if self.weighting == "pcgrad":
            return self.combined_gradients(learner, batch, conflict_free)
        if self.weighting == "cagrad":
            return self.combined_gradients(learner, batch, lambda gradients: cagrad(gradients, self.c))
        if self.weighting == "upgrad":
            return self.combined_gradients(learner, batch, upgrad)
        if self.weighting == "gradnorm":
            return self._normed(learner, batch)
        if self.sharing == "adashare":
            return self._by_policy(learner, batch)
        values = super().gradients(learner, batch)
        for network in learner.network.members if self.sharing in APART else ():  # as if each were trained alone
            super().clip_gradients(list(network.parameters()))
        return values

    def clip_gradients(self, parameters: list[nn.Parameter]) -> None:
        if self.sharing not in APART and self.weighting != "gradnorm":
            super().clip_gradients(parameters)

    def _normed(self, learner: MultiTaskLearner, batch: Batch) -> dict[str, Tensor]:
        """The gradients of the weighted losses, and those of the weights, of the last shared layer's gradients."""
        with autocast(self.precision, learner.device):
            loss, parts = self.loss(learner, batch)
        places, losses = learner.places(_labels(parts)), list(parts.values())
        shared = last_shared(learner.network, learner.targets)
        lengths = []
        for part in losses:
            slopes = torch.autograd.grad(part, shared, retain_graph=True, materialize_grads=True)
            lengths.append(torch.cat([slope.flatten() for slope in slopes]).norm())
        values = torch.stack([part.detach() for part in losses]).float()
        first = learner.first_losses[places]
        learner.first_losses[places] = torch.where(first.isnan(), values, first)
        loss.backward()  # type: ignore[no-untyped-call]
        # The weights are no part of the network, whose gradients alone are bounded.
        super().clip_gradients(list(learner.network.parameters()))
        progress = values / learner.first_losses[places].clamp_min(1e-12)
        balance = gradnorm_loss(learner.loss_weights[places], torch.stack(lengths).float(), progress, self.alpha)
        balance.backward()  # type: ignore[no-untyped-call]
        return {name: part.detach() for name, part in {"loss": loss, **parts}.items()}

    def _by_policy(self, learner: MultiTaskLearner, batch: Batch) -> dict[str, Tensor]:
        """The gradients in a step of AdaShare: of the weights, or of the policy, of which each has its turn."""
        step, steps, units = batch["step"], learner.steps, learner.skippable
        search, last = _adashare.stages(steps)
        if not search <= step < last:
            values = super().gradients(learner, batch)
            for unit in units:
                unit.logits.grad = None
            return values
        turn = (step - search) % 2 == 1
        _adashare.sample(units, batch["noise"], _adashare.temperature(step, steps), learning=turn)
        try:
            with autocast(self.precision, learner.device):
                loss, parts = self.loss(learner, batch)
            if turn:
                logits = torch.stack([unit.logits for unit in units])
                extra = self.sparsity * _adashare.sparsity_loss(logits)
                loss = loss + extra + self.sharing_weight * _adashare.sharing_loss(logits)
            loss.backward()  # type: ignore[no-untyped-call]
        finally:
            _adashare.stop_sampling(units)
        policy = {id(unit.logits) for unit in units}
        for parameter in learner.network.parameters():
            if (id(parameter) in policy) != turn:
                parameter.grad = None
        return {name: part.detach() for name, part in {"loss": loss, **parts}.items()}

    def after(self, learner: MultiTaskLearner, step: int) -> None:
        if self.weighting == "gradnorm":
            with torch.no_grad():
                weights = learner.loss_weights.clamp_(min=LEAST_WEIGHT)
                weights.mul_(len(weights) / weights.sum())
        if self.sharing == "adashare" and step + 1 == _adashare.stages(learner.steps)[1]:
            _adashare.settle(learner.skippable, learner.seed)
            _adashare.restart(learner.network, learner.first_weights)
            if learner.average is not None:
                learner.average.network.load_state_dict(learner.network.state_dict())
        super().after(learner, step)

    def schedule(self, step: int, steps: int) -> float:
        if self.sharing == "adashare":
            return _adashare.schedule(step, steps, super().schedule)
        return super().schedule(step, steps)

    def period(self) -> int:
        return 2 if self.sharing == "adashare" else 1

    def facts(self, learner: MultiTaskLearner, steps: int) -> dict[str, Any]:
        facts = super().facts(learner, steps)
        if self.weighting == "gradnorm":
            weights = learner.loss_weights.detach().tolist()
            facts["loss_weights"] = dict(zip(learner.targets.names, (round(each, 4) for each in weights), strict=True))
        if self.weighting == "uncertainty":
            variances = learner.log_variances.detach().exp().tolist()
            facts["variances"] = dict(zip(learner.targets.names, (round(each, 4) for each in variances), strict=True))
        sharing = sharing_of(learner.network)
        return facts if sharing is None else {**facts, "sharing": sharing.to_json()}


def _labels(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The losses by label, of those by the names that listeners see."""
    return {name.partition(" of ")[2]: part for name, part in parts.items()}
