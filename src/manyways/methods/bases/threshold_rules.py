"""Threshold rules: the confidence with which a pseudo-label is learned from, fixed or following the training.

A rule weighs each guess of a batch of unlabelled rows. Those that follow the training are of methods whose runs have a
million steps and moving averages of decay 0.999: here the decay is 1 − 10 / steps, so that in a run of 500 steps they
leave their start, too; longer runs than 10,000 steps have the papers' decay.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from manyways.data.targets import Target
from manyways.registry import Classes

PAPER_DECAY, STEPS_TO_FORGET = 0.999, 10
UNSEEN, UNSURE = -2, -1
DEVIATIONS = 2.0
"""Of SoftMatch: the weight falls with the squared distance below the mean in so many halves of a deviation (n_σ)."""


def decay_of(steps: int) -> float:
    """The decay of moving averages in a run of `steps`."""
    return min(PAPER_DECAY, max(0.0, 1 - STEPS_TO_FORGET / steps))


class ThresholdRule(nn.Module, ABC):
    """A rule that weighs guesses; what it holds of the training is in its buffers.

    Guesses are probabilities [rows, questions, answers] as `Target.answers` gives them: of one class of several there
    is one question, of several labels a row each is one with two answers.

    Args:
        target: What the labels are.
        rows: Number of training rows.
        threshold: The method's threshold, for rules that have one.
    """

    name: ClassVar[str]

    def __init__(self, target: Target, rows: int, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.shape = target.answers(torch.zeros(1, target.width)).shape[1:]

    @abstractmethod
    def forward(self, answers: Tensor, positions: Tensor, decay: float) -> Tensor:
        """The weights in [0, 1] of guesses, [rows, questions]; 0 is not learned from.

        Args:
            answers: The guesses.
            positions: The rows' positions among the training rows, int64 [rows].
            decay: The decay of moving averages.
        """

    def follow(self) -> None:
        """Take the latest guesses into what the rule holds of the training."""


class Fixed(ThresholdRule):
    """The same threshold for all guesses in all steps (Sohn et al., FixMatch, NeurIPS 2020)."""

    name = "fixed"

    def forward(self, answers: Tensor, positions: Tensor, decay: float) -> Tensor:
        return (answers.amax(2) >= self.threshold).float()


class FlexMatch(ThresholdRule):
    """A threshold per class, the lower the fewer rows were surely of it (Zhang et al., FlexMatch, NeurIPS 2021).

    It is τ · β / (2 − β), where β is how many rows were last surely of the class, divided by the most of any class, or
    by those that never were sure of any if these are more (the warm-up). Rows that were not drawn yet count for
    neither: in the paper's runs every row is drawn hundreds of times, in short ones most are not once.
    """

    name = "flexmatch"
    latest_sure: Tensor

    def __init__(self, target: Target, rows: int, threshold: float) -> None:
        super().__init__(target, rows, threshold)
        self.register_buffer("latest_sure", torch.full((rows, self.shape[0]), UNSEEN))
        self._seen: tuple[Tensor, Tensor] | None = None

    def learned(self) -> Tensor:
        """The share β in [0, 1] to which each answer is learned, [questions, answers]."""
        _, answers = self.shape
        counts = [torch.bincount(row - UNSEEN, minlength=answers + 2)[1:] for row in self.latest_sure.unbind(1)]
        counted = torch.stack(counts)  # the never sure first, then each answer
        return counted[:, 1:] / counted.amax(1, keepdim=True).clamp_min(1)

    def forward(self, answers: Tensor, positions: Tensor, decay: float) -> Tensor:
        confidence, guess = answers.max(2)
        latest = self.latest_sure[positions].clamp_min(UNSURE)
        self._seen = (positions, guess.where(confidence >= self.threshold, latest))
        learned = self.learned()
        thresholds = self.threshold * learned / (2 - learned)
        return (confidence >= of_guesses(thresholds, guess)).float()

    def follow(self) -> None:
        if self._seen is not None:
            positions, latest = self._seen
            self.latest_sure[positions] = latest
            self._seen = None


class Averaging(ThresholdRule):
    """A rule of moving averages over steps, which take a step's guesses in before these are weighed."""

    averages: Tensor
    latest: Tensor

    def __init__(self, target: Target, rows: int, threshold: float) -> None:
        super().__init__(target, rows, threshold)
        for name in ("averages", "latest"):
            self.register_buffer(name, self.start())

    @abstractmethod
    def start(self) -> Tensor:
        """The averages before the first step, [questions, numbers]."""

    def follow(self) -> None:
        self.averages.copy_(self.latest)


class FreeMatch(Averaging):
    """A threshold that is the mean confidence so far, lower for rarer classes (Wang et al., FreeMatch, ICLR 2023).

    It is τ · p / max p with the mean confidence τ and the mean probability p of each class, both moving averages. How
    often each class is guessed is averaged, too, for the fairness term.
    """

    name = "freematch"

    def start(self) -> Tensor:
        questions, answers = self.shape
        return torch.full((questions, 1 + 2 * answers), 1 / answers)

    def forward(self, answers: Tensor, positions: Tensor, decay: float) -> Tensor:
        confidence, guess = answers.max(2)
        guessed = one_hot(guess, self.shape[1]).float()
        statistics = torch.cat([confidence.mean(0)[:, None], answers.mean(0), guessed.mean(0)], dim=1)
        self.latest = self.averages.lerp(statistics, 1 - decay)
        shares = self.latest[:, 1 : 1 + self.shape[1]]
        thresholds = self.latest[:, :1] * shares / shares.amax(1, keepdim=True)
        return (confidence >= of_guesses(thresholds, guess)).float()

    def fairness(self, strong: Tensor, weights: Tensor) -> Tensor:
        """Minus the cross-entropy of the classes' shares against those among strong views, each by how often guessed.

        It keeps a class from taking all guesses. Both shares are divided by how often their class is the most probable,
        so that they need not be even.

        Args:
            strong: Probabilities of the strong views, [rows, questions, answers].
            weights: Their weights, [rows, questions]; the rows of weight 0 do not count.
        """
        shares, guessed = torch.split(self.latest[:, 1:], self.shape[1], dim=1)
        count = weights.sum(0)[:, None]
        mean = (strong * weights[..., None]).sum(0) / count.clamp_min(1)
        most_probable = one_hot(strong.argmax(2), self.shape[1]).float()
        often = (most_probable * weights[..., None]).sum(0) / count.clamp_min(1)
        wanted, given = normalised(quotient(shares, guessed)), normalised(quotient(mean, often))
        return ((wanted * (given + 1e-12).log()).sum(1) * (count[:, 0] > 0)).mean()


class SoftMatch(Averaging):
    """A weight in place of a threshold: a Gaussian below the mean confidence (Chen et al., SoftMatch, ICLR 2023).

    It is exp(−min(0, confidence − μ)² n² / 2σ²) with n = 2 and moving averages of the mean μ and the variance σ² of the
    confidence, which is that of guesses whose classes are made even first (uniform alignment). What is learned from is
    the guess as it was.
    """

    name = "softmatch"

    def start(self) -> Tensor:
        questions, answers = self.shape
        even = torch.full((questions, 1 + answers), 1 / answers)
        return torch.cat([even[:, :1], torch.ones(questions, 1), even[:, 1:]], dim=1)

    def forward(self, answers: Tensor, positions: Tensor, decay: float) -> Tensor:
        shares = self.averages[:, 2:].lerp(answers.mean(0), 1 - decay)
        confidence = normalised(answers / (shares * self.shape[1]).clamp_min(1e-6)).amax(2)
        moments = torch.stack([confidence.mean(0), confidence.var(0, correction=int(len(confidence) > 1))], dim=1)
        self.latest = torch.cat([self.averages[:, :2].lerp(moments, 1 - decay), shares], dim=1)
        mean, variance = self.latest[:, 0], self.latest[:, 1].clamp_min(1e-12)
        return (-((confidence - mean).clamp_max(0).square() * DEVIATIONS**2) / (2 * variance)).exp()


def of_guesses(per_answer: Tensor, guess: Tensor) -> Tensor:
    """The numbers [questions, answers] of the answers that were guessed, [rows, questions]."""
    return per_answer.expand(len(guess), -1, -1).gather(2, guess[..., None])[..., 0]


def quotient(values: Tensor, by: Tensor) -> Tensor:
    """`values` / `by`, 0 where `by` is 0."""
    return torch.where(by > 0, values / by.clamp_min(1e-12), 0.0)


def normalised(values: Tensor) -> Tensor:
    """`values` with a sum of 1 over the last axis."""
    return values / values.sum(-1, keepdim=True).clamp_min(1e-12)


THRESHOLD_RULES: Classes[ThresholdRule] = Classes("threshold_rules", ThresholdRule, __name__)
"""Every rule by its name: those of this module, and of the entry-point group `manyways.threshold_rules`."""
