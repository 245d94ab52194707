"""Batch normalisation that is alone: torch's values and right second derivatives, inside transforms and outside."""

import pytest
import torch
from torch.func import grad
from torch.nn.functional import batch_norm

from manyways.models.backbones._layers import batch_normalised

pytestmark = pytest.mark.quick

SHAPES = [(6, 3), (4, 3, 5), (3, 2, 4, 5)]


def rows(shape: tuple[int, ...]) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    sizes = (shape, shape[1:2], shape[1:2])
    return [torch.randn(size, generator=rng, dtype=torch.float64, requires_grad=True) for size in sizes]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_are_those_of_torch(shape: tuple[int, ...]) -> None:
    x, weight, bias = rows(shape)
    wanted = batch_norm(x, None, None, weight, bias, training=True, eps=1e-5)
    torch.testing.assert_close(batch_normalised(x, weight, bias, 1e-5), wanted)
    transformed = torch.vmap(lambda each: batch_normalised(each, weight, bias, 1e-5))(x[None])[0]
    torch.testing.assert_close(transformed, wanted)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_first_and_second_derivatives_are_right(shape: tuple[int, ...]) -> None:
    def normalised(*given: torch.Tensor) -> torch.Tensor:
        return batch_normalised(*given, 1e-3)

    assert torch.autograd.gradcheck(normalised, rows(shape))
    assert torch.autograd.gradgradcheck(normalised, rows(shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients_inside_a_transform_are_those_outside(shape: tuple[int, ...]) -> None:
    given = rows(shape)

    def loss(*some: torch.Tensor) -> torch.Tensor:
        return batch_normalised(*some, 1e-3).pow(3).sum()

    for one, other in zip(grad(loss, argnums=(0, 1, 2))(*given), torch.autograd.grad(loss(*given), given), strict=True):
        torch.testing.assert_close(one, other)
