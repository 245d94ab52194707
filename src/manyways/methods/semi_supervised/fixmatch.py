"""FixMatch: confident guesses on weak views teach strong views."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.targets import StructuredTarget, Target, kind_of, predictions
from manyways.data.targets.base import PSEUDO_LABELS
from manyways.errors import ParameterError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import LabelledMethod
from manyways.methods.bases.threshold_rules import THRESHOLD_RULES, FreeMatch, ThresholdRule, decay_of
from manyways.methods.fields import Count, Interval, Named, NotNegative, Positive, Share
from manyways.methods.method import Ablations
from manyways.methods.needs import Input, PseudoLabels, Unlabelled
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.training.average import AverageNetwork
from manyways.training.learner import LabelledLearner

BALANCE_DECAY = 0.98


def pseudo_label_loss(target: Target, weak: Tensor, strong: Tensor, weights: Tensor) -> Tensor:
    """The loss of the strong views' outputs against pseudo-labels of the weak views; the mean is over all rows.

    Args:
        target: What the labels are.
        weak: Probabilities [rows, width].
        strong: Outputs [rows, width].
        weights: Weights of the guesses, [rows, questions]: those of weight 0 are unlabelled.
    """
    used = weights > 0
    guess = target.pseudo_labels(weak, torch.where(used, 0.0, torch.inf))
    losses = target.losses(strong, target.where_known(guess, target.known(guess)))
    return (losses * weights.sum(1) / used.sum(1).clamp_min(1)).mean()


def estimated_shares(target: Target, labels: Tensor) -> Tensor:
    """The shares of the classes among all rows, [width], as `labels` of some of them let one estimate it.

    Those of few labels that were drawn at random are far off: they are drawn towards even ones by as much as chance may
    have moved them (James-Stein shrinkage: Hausser & Strimmer, JMLR 2009). A class without a label stays at 0.
    """
    shares, count = target.shares(labels), len(labels)
    if not target.classification or count < 2:
        return shares
    seen = shares > 0
    even = seen.float() / seen.sum()
    apart = (count - 1) * (shares - even).square().sum()
    weight = ((1 - shares.square().sum()) / apart.clamp_min(1e-12)).clamp(0, 1)
    return shares.lerp(even, weight)


class ClassBalance(nn.Module):
    """Frequency of each class among the guesses, against that which the labels let one expect.

    Distribution alignment (Berthelot et al., ReMixMatch, ICLR 2020), which FixMatch adds where labels are fewest:
    guesses are multiplied by wanted / guessed shares, so that a class that swallows its neighbours gets less.
    """

    wanted: Tensor
    guessed: Tensor
    latest: Tensor

    def __init__(self, target: Target, labels: Tensor) -> None:
        super().__init__()
        self.target = target
        shares = estimated_shares(target, labels)
        for name in ("wanted", "guessed", "latest"):
            self.register_buffer(name, shares.clone())

    def forward(self, guesses: Tensor) -> Tensor:
        """`guesses` [rows, classes], aligned."""
        self.latest = guesses.mean(0)
        return self.target.aligned(guesses, self.wanted, self.guessed)

    def follow(self) -> None:
        """Take the latest guesses into the moving average."""
        self.guessed.lerp_(self.latest, 1 - BALANCE_DECAY)


class FixMatchLearner(LabelledLearner):
    """A learner of encoded rows, the average of its network, how often each class is guessed, and how guesses weigh."""

    average: AverageNetwork[Network]
    balance: ClassBalance
    rule: ThresholdRule


@dataclass(frozen=True, kw_only=True)
class FixMatch(LabelledMethod[FixMatchLearner]):
    """Learn from few labels and many unlabelled rows: a guess on a weak view, if confident, labels a strong view."""

    learning_rate: Positive = 5e-3
    """The highest learning rate of AdamW, reached after the warm-up."""
    warmup: Share = 0.3
    """Share of the steps in which the learning rate rises: guesses made too fast are wrong and stay."""
    batch_size: Count = 16
    """Labelled rows in a batch."""
    unlabelled_ratio: Annotated[int, Interval("[1, 64]")] = 4
    """Unlabelled rows in a batch for each labelled one (µ; 7 in the paper)."""
    threshold: Annotated[float, Interval("[0, 1)")] = 0.9
    """Least confidence of a guess that is learned from (τ; 0.95 in the paper, for runs a thousand times longer)."""
    threshold_rule: Annotated[str, Named(THRESHOLD_RULES)] = "fixed"
    """Rule by which guesses count: fixed, by class (flexmatch), by the mean confidence so far (freematch), or a weight
    in place of a threshold (softmatch). Those two need no `threshold`."""
    fairness_weight: NotNegative = 0.0
    """Weight of FreeMatch's fairness term, of its rule alone (0.001 in the paper)."""
    unlabelled_weight: NotNegative = 1.0
    """Weight of the loss on unlabelled rows (λ)."""
    align_classes: bool = True
    """Keep the guessed classes as frequent as the labels let one expect: see `ClassBalance`."""
    average_decay: Annotated[float, Interval("[0, 1)")] = 0.99
    """Decay of the averaged weights that the model keeps; the paper's 0.999 suits runs of many thousand steps."""

    needs: ClassVar = (Input, PseudoLabels, Unlabelled)
    gives: ClassVar = predictions(supporting=PSEUDO_LABELS) | {"embed"}
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    uses_all_rows: ClassVar = True
    recommends: ClassVar = {
        "image": Recommendation("its guesses on images without a label teach it: strongest with few labels", 12),
        "any": Recommendation("its guesses on rows without a label teach it", 26),
    }
    paper: ClassVar = "Sohn et al., FixMatch, NeurIPS 2020"

    field_trials: ClassVar = {"fairness_weight": {"threshold_rule": "freematch", "fairness_weight": 1.0}}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fairness_weight and not issubclass(THRESHOLD_RULES.find(self.threshold_rule), FreeMatch):
            raise ParameterError(
                f"FixMatch.fairness_weight is of the threshold rule 'freematch'; got {self.fairness_weight} with "
                f"threshold_rule={self.threshold_rule!r}. Leave it out, or write threshold_rule='freematch'."
            )

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks(data, model):
            return reason
        if kind_of(data).structured and self.threshold_rule != "fixed":
            return (
                f"its threshold rule {self.threshold_rule!r} counts classes, and the label {data.label.name!r} is of "
                f"the kind {kind_of(data).kind}. Take threshold_rule='fixed'."
            )
        return None

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        """With guesses that count from the first step on."""
        return cls(threshold=0.1)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its unlabelled rows": (replace(self, unlabelled_weight=0.0), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> FixMatchLearner:
        learner = super().begin(data, model, seed)
        learner.average = AverageNetwork(learner.network, self.average_decay)
        if learner.target.structured:
            return learner
        learner.balance = ClassBalance(learner.target, learner.labels_at(learner.labelled))
        learner.rule = THRESHOLD_RULES.find(self.threshold_rule)(learner.target, len(learner.rows), self.threshold)
        return learner

    def draw(self, learner: FixMatchLearner, step: int, rng: torch.Generator) -> Batch:
        positions = learner.pick(learner.labelled, self.batch_size, step)
        guessed = learner.pick(learner.unlabelled, self.batch_size * self.unlabelled_ratio, step, 1)
        target, hidden = learner.target, learner.take(guessed)
        labelled = learner.see("weak", positions, rng)
        strong = target.unmoved(learner.views, "strong", hidden, rng)
        if target.structured:  # whose views may be of another size
            weak = target.unmoved(learner.views, "weak", hidden, rng)
            return {**labelled, "weak": weak, "strong": strong}
        taught = {name: torch.cat([labelled["inputs"][name], strong[name]]) for name in hidden}
        return {
            **labelled,
            "weak": target.unmoved(learner.views, "weak", hidden, rng),
            "taught": taught,
            "guessed": torch.from_numpy(guessed).to(learner.device),
        }

    def loss(self, learner: FixMatchLearner, batch: Batch) -> Loss:
        if isinstance(learner.target, StructuredTarget):
            return self._loss_of_structure(learner, learner.target, batch)
        with torch.no_grad():  # guesses are targets: a backward pass through them would cost and change nothing
            weak = learner.target.probabilities(learner.network(batch["weak"]))
            aligned = learner.balance(weak)
            guesses = aligned if self.align_classes else weak
            weights = learner.rule(learner.target.answers(guesses), batch["guessed"], decay_of(learner.steps))
        outputs, labelled = learner.network(batch["taught"]), len(batch["labels"])
        supervised = learner.label_loss(outputs[:labelled], batch)
        consistency = pseudo_label_loss(learner.target, guesses, outputs[labelled:], weights)
        parts = {"supervised": supervised, "consistency": consistency, "confident": weights.mean()}
        loss = supervised + self.unlabelled_weight * consistency
        if self.fairness_weight and isinstance(learner.rule, FreeMatch):
            strong = learner.target.probabilities(outputs[labelled:])
            parts["fairness"] = learner.rule.fairness(learner.target.answers(strong), weights)
            loss = loss + self.fairness_weight * parts["fairness"]
        return loss, parts

    def _loss_of_structure(self, learner: FixMatchLearner, target: StructuredTarget, batch: Batch) -> Loss:
        """As `loss`: each part of a guess (a word's tag, a pixel's class) counts where it is sure enough."""
        with torch.no_grad():
            guesses, share = target.pseudo_labels_of(learner.network(batch["weak"]), self.threshold)
        supervised = learner.label_loss(learner.network(batch["inputs"]), batch)
        # Rows with few sure parts count as much less: the mean is over all parts of all rows.
        consistency = (share * target.losses(learner.network(batch["strong"]), guesses)).mean()
        parts = {"supervised": supervised, "consistency": consistency, "confident": share.mean()}
        return supervised + self.unlabelled_weight * consistency, parts

    def after(self, learner: FixMatchLearner, step: int) -> None:
        learner.average.follow(learner.network, step)
        if learner.target.structured:
            return
        learner.balance.follow()
        learner.rule.follow()

    def finish(self, learner: FixMatchLearner) -> Network:
        return learner.average.network

    def examples_per_step(self, learner: FixMatchLearner) -> int:
        return self.batch_size * (1 + self.unlabelled_ratio)
