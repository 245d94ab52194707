"""Self-paced learning: rows whose loss is low first, whatever the model thinks is easy."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from manyways.data.storage import RowNumbers
from manyways.errors import NeedsError
from manyways.training.samplers.base import Sampler
from manyways.training.samplers.checks import check_number
from manyways.training.samplers.resting import RestingSampler

if TYPE_CHECKING:
    from manyways.training.learner import Learner


class SelfPaced(RestingSampler):
    """Self-paced learning (Kumar, Packer & Koller, NeurIPS 2010): a row weighs 1 where its loss is below λ, and else 0.

    `base` picks the rows. In the first epoch all weigh the same, and their losses are remembered; then λ is the loss
    below which the share `start` of the rows is, and it grows by the factor `growth` with each epoch. Each class has
    one of its own, so that a hard class is not left out. The weights of a batch are divided by their mean.

    Attributes:
        thresholds: λ of each class, float32 [classes]; NaN in the first epoch.
        losses: The last loss of each training row, float32 [rows]; NaN for those not seen so far.
        epoch: The epoch of the last pick.
    """

    name = "self-paced"
    weighs = True
    thresholds: torch.Tensor
    losses: torch.Tensor
    epoch: torch.Tensor
    kinds: torch.Tensor

    def __init__(self, base: str | Sampler = "auto", *, start: float = 0.5, growth: float = 1.2) -> None:
        """A sampler that weighs rows by their losses.

        Args:
            base: Sampler that picks the rows; auto: the one that the method has otherwise.
            start: Share of the rows that are easy enough at first, in (0, 1].
            growth: Factor of λ from one epoch to the next, 1 or more; Kumar et al. take 1.3.

        Raises:
            ParameterError: A field is out of its range.
        """
        check_number("SelfPaced.start", start, "(0, 1]")
        check_number("SelfPaced.growth", growth, "[1, inf)")
        super().__init__(base)
        self.write(start=(start, 0.5), growth=(growth, 1.2))
        self.start, self.growth = start, growth

    def look(self, learner: "Learner") -> None:
        if not learner.has_row_losses:
            raise NeedsError(
                "The sampler 'self-paced' weighs rows by their losses, and this method has none of single rows. Take a "
                "curriculum: curriculum(difficulty=length), or a column with the role difficulty."
            )
        super().look(learner)
        codes = learner.kinds()
        codes = torch.zeros(learner.count, dtype=torch.int64) if codes is None else codes.clamp_min(0)
        self.register_buffer("kinds", codes, persistent=False)
        self.register_buffer("thresholds", torch.full((int(codes.max()) + 1,), torch.nan))
        self.register_buffer("losses", torch.full((learner.count,), torch.nan))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))

    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        if not seed % 8:  # the labelled rows, not those of another stream
            self._grow(step * size // len(pool))
        return super().positions(pool, size, step, seed)

    def weigh(self, positions: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.losses[positions] = losses.detach().float()
        thresholds = self.thresholds[self.kinds[positions]]
        easy = (thresholds.isnan() | (losses < thresholds)).float()
        return easy / easy.mean().clamp_min(1 / len(easy))

    def facts(self) -> dict[str, Any]:
        seen = ~self.losses.isnan()
        thresholds = self.thresholds[self.kinds]
        easy = seen & (thresholds.isnan() | (self.losses < thresholds))
        return {
            **super().facts(),
            "self_paced": {
                "easy_at_the_end": round(float(easy.sum() / seen.sum().clamp_min(1)), 4),
                "epochs": int(self.epoch),
            },
        }

    def _grow(self, epoch: int) -> None:
        """Set λ by the losses of the first epoch when it ends, and let it grow with each one after."""
        now = int(self.epoch)
        if epoch <= now:
            return
        if now == 0:
            for kind in range(len(self.thresholds)):
                known = self.losses[(self.kinds == kind) & ~self.losses.isnan()]
                if len(known):
                    self.thresholds[kind] = float(np.quantile(known.cpu().numpy(), self.start))
            now = 1
        self.thresholds *= self.growth ** (epoch - now)
        self.epoch.fill_(epoch)
