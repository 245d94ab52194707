"""Weak and strong views of batches of waveforms."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from manyways.data.specs import AudioSpec
from manyways.data.views.base import View
from manyways.data.views.ranges import coin, gaussian, integers, require_range, require_shape, uniform
from manyways.errors import ParameterError


@dataclass(frozen=True)
class AudioWeak(View):
    """Moved in time and made louder or softer.

    shift: largest shift as a fraction of the clip, in [0, 0.5]; silence enters at the other end.
    gain: largest change of loudness in decibels, in [0, 24].
    Takes int16, or float in [-1, 1], [B, T]; gives float32 in [-1, 1].
    """

    name: ClassVar = "audio-weak"
    spec: AudioSpec
    shift: float = 0.1
    gain: float = 3.0

    def __post_init__(self) -> None:
        require_range(self, 0, 0.5, "shift")
        require_range(self, 0, 24, "gain")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        require_shape(batch, self.spec.samples)
        rows, device = len(batch), batch.device
        reach = int(self.shift * self.spec.samples)
        waves = as_wave(delay(batch, integers(rng, rows, -reach, reach, device)))
        return amplify(waves, uniform(rng, rows, -self.gain, self.gain, device)).clamp_(-1, 1)


@dataclass(frozen=True)
class AudioStrong(View):
    """The weak view with a change of speed, masks in time and frequency (SpecAugment, Park 2019) and noise.

    shift, gain: as for `AudioWeak`.
    speed: largest change of speed and pitch (Ko 2015), in [0, 0.5]: 0.1 plays at 0.9 to 1.1 times the speed.
    time_mask: longest silenced stretch as a fraction of the sounding part, in [0, 1].
    band_mask: widest removed band as a fraction of all frequencies, in [0, 1]; in every second row.
    noise: lowest and highest signal-to-noise ratio in decibels of white noise in every second row.
    Takes int16, or float in [-1, 1], [B, T]; gives float32 in [-1, 1].
    """

    name: ClassVar = "audio-strong"
    spec: AudioSpec
    shift: float = 0.1
    gain: float = 3.0
    speed: float = 0.1
    time_mask: float = 0.15
    band_mask: float = 0.15
    noise: tuple[float, float] = (10.0, 30.0)

    def __post_init__(self) -> None:
        require_range(self, 0, 0.5, "shift", "speed")
        require_range(self, 0, 24, "gain")
        require_range(self, 0, 1, "time_mask", "band_mask")
        if self.noise[0] > self.noise[1]:
            raise ParameterError(
                f"AudioStrong.noise is (lowest, highest) decibels and its lowest ratio must not be above the "
                f"highest; got {self.noise!r}."
            )

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        require_shape(batch, self.spec.samples)
        rows, device = len(batch), batch.device
        if not rows:
            return as_wave(batch)
        reach = self.shift * self.spec.samples
        offset = uniform(rng, rows, -reach, reach, device)
        waves = resample(as_wave(batch), offset, uniform(rng, rows, 1 - self.speed, 1 + self.speed, device))
        half = coin(rng, rows, 0.5, device).nonzero().flatten()
        band = uniform(rng, len(half), 0, self.band_mask, device)
        low = uniform(rng, len(half), 0, 1, device) * (1 - band)
        waves.index_copy_(0, half, stop_band(waves.index_select(0, half), low, low + band))
        length = uniform(rng, rows, 0, self.time_mask, device)
        waves = silence(waves, uniform(rng, rows, 0, 1, device) * (1 - length), length)
        half = coin(rng, rows, 0.5, device).nonzero().flatten()
        ratio = uniform(rng, len(half), *self.noise, device)
        waves.index_copy_(0, half, add_noise(waves.index_select(0, half), ratio, rng))
        return amplify(waves, uniform(rng, rows, -self.gain, self.gain, device)).clamp_(-1, 1)


def as_wave(waves: Tensor) -> Tensor:
    """float32 in [-1, 1] from int16 or from float in [-1, 1]."""
    return waves.float().div_(32768) if waves.dtype == torch.int16 else waves.float()


def sounding(waves: Tensor) -> tuple[Tensor, Tensor]:
    """First sounding sample of each row of `waves` [B, T], and the one after the last; 0, 0 if silent."""
    heard = waves != 0
    first = heard.byte().argmax(1)
    last = waves.shape[1] - heard.flip(1).byte().argmax(1)
    return first, torch.where(heard.any(1), last, 0)


def delay(waves: Tensor, offset: Tensor) -> Tensor:
    """`waves` [B, T] of any type, later by `offset` (int64 [B], negative: earlier); silence comes in."""
    samples = waves.shape[1]
    # Index 0 is the silent sample in front, samples + 1 the one behind.
    index = torch.arange(1, samples + 1, device=waves.device) - offset[:, None]
    return pad(waves, (1, 1)).gather(1, index.clamp_(0, samples + 1))


def resample(waves: Tensor, offset: Tensor, speed: Tensor) -> Tensor:
    """`waves` float [B, T] played at `speed` [B] (linear interpolation) and delayed by `offset` [B] samples.

    Silence comes in where there is no sound to play.
    """
    samples = waves.shape[1]
    time = torch.arange(samples, device=waves.device, dtype=torch.float64)
    # Double precision: a float32 index is off by 1/128 of a sample in a clip of some seconds.
    place = (time - offset[:, None]) * speed[:, None].double()
    left = place.floor()
    fraction = (place - left).to(waves.dtype)
    # One silent sample at either end takes in every place outside.
    padded = pad(waves, (1, 1))
    index = left.long().add_(1)
    before = padded.gather(1, index.clamp(0, samples + 1))
    after = padded.gather(1, index.add_(1).clamp_(0, samples + 1))
    return before.lerp_(after, fraction)


def amplify(waves: Tensor, decibels: Tensor) -> Tensor:
    """`waves` [B, T] louder by `decibels` [B]."""
    return waves * torch.pow(10.0, decibels / 20)[:, None]


def silence(waves: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """`waves` [B, T] with a stretch set to 0: `start` and `length` [B] are fractions of the sounding part."""
    first, last = sounding(waves)
    extent = (last - first).clamp(min=0)
    begin = (first + start * extent)[:, None]
    time = torch.arange(waves.shape[1], device=waves.device)
    return waves.masked_fill((time >= begin) & (time < begin + (length * extent)[:, None]), 0)


def stop_band(waves: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """`waves` [B, T] without the frequencies in [low, high) [B], fractions of half the sample rate."""
    samples = waves.shape[1]
    spectrum = torch.fft.rfft(waves)
    frequency = torch.linspace(0, 1, spectrum.shape[1], device=waves.device)
    spectrum.masked_fill_((frequency >= low[:, None]) & (frequency < high[:, None]), 0)
    filtered: Tensor = torch.fft.irfft(spectrum, n=samples)
    return filtered


def add_noise(waves: Tensor, ratio: Tensor, rng: torch.Generator) -> Tensor:
    """`waves` [B, T] plus white noise `ratio` [B] decibels below the power of the sounding part."""
    first, last = sounding(waves)
    power = waves.square().sum(1) / (last - first).clamp(min=1)
    deviation = (power * torch.pow(10.0, -ratio / 10)).sqrt()
    return torch.addcmul(waves, gaussian(rng, waves), deviation[:, None])
