"""Waveforms to features."""

import math

import pytest
import torch

from manyways.data.specs import AudioSpec
from manyways.models.backbones import make_backbone
from manyways.models.backbones._mel import (
    LogMel,
    hertz_to_mel,
    mel_edges,
    mel_filters,
    mel_to_hertz,
    window_length,
)

pytestmark = pytest.mark.quick

RATES = [4000, 8000, 11_025, 16_000, 22_050, 44_100, 48_000]


def mels_of(rate: int) -> int:
    return int(make_backbone("audio-net", AudioSpec(rate, rate)).config["mels"])


def tone(hertz: float, rate: int, seconds: float = 0.5) -> torch.Tensor:
    return 0.5 * torch.sin(2 * math.pi * hertz * torch.arange(int(rate * seconds)) / rate)


def test_the_mel_scale_has_its_published_values() -> None:
    torch.testing.assert_close(hertz_to_mel(torch.tensor([0.0, 700.0])), torch.tensor([0.0, 2595 * math.log10(2)]))
    assert float(hertz_to_mel(torch.tensor(1000.0))) == pytest.approx(1000, abs=0.1)
    frequencies = torch.linspace(0, 8000, 50, dtype=torch.float64)
    torch.testing.assert_close(mel_to_hertz(hertz_to_mel(frequencies)), frequencies)


@pytest.mark.parametrize(("rate", "expected"), [(8000, 256), (16_000, 512), (22_050, 1024), (44_100, 2048)])
def test_windows_are_25_ms_rounded_up_to_a_power_of_two(rate: int, expected: int) -> None:
    assert window_length(rate) == expected


@pytest.mark.parametrize("rate", RATES)
def test_no_filter_is_empty_and_each_peaks_at_its_centre(rate: int) -> None:
    mels, fft = mels_of(rate), window_length(rate)
    filters = mel_filters(rate, fft, mels)
    bin_width = rate / fft
    assert filters.shape == (fft // 2 + 1, mels)
    assert (filters >= 0).all()
    assert (filters.sum(0) > 0).all()
    peaks = filters.argmax(0) * bin_width
    assert (peaks - mel_edges(rate, mels)[1:-1]).abs().max() <= bin_width


def test_filters_have_area_one_over_frequency() -> None:
    rate, fft = 16_000, 2**15
    areas = mel_filters(rate, fft, 40).sum(0) * rate / fft
    torch.testing.assert_close(areas, torch.ones(40), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_a_pure_tone_peaks_in_the_band_that_holds_it(rate: int) -> None:
    mels = mels_of(rate)
    spectrogram = LogMel(rate, mels)
    edges = mel_edges(rate, mels)
    for hertz in (440.0, 1000.0, 0.4 * rate):
        band = int(spectrogram(tone(hertz, rate)[None])[0].mean(1).argmax())
        assert edges[band] < hertz < edges[band + 2]


def test_frames_come_every_10_ms() -> None:
    assert LogMel(8000, 40)(torch.rand(2, 8000)).shape == (2, 40, 101)
    assert LogMel(16_000, 64)(torch.rand(2, 100)).shape == (2, 64, 1)


def test_loudness_does_not_matter_and_silence_is_finite() -> None:
    spectrogram = LogMel(8000, 40)
    wave = tone(500, 8000)[None] + 0.1 * torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(spectrogram(wave), spectrogram(wave / 8), rtol=1e-3, atol=1e-3)
    assert torch.equal(spectrogram(torch.zeros(1, 4000)), torch.zeros(1, 40, 51))


def test_stored_integers_and_floats_are_the_same_sound() -> None:
    backbone = make_backbone("audio-net", AudioSpec(8000, 4000)).eval()
    wave = (tone(300, 8000) * 32767).to(torch.int16)[None]
    torch.testing.assert_close(backbone(wave), backbone(wave / 32768), rtol=1e-5, atol=1e-6)
