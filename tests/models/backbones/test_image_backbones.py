"""What holds for the backbones of images."""

import pytest
import torch

from manyways.data.specs import ImageSpec
from manyways.errors import ModelError, ParameterError
from manyways.models.backbones import ImageBackbone, make_backbone
from manyways.models.backbones.vit import sin_cos_positions

pytestmark = pytest.mark.quick

SPEC = ImageSpec(3, 32, 28)
each_name = pytest.mark.parametrize("name", ["convnet", "resnet", "vit"])


def network(name: str) -> ImageBackbone:
    torch.manual_seed(0)
    backbone = make_backbone(name, SPEC, 0.5).eval()
    assert isinstance(backbone, ImageBackbone)
    return backbone


@each_name
def test_bytes_and_floats_are_the_same_image(name: str) -> None:
    pixels = torch.randint(0, 256, (3, 3, 32, 28), dtype=torch.uint8)
    backbone = network(name)
    torch.testing.assert_close(backbone(pixels), backbone(pixels / 255), rtol=0, atol=1e-6)


@each_name
def test_statistics_standardise_each_channel(name: str) -> None:
    pixels = torch.rand(3, 3, 32, 28)
    mean, std = torch.tensor([0.1, 0.4, 0.7]), torch.tensor([0.2, 0.3, 0.6])
    backbone = network(name)
    expected = backbone((pixels - mean[:, None, None]) / std[:, None, None] * 0.5 + 0.5)
    backbone.set_statistics(mean.tolist(), std)
    torch.testing.assert_close(backbone(pixels), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(backbone.state_dict()["mean"], mean)


def test_statistics_that_cannot_be_are_refused() -> None:
    backbone = network("convnet")
    with pytest.raises(ModelError, match=r"reads 3 channel\(s\).* got 1 and 1"):
        backbone.set_statistics([0.5], [0.5])
    with pytest.raises(ParameterError, match="std must be above 0"):
        backbone.set_statistics([0.5] * 3, [0.5, 0.0, 0.5])


def test_positions_of_patches_differ_and_depend_on_rows_and_columns_apart() -> None:
    grid = sin_cos_positions(4, 5, 32).view(4, 5, 32)
    assert torch.pdist(grid.flatten(0, 1)).min() > 0.1
    torch.testing.assert_close(grid[:, :1, :16].expand(-1, 5, -1), grid[..., :16])
    torch.testing.assert_close(grid[:1, :, 16:].expand(4, -1, -1), grid[..., 16:])
    torch.testing.assert_close(grid[2, 0, :8], torch.sin(2 * 10_000.0 ** -(torch.arange(8) / 8)))


@pytest.mark.parametrize("side", [1, 5, 14, 28, 32, 50, 100])
@each_name
def test_any_resolution_gives_features(name: str, side: int) -> None:
    backbone = make_backbone(name, ImageSpec(1, side, side), 0.25).eval()
    assert backbone(torch.rand(2, 1, side, side)).shape == (2, backbone.width)
