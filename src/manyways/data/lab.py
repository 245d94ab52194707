"""CIELAB: lightness, and two numbers for the colour, in which equal distances look equal."""

import torch
from torch import Tensor

WHITE = (0.95047, 1.0, 1.08883)
"""The white of D65, which is that of sRGB."""
TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
"""Rows: X, Y, Z of linear red, green and blue (IEC 61966-2-1)."""
EDGE = 6 / 29


def lab_of(images: Tensor) -> Tensor:
    """SRGB images [rows, 3, height, width] in [0, 1] as L in [0, 100], a and b, float32 of the same shape."""
    linear = torch.where(images <= 0.04045, images / 12.92, ((images + 0.055) / 1.055).clamp_min(0) ** 2.4)
    scaled = torch.tensor(TO_XYZ) / torch.tensor(WHITE)[:, None]
    xyz = torch.einsum("dc,nchw->ndhw", scaled.to(images), linear)
    x, y, z = torch.where(xyz > EDGE**3, xyz.clamp_min(1e-9) ** (1 / 3), xyz / (3 * EDGE**2) + 4 / 29).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)
