"""The losses that several methods share, as plain functions of tensors."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss


def label_loss(outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy for class codes int64 [rows]; squared error for standardised numbers float [rows].

    `outputs` [rows, classes], or [rows, 1] for numbers.
    """
    if labels.dtype == torch.int64:
        return cross_entropy(outputs.float(), labels, label_smoothing=smoothing)
    return mse_loss(outputs[:, 0].float(), labels.float())


def label_losses(outputs: Tensor, labels: Tensor) -> Tensor:
    """The loss of each row: `label_loss` before the mean.

    outputs [..., classes], or [..., 1] for numbers; labels and losses [...].
    """
    if labels.dtype == torch.int64:
        return cross_entropy(outputs.flatten(0, -2).float(), labels.flatten(), reduction="none").view(labels.shape)
    return mse_loss(outputs[..., 0].float(), labels.float(), reduction="none")
