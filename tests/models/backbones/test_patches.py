"""Backbones of patches: an encoder that sees visible patches only."""

import pytest
import torch

from manyways.data.encoders.series import SeriesSpec
from manyways.data.specs import ImageSpec, Spec
from manyways.models.backbones import make_backbone
from manyways.models.backbones._patches import PatchBackbone, PatchMask
from manyways.randomness import generator

pytestmark = pytest.mark.quick
SPECS: dict[str, Spec] = {"vit": ImageSpec(3, 14, 10), "patch-transformer": SeriesSpec(2, 24)}


def part_of(name: str) -> PatchBackbone:
    torch.manual_seed(0)
    part = make_backbone(name, SPECS[name], 0.5).eval()
    assert isinstance(part, PatchBackbone)
    return part


def rows_of(name: str, count: int = 3) -> torch.Tensor:
    rows = torch.rand(count, *SPECS[name].shape, generator=generator(1))
    return rows if name == "vit" else rows.double()


@pytest.mark.parametrize("name", SPECS)
def test_the_three_steps_are_the_tokens(name: str) -> None:
    part, rows = part_of(name), rows_of(name)
    steps = part.encoded(part.embedded(part.patch_values(rows)))
    torch.testing.assert_close(part.tokens(rows).features, steps.reshape(len(rows), -1, part.width))


@pytest.mark.parametrize("name", SPECS)
def test_the_encoder_sees_nothing_of_hidden_patches(name: str) -> None:
    """Other values at hidden places change nothing; at visible ones they do."""
    part, rows = part_of(name), rows_of(name)
    values = part.patch_values(rows)
    mask = PatchMask.random(len(values), values.shape[1], 0.5, generator(2))
    seen = part.visible(values, mask)
    assert seen.shape == (len(values), mask.visible, part.width)
    for positions, same in ((mask.hidden, True), (mask.kept, False)):
        other = values.scatter(1, positions[..., None].expand(-1, -1, values.shape[2]), 9.0)
        assert torch.equal(part.visible(other, mask), seen) is same


def test_a_visible_patch_keeps_its_place() -> None:
    """What is encoded alone is what the whole encoder makes of the same patches where all are visible."""
    part, rows = part_of("vit"), rows_of("vit")
    values = part.patch_values(rows)
    everything = PatchMask(torch.rand(values.shape[:2], generator=generator(3)).argsort(1), values.shape[1])
    torch.testing.assert_close(everything.whole(part.visible(values, everything), torch.zeros(part.width)),
                               part.tokens(rows).features)  # fmt: skip


@pytest.mark.parametrize(("share", "hidden"), [(0.75, 37), (0.5, 24), (1e-6, 1), (1.0, 48)])
def test_a_share_is_hidden_of_every_row_each_its_own(share: float, hidden: int) -> None:
    mask = PatchMask.random(64, 49, share, generator(0))
    assert mask.hidden.shape == (64, hidden)
    assert torch.equal(mask.order.sort(1).values, torch.arange(49).expand(64, -1))
    assert len({tuple(sorted(row)) for row in mask.kept.tolist()}) > 20
    counts = torch.bincount(mask.kept.flatten(), minlength=49)
    if share == 0.5:
        assert 15 < counts.min() <= counts.max() < 50  # of 64 · 25/49 = 33


def test_kept_and_hidden_values_stand_in_their_places() -> None:
    values = torch.arange(10.0).view(2, 5, 1)
    mask = PatchMask(torch.tensor([[4, 0, 1, 3, 2], [1, 2, 0, 4, 3]]), 2)
    assert mask.kept_of(values).flatten(1).tolist() == [[4, 0], [6, 7]]
    assert mask.hidden_of(values).flatten(1).tolist() == [[1, 3, 2], [5, 9, 8]]
    assert mask.whole(mask.kept_of(values), torch.tensor([-1.0])).flatten(1).tolist() == [
        [0, -1, -1, -1, 4],
        [-1, 6, 7, -1, -1],
    ]
