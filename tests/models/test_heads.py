"""Heads: from features to outputs, found again by their names."""

from collections.abc import Mapping

import pytest
import torch

import manyways as mw
from manyways.data.targets import ClassTarget
from manyways.errors import ModelError
from manyways.models.backbones.tokens import Tokens
from manyways.models.heads import HEADS, Head, LinearHead, NormalisedHead


@pytest.mark.quick
def test_linear_is_an_affine_map() -> None:
    head = LinearHead(3, 2)
    x = torch.tensor([[1.0, 2.0, 3.0]])
    torch.testing.assert_close(head(x), x @ head.linear.weight.T + head.linear.bias)


@pytest.mark.quick
def test_normalised_is_an_affine_map_of_features_by_their_own_mean_and_deviation() -> None:
    head = NormalisedHead(4, 2)
    x = torch.tensor([[1.0, 2.0, 3.0, 6.0], [0.0, 1.0, 0.0, 1.0]])
    assert not head(x).any(), "it begins at zero"
    torch.nn.init.eye_(head.linear.weight)
    expected = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(head(x), expected[:, :2])


@pytest.mark.quick
def test_a_head_is_made_again_from_its_name_and_config() -> None:
    head = HEADS.rebuild({"name": "linear", "width": 4, "outputs": 3})
    assert isinstance(head, LinearHead)
    assert head.config == {"width": 4, "outputs": 3}
    assert head(torch.zeros(2, 4)).shape == (2, 3)


@pytest.mark.quick
def test_heads_that_methods_define_are_found() -> None:
    head = HEADS.rebuild({"name": "centroids", "centres": 2, "width": 3, "outputs": 5})
    assert head(torch.zeros(7, 3)).shape == (7, 5)


@pytest.mark.quick
def test_an_unknown_head_and_a_wrong_config_are_refused() -> None:
    with pytest.raises(ModelError, match=r"There is no head 'quadratic'; heads are .*centroids"):
        HEADS.rebuild({"name": "quadratic"})
    with pytest.raises(ModelError, match="The saved description of the head 'linear' does not fit: .*depth"):
        HEADS.rebuild({"name": "linear", "depth": 3})
    with pytest.raises(ModelError, match="There is no head None"):
        HEADS.rebuild({})


class Peaks(Head):
    """The largest of each feature over the positions of an input, and a linear map of them."""

    name = "peaks"
    reads_tokens = True

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.config, self.width = {"width": width, "outputs": outputs}, width
        self.linear = torch.nn.Linear(width, outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        raise AssertionError("it reads tokens")

    def from_tokens(self, tokens: Mapping[str, Tokens]) -> torch.Tensor:
        peaks = torch.cat([part.features.amax(1) for part in tokens.values()], 1)
        outputs: torch.Tensor = self.linear(peaks)
        return outputs


def test_a_head_may_read_tokens_and_a_target_names_its_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HEADS._entries, "peaks", Peaks)
    monkeypatch.setitem(HEADS._places, "peaks", 0)
    monkeypatch.setattr(ClassTarget, "head", "peaks")
    data = mw.read("digits").with_test(0.3)
    model = mw.Supervised().fit(data, budget=150)
    assert isinstance(model.network.head, Peaks)
    assert model.evaluate(data.test)["accuracy"] > 0.8
