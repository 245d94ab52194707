"""Heads: from features to outputs, found again by their names."""

import pytest
import torch

from manyways.errors import ModelError
from manyways.models.heads import LinearHead, NormalisedHead, rebuild_head


def test_linear_is_an_affine_map() -> None:
    head = LinearHead(3, 2)
    x = torch.tensor([[1.0, 2.0, 3.0]])
    torch.testing.assert_close(head(x), x @ head.linear.weight.T + head.linear.bias)


def test_a_step_from_a_normalised_head_is_a_product_of_normalised_features() -> None:
    head, shots = NormalisedHead(4, 2), torch.tensor([[9.0, 1.0, 0.0, 2.0], [0.0, 0.1, 0.3, 0.0]])
    assert head(shots).abs().max() == 0
    torch.nn.functional.cross_entropy(head(shots), torch.arange(2)).backward()
    near = head.norm(shots)
    assert head.linear.weight.grad is not None
    torch.testing.assert_close(head.linear.weight.grad[0], -(near[0] - near[1]) / 4)


def test_a_head_is_made_again_from_its_name_and_config() -> None:
    head = rebuild_head({"name": "linear", "width": 4, "outputs": 3})
    assert isinstance(head, LinearHead)
    assert head.config == {"width": 4, "outputs": 3}
    assert head(torch.zeros(2, 4)).shape == (2, 3)


def test_heads_that_methods_define_are_found() -> None:
    head = rebuild_head({"name": "centroids", "centres": 2, "width": 3, "outputs": 5})
    assert head(torch.zeros(7, 3)).shape == (7, 5)


def test_an_unknown_head_and_a_wrong_config_are_refused() -> None:
    with pytest.raises(ModelError, match=r"The model has a head 'quadratic'; known are .*centroids.*linear"):
        rebuild_head({"name": "quadratic"})
    with pytest.raises(ModelError, match="The saved description of the head 'linear' does not fit: .*depth"):
        rebuild_head({"name": "linear", "depth": 3})
    with pytest.raises(ModelError, match="The model has a head None"):
        rebuild_head({})
