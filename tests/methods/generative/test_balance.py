"""Balance: when a game between two networks is lost."""

import pytest
import torch

from manyways.methods.generative._balance import Balance

pytestmark = pytest.mark.quick


def test_how_the_game_stands() -> None:
    """A discriminator that is always right is trouble after 300 steps on end, not before; one slip begins anew."""
    balance, rows = Balance(), torch.randn(8, 4)

    def play(steps: int, real: float, drawn: float) -> None:
        for _ in range(steps):
            balance.notice(torch.full((8,), real), torch.full((8,), drawn), rows, rows)

    play(600, 3.0, -3.0)
    assert not balance.sound
    trouble = balance.trouble(1000)
    assert trouble is not None
    assert "the discriminator has told 100.0% of the rows apart" in trouble
    assert "a smaller discriminator_rate, or more training rows" in trouble
    assert balance.trouble(100_000) is None, "in a long run it may recover"
    play(1, -3.0, 3.0)
    assert balance.sound
    assert balance.trouble(1000) is None
