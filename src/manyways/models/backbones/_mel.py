"""Waveforms to log-mel spectrograms."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOW_SECONDS = 0.025
HOP_SECONDS = 0.010
DYNAMIC_RANGE = 8.0
"""Decades below the loudest point of a clip that are kept: 80 dB."""


class LogMel(nn.Module):
    """Mono waveforms [B, T] at `rate` Hz as standardised log-mel spectrograms [B, mels, frames].

    Windows of 25 ms (rounded up to a power of two samples) every 10 ms; each clip has zero mean and unit
    variance afterwards, so that loudness does not matter. Reads int16 or float in [-1, 1].
    """

    window: Tensor
    filters: Tensor

    def __init__(self, rate: int, mels: int) -> None:
        super().__init__()
        self.fft = window_length(rate)
        self.hop = max(1, round(HOP_SECONDS * rate))
        self.register_buffer("window", torch.hann_window(self.fft), persistent=False)
        self.register_buffer("filters", mel_filters(rate, self.fft, mels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        wave = x.to(self.window.dtype) / 32768 if x.dtype == torch.int16 else x.to(self.window.dtype)
        # Frames by unfold and rfft, because torch.stft cannot run under vmap.
        frames = F.pad(wave, (self.fft // 2, self.fft // 2)).unfold(-1, self.fft, self.hop)
        power = torch.fft.rfft(frames * self.window).abs().square()
        logarithm = (power @ self.filters).clamp_min(1e-10).log10().transpose(1, 2)
        floor = logarithm.amax(dim=(1, 2), keepdim=True) - DYNAMIC_RANGE
        kept = torch.maximum(logarithm, floor)
        centred = kept - kept.mean(dim=(1, 2), keepdim=True)
        # A clip of silence has no variance; the constant keeps its features at zero.
        return centred / (centred.square().mean(dim=(1, 2), keepdim=True) + 1e-4).sqrt()


def window_length(rate: int) -> int:
    """Samples of the analysis window: 25 ms rounded up to a power of two."""
    return 1 << math.ceil(math.log2(max(2.0, WINDOW_SECONDS * rate)))


def hertz_to_mel(hertz: Tensor) -> Tensor:
    """Pitch in mel of frequencies in Hz: 2595 log10(1 + f / 700) (O'Shaughnessy, 1987; the scale of HTK)."""
    return 2595 * torch.log10(1 + hertz / 700)


def mel_to_hertz(mel: Tensor) -> Tensor:
    """Inverse of `hertz_to_mel`."""
    return 700 * (10 ** (mel / 2595) - 1)


def mel_edges(rate: int, mels: int) -> Tensor:
    """Edges [mels + 2] in Hz from 0 to rate / 2, evenly spaced in mel; filter i is centred at edge i + 1."""
    top = hertz_to_mel(torch.tensor(rate / 2, dtype=torch.float64))
    return mel_to_hertz(torch.linspace(0, float(top), mels + 2, dtype=torch.float64))


def mel_filters(rate: int, fft: int, mels: int) -> Tensor:
    """Triangular filters [fft // 2 + 1, mels], each of area 1 over frequency in Hz (Slaney, 1998)."""
    edges = mel_edges(rate, mels)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    frequency = torch.linspace(0, rate / 2, fft // 2 + 1, dtype=torch.float64)[:, None]
    rising = (frequency - low) / (centre - low)
    falling = (high - frequency) / (high - centre)
    return (torch.minimum(rising, falling).clamp_min(0) * 2 / (high - low)).float()
