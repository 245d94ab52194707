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
