"""Changing the values of whole batches of images, every image by its own amount.

All functions take float images [B, C, H, W] in [0, 1] with C 1 (grey) or 3 (RGB) and one parameter per image
[B], and return new images in [0, 1]. Where Pillow has the operation, they agree with Pillow up to rounding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow and most image code
TO_YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


def _per_image(parameter: Tensor) -> Tensor:
    return parameter[:, None, None, None]


def grey(images: Tensor) -> Tensor:
    """Luma of `images`: [B, 1, H, W]. Grey images are returned as they are."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images[:, :1], images[:, 1:2], images[:, 2:]
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Values times a factor: 0 is black, 1 unchanged."""
    return (images * _per_image(factors)).clamp_(0, 1)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Distance from the mean luma times a factor: 0 is even grey, 1 unchanged."""
    mean = grey(images).mean((1, 2, 3), keepdim=True)
    factor = _per_image(factors)
    return (images * factor).add_(mean * (1 - factor)).clamp_(0, 1)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Distance from the own luma times a factor: 0 is grey, 1 unchanged. RGB only; grey stays as it is."""
    factor = _per_image(factors)
    return torch.addcmul(grey(images) * (1 - factor), images, factor).clamp_(0, 1)


def adjust_gamma(images: Tensor, exponents: Tensor) -> Tensor:
    """Values to the power of an exponent > 0: below 1 lifts the shadows, 1 is unchanged."""
    return images.pow(_per_image(exponents))


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Values at or above a threshold in [0, 1] are inverted."""
    # |1 - x| or |0 - x|: one subtraction in place of a choice between two images. Compared into floats, which is
    # vectorised; booleans, and their conversion, take five times as long.
    above = torch.ge(images, _per_image(thresholds), out=torch.empty_like(images))
    return above.sub_(images).abs_()


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Only the highest `bits` (1 to 8, whole numbers) of the eight of each value are kept."""
    step = _per_image(torch.exp2(8 - bits.to(images.dtype))) / 255
    # Values that were bytes come back as n/255, which may fall a rounding error below n steps.
    return (images + 1e-5).div_(step).floor_().mul_(step)


def autocontrast(images: Tensor) -> Tensor:
    """Each channel stretched linearly to the full range; even channels stay as they are."""
    low = images.amin((2, 3), keepdim=True)
    span = images.amax((2, 3), keepdim=True) - low
    flat = span < 1 / 512
    scale = torch.where(flat, 1.0, 1 / span.masked_fill(flat, 1))
    return (images - low.masked_fill(flat, 0)).mul_(scale).clamp_(0, 1)


def equalize(images: Tensor) -> Tensor:
    """Each channel's histogram of 256 levels made as even as its own values allow."""
    batch, channels, height, width = images.shape
    planes, pixels = batch * channels, height * width
    cells = (images * 255).round_().int().view(planes, pixels)
    cells += torch.arange(planes, device=images.device, dtype=torch.int32)[:, None] * 256
    cells = cells.flatten()
    counts = torch.bincount(cells, minlength=planes * 256).view(planes, 256).to(images.dtype)
    below = counts.cumsum(1) - counts
    # The brightest level does not count towards the step, so that it ends up at 255.
    brightest = (counts * (below + counts == pixels)).amax(1, keepdim=True)
    step = ((pixels - brightest) / 255).floor_()
    table = (below + (step / 2).floor_()).div_(step.clamp(min=1)).floor_().clamp_(max=255)
    table = torch.where(step > 0, table, torch.arange(256, device=images.device, dtype=images.dtype))
    return table.div_(255).flatten().index_select(0, cells).view(images.shape)


def sharpen(images: Tensor, factors: Tensor) -> Tensor:
    """Distance from a 3x3 smoothed copy times a factor: below 1 softens, above 1 sharpens; edges stay."""
    if min(images.shape[2:]) < 3:
        return images.clone()
    columns = images[..., :-2, :] + images[..., 1:-1, :]
    columns += images[..., 2:, :]
    centre = images[..., 1:-1, 1:-1]
    nine = columns[..., :-2] + columns[..., 1:-1]
    nine += columns[..., 2:]
    # The smoothing kernel is 1 all over and 5 in the middle, divided by 13.
    factor = _per_image(factors)
    weight = (1 - factor) / 13
    out = images.clone()
    out[..., 1:-1, 1:-1] = nine.mul_(weight).addcmul_(centre, factor + 4 * weight).clamp_(0, 1)
    return out


def blur(images: Tensor, sigmas: Tensor, radius: int) -> Tensor:
    """Gaussian blur with a standard deviation in pixels per image and a kernel of 2 · radius + 1 pixels."""
    batch, channels, height, width = images.shape
    if batch == 0:
        return images.clone()
    taps = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernels = torch.exp(-0.5 * (taps / sigmas[:, None]) ** 2)
    kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    planes = F.pad(images, (radius,) * 4, mode="replicate")
    planes = planes.view(1, batch * channels, height + 2 * radius, width + 2 * radius)
    planes = F.conv2d(planes, kernels[:, None, None, :], groups=batch * channels)
    planes = F.conv2d(planes, kernels[:, None, :, None], groups=batch * channels)
    return planes.view(images.shape).clamp_(0, 1)


def colour_jitter(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue of RGB images in one matrix product per image.

    The first three are factors (1 unchanged), `hue` is a turn in the IQ plane of YIQ as a fraction of the
    full circle (0 unchanged). The steps are applied in this order and clamped once at the end.
    """
    to_yiq = torch.tensor(TO_YIQ, device=images.device, dtype=images.dtype)
    turn = hue * (2 * torch.pi)
    cosine, sine = saturation * turn.cos(), saturation * turn.sin()
    one, zero = torch.ones_like(hue), torch.zeros_like(hue)
    # Saturation scales I and Q, hue turns them; luma (Y) stays, so the mean luma moves with brightness only.
    yiq = torch.stack((one, zero, zero, zero, cosine, -sine, zero, sine, cosine), dim=1).view(-1, 3, 3)
    colours = torch.linalg.inv(to_yiq) @ yiq @ to_yiq
    gain = brightness * contrast
    mean = grey(images).mean((1, 2, 3)) * brightness
    constant = ((1 - contrast) * mean)[:, None, None].expand(-1, 3, 1)
    mixed = torch.baddbmm(constant, colours * gain[:, None, None], images.flatten(2))
    return mixed.view(images.shape).clamp_(0, 1)
