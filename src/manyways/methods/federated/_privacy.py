"""Privacy of clients: their updates clipped, noise on the average, and what that guarantees."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from manyways.errors import ManywaysError
from manyways.models.population import member_norms, per_member

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def clip_updates(updates: Mapping[str, Tensor], bound: float) -> dict[str, Tensor]:
    """Each member's update, of all tensors [members, ...] together, shortened to the Euclidean norm `bound`.

    Δ · min(1, C / ‖Δ‖): flat clipping (McMahan et al., Learning differentially private recurrent language models, ICLR
    2018).
    """
    factors = (bound / member_norms(updates).clamp_min(1e-12)).clamp_max(1.0)
    return {name: update * per_member(factors, update) for name, update in updates.items()}


def noisy_mean(
    updates: Mapping[str, Tensor], denominator: float, deviation: float, rng: torch.Generator
) -> dict[str, Tensor]:
    """(Σ updates + noise) / denominator, noise N(0, deviation²) on every number of the sum.

    The denominator is fixed beforehand, so that one client more or less changes the sum by its own update alone.
    """
    return {
        name: (update.sum(0) + deviation * torch.randn(update.shape[1:], generator=rng).to(update.device, update.dtype))
        / denominator
        for name, update in updates.items()
    }


def epsilon(rounds: int, share: float, noise_multiplier: float, delta: float) -> float:
    """The ε for `delta` of so many rounds, to each of which every client is asked with probability `share`.

    By the Rényi accountant of Google's dp-accounting; two federations are neighbours where one has one client more.
    Raises ManywaysError where it is not installed.
    """
    if rounds == 0:
        return 0.0
    orders, each = _one_round(share, noise_multiplier)
    from dp_accounting import rdp

    return float(rdp.compute_epsilon(orders, rounds * each, delta)[0])


def guarantee(rounds: int, share: float, noise_multiplier: float, delta: float) -> dict[str, Any]:
    """What may be said of a model after `rounds`, as JSON values."""
    return {
        "epsilon": epsilon(rounds, share, noise_multiplier, delta),
        "delta": delta,
        "unit": "client",
        "neighbours": "one client more or less",
        "mechanism": f"Gaussian, noise multiplier {noise_multiplier}, Poisson sampling of {share}, {rounds} rounds",
        "accountant": f"dp-accounting {version('dp-accounting')}, Rényi",
        "covers": "the weights; not this lineage, the classes, nor how inputs are scaled",
    }


@cache
def _one_round(share: float, noise_multiplier: float) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """The orders and the Rényi divergences of one round; those of several add up."""
    try:
        import dp_accounting
        from dp_accounting import rdp
    except ImportError as error:
        raise ManywaysError(
            "To say what noise guarantees, an accountant is needed that is not installed: pip install "
            "'manyways[privacy]'"
        ) from error
    accountant = rdp.RdpAccountant()
    with _quiet():
        accountant.compose(dp_accounting.PoissonSampledDpEvent(share, dp_accounting.GaussianDpEvent(noise_multiplier)))
    return accountant.orders, accountant.rdp


@contextmanager
def _quiet() -> Iterator[None]:
    """Orders for which a series does not converge are left out, which is sound: nobody need be told of each."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
