"""Samplers: who picks the rows of a step."""

from manyways.training.samplers.base import SAMPLERS, Sampler
from manyways.training.samplers.expressions import make_sampler, sampler_text
from manyways.training.samplers.no_duplicates import NoDuplicates
from manyways.training.samplers.plain import Balanced, ByLength, Epochs, Weighted

__all__ = [
    "SAMPLERS", "Balanced", "ByLength", "Epochs", "NoDuplicates", "Sampler", "Weighted", "make_sampler", "sampler_text",
]  # fmt: skip
