"""Privacy of clients: their updates clipped, noise on the average, and what that guarantees."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from manyways.errors import ManywaysError, ParameterError
from manyways.models.backbones._layers import BatchNorm
from manyways.models.population import member_norms, per_member
from manyways.models.predictor import Predictor
from manyways.training.learner import LabelledLearner

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


ALWAYS_OUTSIDE = (
    "this lineage: the rows and the number of the clients that took part, and the seconds",
    "the number of all clients, which is taken as known",
    "losses and scores that were reported on the way, or after it on rows of clients",
    "the choice of this model among others by rows of clients",
    "the number of rounds, where the budget was in seconds or operations",
)
"""Limits of every guarantee, in words."""
SEED_OUTSIDE = "anybody who knows noise_seed, which stands among the fields of the method"


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
    """The guarantee of a model after `rounds`, as JSON values."""
    return {
        "epsilon": epsilon(rounds, share, noise_multiplier, delta),
        "delta": delta,
        "unit": "client",
        "neighbours": "one client with its rows or without, all clients counted",
        "mechanism": f"Gaussian, noise multiplier {noise_multiplier}, Poisson sampling of {share}, {rounds} rounds",
        "accountant": f"dp-accounting {version('dp-accounting')}, Rényi",
        "covers": "the weights",
    }


def uncovered(fitted: Sequence[str], *, secret: bool) -> dict[str, Any]:
    """The limits of a guarantee, as JSON values.

    Args:
        fitted: The parts that were fitted on all clients' rows, in words.
        secret: True if nobody knows the seed of the noise.
    """
    outside = [*ALWAYS_OUTSIDE, *fitted, *([] if secret else [SEED_OUTSIDE])]
    return {"outside": "; ".join(outside), "secret_noise": secret}


def check_private(method: str, clip_update: float | None, steps: int | None, epochs: int) -> None:
    """Check that the fields of `method` say how much one client may move the sum, and how often.

    Args:
        method: Its name.
        clip_update: The largest norm of a client's update.
        steps: Its `local_steps`.
        epochs: Its `local_epochs`.

    Raises:
        ParameterError: One of them is left open.
    """
    if clip_update is None:
        raise ParameterError(
            f"{method}.noise_multiplier is a multiple of clip_update, so that must be given, in (0, inf); got None. "
            "Try clip_update=1.0."
        )
    if steps is None:
        raise ParameterError(
            f"{method}.noise_multiplier needs local_steps, in [1, inf): how long passes are, and so how many rounds "
            f"there are, depends on the rows that clients hold; got local_epochs={epochs}. Try local_steps=10."
        )


def fitted_on_clients(learner: LabelledLearner, begun: Predictor | None) -> tuple[str, ...]:
    """The parts that were fitted on all clients' rows, in words; of a start, `begun`, nothing that is its own."""
    inputs = ", ".join(map(repr, learner.encoding.encoders))
    encoders = f"the encoders and statistics of the inputs {inputs}, which were fitted on all clients' rows"
    begun_with = () if begun else (encoders,)
    if learner.target is None or (begun and begun.target is learner.target):
        return begun_with
    what = "classes" if learner.target.classification else "mean and the deviation"
    return (*begun_with, f"the {what} of {learner.target.name!r}, which are those of all clients' labels")


def refuse_batch_norm(network: nn.Module, method: str) -> None:
    """Raise ParameterError where the `network` of `method` keeps statistics of its batches."""
    for name, part in network.named_modules():
        if isinstance(part, BatchNorm | nn.modules.batchnorm._BatchNorm):
            raise ParameterError(
                f"{method}.noise_multiplier: the network keeps means of its batches ({name}), which are neither "
                "clipped nor noisy and would give clients away. Take a backbone that looks at each row alone, such as "
                'backbone="vit" for images.'
            )


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
