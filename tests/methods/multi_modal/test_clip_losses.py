"""CLIP's loss and SigLIP's: in closed form, by loops, and of pairs that repeat."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from manyways.methods.multi_modal.clip import pair_loss, sigmoid_pair_loss
from manyways.randomness import generator

pytestmark = pytest.mark.quick


def vectors(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    a, b = normalize(torch.randn(2, rows, 6, generator=generator(seed), dtype=torch.float64), dim=2).unbind()
    return a, b


@pytest.mark.parametrize(("rows", "scale"), [(2, 1.0), (5, 14.3), (16, 100.0)])
def test_pair_loss_by_loops(rows: int, scale: float) -> None:
    """The mean over both directions of −log of the share that the partner has."""
    a, b = vectors(rows, rows)
    total = 0.0
    for first, second in ((a, b), (b, a)):
        for i in range(rows):
            likes = [math.exp(scale * float(first[i] @ second[j])) for j in range(rows)]
            total -= math.log(likes[i] / sum(likes)) / rows
    loss = pair_loss(a, b, torch.tensor(scale, dtype=torch.float64))
    assert float(loss) == pytest.approx(total / 2, rel=1e-9)


def test_pair_loss_in_closed_form() -> None:
    """Partners equal and strangers orthogonal: log(1 + (N − 1) e^−s); all equal: log N."""
    eye, scale = torch.eye(8), torch.tensor(3.0)
    assert float(pair_loss(eye, eye, scale)) == pytest.approx(math.log(1 + 7 * math.exp(-3)), rel=1e-5)
    same = torch.ones(8, 1)
    assert float(pair_loss(same, same, scale)) == pytest.approx(math.log(8), rel=1e-5)


@pytest.mark.parametrize(("rows", "scale", "bias"), [(2, 1.0, 0.0), (5, 10.0, -10.0), (16, 30.0, -5.0)])
def test_sigmoid_pair_loss_by_loops(rows: int, scale: float, bias: float) -> None:
    a, b = vectors(rows, rows)
    total = 0.0
    for i in range(rows):
        for j in range(rows):
            sign = 1 if i == j else -1
            total += math.log(1 + math.exp(-sign * (scale * float(a[i] @ b[j]) + bias)))
    loss = sigmoid_pair_loss(a, b, *torch.tensor([scale, bias], dtype=torch.float64))
    assert float(loss) == pytest.approx(total / rows, rel=1e-9)


def test_sigmoid_pair_loss_in_closed_form() -> None:
    """Partners equal and strangers orthogonal: log(1 + e^−(s + b)) + (N − 1) log(1 + e^b)."""
    eye = torch.eye(4, dtype=torch.float64)
    loss = sigmoid_pair_loss(eye, eye, torch.tensor(10.0), torch.tensor(-10.0))
    assert float(loss) == pytest.approx(math.log(2) + 3 * math.log(1 + math.exp(-10)), rel=1e-9)


def test_what_repeats_is_no_stranger() -> None:
    """With rows 0 and 1 of one name, neither loss changes when they come nearer to each other's partner."""
    a, b = vectors(4, 0)
    same = torch.eye(4, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    scale, bias = torch.tensor(5.0, dtype=torch.float64), torch.tensor(-2.0, dtype=torch.float64)
    logits = scale * a @ b.T
    left = [[0, 2, 3], [1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]]
    expected = 0.0
    for table in (logits, logits.T):
        for i, among in enumerate(left):
            expected -= float(table[i, i] - table[i, among].logsumexp(0)) / 8
    assert float(pair_loss(a, b, scale, same)) == pytest.approx(expected, rel=1e-9)
    alone, told = (float(sigmoid_pair_loss(a, b, scale, bias, each)) for each in (None, same))
    moved = 2 * torch.tensor([float(logits[0, 1]), float(logits[1, 0])]) + 2 * -2.0
    assert alone - told == pytest.approx(float(moved.sum()) / 2 / 4, rel=1e-5)  # log(1+e^x) − log(1+e^−x) = x


@pytest.mark.parametrize("rows", [3, 9])
def test_the_losses_pull_partners_together(rows: int) -> None:
    for loss in (pair_loss, lambda *given: sigmoid_pair_loss(*given, torch.tensor(-2.0))):
        a, b = vectors(rows, 1)
        for _ in range(200):
            b = b.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(loss(a, normalize(b, dim=1), torch.tensor(5.0)), b)
            b = b - slope
        assert torch.equal((a @ normalize(b.detach(), dim=1).T).argmax(1), torch.arange(rows))
