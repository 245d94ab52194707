"""Backbones of frames: each frame hears 50 ms, its context only what it may, and silence at the end is no frame."""

import pytest
import torch
from torch import Tensor

from manyways.data.specs import AudioSpec
from manyways.models.backbones import make_backbone
from manyways.models.backbones._frames import FrameBackbone

pytestmark = pytest.mark.quick

RATE, SAMPLES = 8000, 4000
HOP = 160
"""Samples in 20 ms."""


def backbone(name: str) -> FrameBackbone:
    torch.manual_seed(0)
    made = make_backbone(name, AudioSpec(RATE, SAMPLES), 0.25).eval()
    assert isinstance(made, FrameBackbone)
    return made


def noise(rows: int = 1) -> Tensor:
    return torch.randint(-9000, 9000, (rows, SAMPLES), generator=torch.Generator().manual_seed(1)).short()


@pytest.mark.parametrize("name", ["audio-gru", "audio-transformer"])
def test_a_frame_every_20_ms_until_the_last_sample_that_sounds(name: str) -> None:
    waves = noise(4)
    waves[1, 1600:] = 0
    waves[2, 1599:] = 0
    waves[3] = 0
    tokens = backbone(name).tokens(waves)
    assert tokens.mask is not None
    assert tokens.grid == (SAMPLES // HOP + 1,)
    assert tokens.mask.sum(1).tolist() == [26, 11, 10, 1]
    assert backbone(name).counts(waves).tolist() == [26, 11, 10, 1]


@pytest.mark.parametrize("name", ["audio-gru", "audio-transformer"])
def test_a_frame_hears_what_is_around_it_alone(name: str) -> None:
    """A change of the wave moves frames near it, beyond what the loudness of the whole clip does to all."""
    made, waves = backbone(name), noise()
    other = waves.clone()
    other[:, 12 * HOP : 13 * HOP] = other[:, 12 * HOP : 13 * HOP].flip(1)
    moved = (made.frames(other).features - made.frames(waves).features).norm(dim=2)[0]
    near = set(moved.topk(4).indices.tolist())
    assert near <= {10, 11, 12, 13, 14, 15}
    assert moved[[0, 5, 20, 25]].max() < 0.05 * moved.max()


@pytest.mark.parametrize(("name", "before"), [("audio-gru", False), ("audio-transformer", True)])
def test_the_context_of_a_frame_is_causal_or_not(name: str, before: bool) -> None:
    made = backbone(name)
    frames = made.frames(noise())
    changed = frames.features.clone()
    changed[:, 12] += 1
    moved = (made.context(type(frames)(changed, frames.mask, frames.grid)).features - made.context(frames).features)[0]
    reached = moved.norm(dim=1) > 1e-6
    assert reached[12:].any()
    assert bool(reached[:12].any()) == before == (not made.causal)


@pytest.mark.parametrize("name", ["audio-gru", "audio-transformer"])
def test_what_lies_behind_the_end_changes_nothing(name: str) -> None:
    """The frames of silence at the end are neither attended to nor pooled."""
    made = backbone(name)
    waves = noise(2)
    waves[0, 2000:] = 0
    frames = made.frames(waves)
    other = frames.features.clone()
    other[0, int(made.counts(waves)[0]) :] = 7.0
    first, second = (
        made.pool(made.context(type(frames)(each, frames.mask, frames.grid))) for each in (frames.features, other)
    )
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-6)
