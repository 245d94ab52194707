"""Token ids to features."""

import pytest
import torch

from manyways.data.specs import TextSpec
from manyways.models.backbones import Backbone, make_backbone

pytestmark = pytest.mark.quick

SPEC = TextSpec(vocabulary=30, length=16)


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(0)
    return make_backbone("text-transformer", SPEC).eval()


def padded(*texts: list[int], length: int) -> torch.Tensor:
    return torch.tensor([text + [0] * (length - len(text)) for text in texts])


def test_padding_changes_nothing(backbone: Backbone) -> None:
    short, long = [3, 5, 9], [3, 8, 7, 12, 20, 4]
    together = backbone(padded(short, long, length=16))
    torch.testing.assert_close(together[:1], backbone(padded(short, length=3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together[1:], backbone(padded(long, length=9)), rtol=1e-4, atol=1e-5)


def test_the_content_of_masked_positions_is_out_of_reach(backbone: Backbone) -> None:
    with torch.no_grad():
        before = backbone(padded([3, 5, 9], [3, 5, 9, 8, 8], length=8))
        backbone.get_parameter("embedding.weight")[0] += 100
        after = backbone(padded([3, 5, 9], [3, 5, 9, 8, 8], length=8))
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_the_order_of_words_shows_in_the_context_but_not_in_the_bag(backbone: Backbone) -> None:
    context, bag = backbone(padded([3, 5, 9, 7], [3, 9, 7, 5], length=4)).chunk(2, dim=1)
    torch.testing.assert_close(bag[0], bag[1], rtol=1e-4, atol=1e-5)
    assert (context[0] - context[1]).abs().max() > 1e-2


def test_columns_of_padding_cost_nothing(backbone: Backbone) -> None:
    seen: list[int] = []
    backbone.get_submodule("blocks.0").register_forward_hook(lambda _, args, __: seen.append(args[0].shape[1]))
    backbone(padded([3, 5, 9], [3, 5, 0, 9, 4], length=16))
    assert seen == [5]


def test_an_empty_row_gives_finite_features_and_gradients(backbone: Backbone) -> None:
    features = backbone(padded([], [3, 4], length=4))
    features.square().sum().backward()
    assert features.isfinite().all()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in backbone.parameters())


def test_stored_int32_ids_are_read(backbone: Backbone) -> None:
    ids = padded([3, 5, 9], length=3)
    assert torch.equal(backbone(ids.int()), backbone(ids))
