import math
from collections.abc import Callable

import pytest
import torch

from manyways.data.specs import AudioSpec
from manyways.data.views import AudioStrong, AudioWeak, audio
from manyways.errors import DataError, ParameterError

pytestmark = pytest.mark.quick

SPEC = AudioSpec(rate=8000, samples=4000)
TIME = torch.arange(4000) / 8000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tones(count: int) -> torch.Tensor:
    """A tone of 440 Hz in the middle of each clip, silence around it, int16."""
    wave = (torch.sin(2 * math.pi * 440 * TIME) * 12000).round()
    wave[:1000] = 0
    wave[3000:] = 0
    return wave.to(torch.int16).expand(count, -1).contiguous()


@pytest.mark.parametrize("kind", [AudioWeak, AudioStrong])
@pytest.mark.parametrize("count", [0, 1, 20])
def test_shape_type_range_seed_and_own_parameters(kind: type[AudioWeak], count: int) -> None:
    batch = tones(count)
    before = batch.clone()
    out = kind(SPEC)(batch, generator())
    assert out.shape == batch.shape
    assert out.dtype == torch.float32
    assert torch.equal(batch, before)
    assert torch.equal(out, kind(SPEC)(batch, generator()))
    assert torch.isfinite(out).all()
    if count:
        assert out.abs().max() <= 1
        assert len(out.unique(dim=0)) == count
        loud = kind(SPEC, gain=24)(batch.clamp(-1, 1) * 32767, generator())
        assert loud.abs().max() <= 1


@pytest.mark.parametrize("kind", [AudioWeak, AudioStrong])
def test_silence_stays_silent(kind: type[AudioWeak]) -> None:
    assert kind(SPEC)(torch.zeros(8, 4000, dtype=torch.int16), generator()).abs().max() == 0


def test_weak_view_is_a_bounded_shift_and_gain() -> None:
    batch = tones(100)
    out = AudioWeak(SPEC)(batch, generator())
    start, stop = audio.sounding(out)
    first, last = audio.sounding(batch.float())
    assert torch.equal(start - first, stop - last)
    offset = start - first
    assert offset.abs().max() <= 400
    assert offset.min() < -300
    assert offset.max() > 300
    decibels = 20 * torch.log10(out.square().sum(1).sqrt() / (batch.float() / 32768).square().sum(1).sqrt())
    assert decibels.abs().max() <= 3.01
    assert decibels.std() == pytest.approx(6 / math.sqrt(12), rel=0.2)


@pytest.mark.parametrize(
    "shift",
    [
        lambda wave: audio.resample(wave, torch.tensor([0.0, 7.0, -5.0]), torch.ones(3)),
        lambda wave: audio.delay(wave, torch.tensor([0, 7, -5])),
    ],
)
def test_shifts_bring_in_silence(shift: Callable[[torch.Tensor], torch.Tensor]) -> None:
    wave = torch.sin(2 * math.pi * 440 * TIME).expand(3, -1)
    moved = shift(wave)
    assert torch.equal(moved[0], wave[0])
    assert torch.equal(moved[1, 7:], wave[1, :-7])
    assert moved[1, :7].abs().max() == 0
    assert torch.equal(moved[2, :-5], wave[2, 5:])
    assert moved[2, -5:].abs().max() == 0


def test_speed_changes_the_pitch() -> None:
    wave = torch.sin(2 * math.pi * 440 * TIME).expand(3, -1)
    speed = torch.tensor([0.9, 1.0, 1.1])
    spectrum = torch.fft.rfft(audio.resample(wave, torch.zeros(3), speed)[:, :3600]).abs()
    peak = spectrum.argmax(1) * 8000 / 3600
    assert peak.tolist() == pytest.approx([396, 440, 484], abs=3)


def test_stop_band_removes_only_its_band() -> None:
    low, high = (torch.sin(2 * math.pi * hertz * TIME) for hertz in (500, 2000))
    both = (low + high).expand(2, -1)
    left = audio.stop_band(both, torch.tensor([0.4, 0.1]), torch.tensor([0.6, 0.2]))
    torch.testing.assert_close(left[0], low, atol=1e-3, rtol=0)
    torch.testing.assert_close(left[1], high, atol=1e-3, rtol=0)


def test_noise_has_the_wanted_ratio() -> None:
    wave = tones(2).float() / 32768
    noise = audio.add_noise(wave, torch.tensor([10.0, 30.0]), generator()) - wave
    power = wave[:, 1000:3000].square().mean(1) / noise.square().mean(1)
    assert (10 * torch.log10(power)).tolist() == pytest.approx([10, 30], abs=0.3)


def test_silenced_stretch_lies_in_the_sounding_part() -> None:
    wave = torch.zeros(2, 4000)
    wave[:, 1000:3000] = 0.5
    out = audio.silence(wave, torch.tensor([0.0, 0.5]), torch.tensor([0.1, 0.25]))
    gone = (wave != out).nonzero()
    assert gone[gone[:, 0] == 0, 1].tolist() == list(range(1000, 1200))
    assert gone[gone[:, 0] == 1, 1].tolist() == list(range(2000, 2500))


def test_wrong_options_and_shapes_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"AudioStrong.speed must be in \[0, 0.5\]; got 0.6"):
        AudioStrong(SPEC, speed=0.6)
    with pytest.raises(ParameterError, match="lowest ratio must not be above the highest"):
        AudioStrong(SPEC, noise=(30, 10))
    with pytest.raises(DataError, match=r"\[rows, 4000\]; got \[2, 8\]"):
        AudioWeak(SPEC)(torch.zeros(2, 8), generator())
