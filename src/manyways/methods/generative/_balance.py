"""State of a game between a generator and a discriminator, and when it is lost."""

import torch
from torch import Tensor, nn

MEMORY = 0.98
"""Of the averages: they look back over about 50 steps."""
ALWAYS_RIGHT = 0.995
ALL_ALIKE = 0.05
PATIENCE = 300
PATIENCE_SHARE = 0.1
"""The game is lost when it stands badly for so many steps, and for so large a share of all."""


class Balance(nn.Module):
    """Moving averages over the last steps, and for how many steps on end they have been bad.

    told_apart: the share of rows, real and drawn, that the discriminator is right about. spread: how much drawn rows
    differ from one another, as a share of how much real ones do. All survive a restart.
    """

    told_apart: Tensor
    spread: Tensor
    right_for: Tensor
    alike_for: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("told_apart", torch.tensor(0.5))
        self.register_buffer("spread", torch.tensor(1.0))
        self.register_buffer("right_for", torch.tensor(0))
        self.register_buffer("alike_for", torch.tensor(0))

    @torch.no_grad()
    def notice(self, said_of_real: Tensor, said_of_drawn: Tensor, real: Tensor, drawn: Tensor) -> None:
        """Take in the logits of a step [n] and the rows that they are of."""
        right = ((said_of_real > 0).float().mean() + (said_of_drawn < 0).float().mean()) / 2
        spread = drawn.float().std(0).mean() / real.float().std(0).mean().clamp_min(1e-6)
        self.told_apart.lerp_(right, 1 - MEMORY)
        self.spread.lerp_(spread, 1 - MEMORY)
        for count, bad in ((self.right_for, self.told_apart > ALWAYS_RIGHT), (self.alike_for, self.spread < ALL_ALIKE)):
            count.add_(1).mul_(bad)

    @property
    def sound(self) -> bool:
        """True if nothing is wrong."""
        return int(self.right_for) == 0 and int(self.alike_for) == 0

    def trouble(self, steps: int) -> str | None:
        """The reason why the game is lost, and what to try; None while it is not. steps: those of the whole run."""
        patience = max(PATIENCE, round(PATIENCE_SHARE * steps))
        if int(self.alike_for) >= patience:
            return (
                f"For {int(self.alike_for)} steps drawn rows have been nearly all alike: they differ "
                f"{float(self.spread):.1%} as much as real ones. Try a larger penalty, a tenth of the learning rate, "
                "or more rows in a batch."
            )
        if int(self.right_for) >= patience:
            return (
                f"For {int(self.right_for)} steps the discriminator has told {float(self.told_apart):.1%} of the rows "
                "apart, so that the generator learns nothing from it. Try a larger penalty, a smaller "
                "discriminator_rate, or more training rows."
            )
        return None
