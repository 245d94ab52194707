"""PCA: the directions in which rows vary most."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from manyways.data.data import Data
from manyways.methods.bases.feature import FeatureMethod
from manyways.methods.features import Features
from manyways.methods.fields import Count
from manyways.methods.method import Ablations, Learned
from manyways.methods.recommendations import Recommendation
from manyways.models.generative.units import Units
from manyways.models.model import Model
from manyways.models.principal_components import (
    ComponentsHead,
    PrincipalComponents,
    continuous,
    smallest_variance,
    whole_rows,
)
from manyways.training.budget import Budget
from manyways.training.run import Run


@dataclass(frozen=True, kw_only=True)
class PCA(FeatureMethod):
    """Principal component analysis: rows by their places along the directions in which they vary most.

    It is of the features of a model, or of the raw inputs: pixels, standardised cells of a table, latent semantics of
    text, energies of sound. Of pixels and cells, rows can be put together again, and their density is the Gaussian of
    probabilistic PCA (Tipping & Bishop 1999).
    """

    width: Count = 50
    """Principal components; as many as there are features, or rows, where that is fewer."""

    gives: ClassVar = frozenset({"embed", "reconstruct", "density", "layout"})
    suggests: ClassVar = ("pca",)
    recommends: ClassVar = {"any": Recommendation("the directions of most variance, in seconds", 70)}
    paper: ClassVar = "Pearson (1901); Hotelling (1933); Tipping & Bishop, Probabilistic PCA, JRSS B 1999"

    def ablations(self, data: Data) -> Ablations:
        return {"half of its rows": (self, data.without(data.training.ids[::2]))}

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        frozen = self.features(data, model, seed, run)
        features = frozen.of(data.training)
        head, explained = fit_components(features, self.width, seed, _floor(frozen))
        units = Units.of(data) if not frozen.parents and whole_rows(frozen.network, frozen.encoding.specs) else None
        frozen.network.head = projecting(frozen, head)
        facts: dict[str, float] = {"explained_variance": float(explained.sum())}
        if units is not None and continuous(frozen.encoding.specs):
            facts["free_parameters"] = free_parameters(head)
        fitted = PrincipalComponents(network=frozen.network, inputs=frozen.encoding, units=units)
        return Learned(fitted, data.part[data.rows] == 0, frozen.parents, facts=facts)


def _floor(frozen: Features) -> float:
    whole = not frozen.parents and whole_rows(frozen.network, frozen.encoding.specs)
    return smallest_variance(frozen.encoding.specs) if whole else 1e-12


def fit_components(
    features: NDArray[np.float32], width: int, seed: int, floor: float
) -> tuple[ComponentsHead, NDArray[np.float64]]:
    """The principal components of `features` [rows, numbers], and the share of the variance of each.

    Args:
        features: The training rows.
        width: Components at most.
        seed: Of the randomised decomposition, where scikit-learn takes one.
        floor: The least variance, of a component or of what is left out.
    """
    from sklearn.decomposition import PCA as Decomposition

    rows, numbers = features.shape
    count = min(width, rows, numbers)
    head = ComponentsHead(count, numbers)
    if not np.ptp(features, axis=0).any():
        head.centre.copy_(torch.from_numpy(features.mean(0)))
        head.axes.copy_(torch.eye(count, numbers))
        return head, np.zeros(count)
    fitted = Decomposition(count, random_state=seed).fit(features)
    variances = np.maximum(fitted.explained_variance_, floor)
    head.centre.copy_(torch.from_numpy(np.asarray(fitted.mean_, np.float32)))
    head.axes.copy_(torch.from_numpy(np.asarray(fitted.components_, np.float32)))
    head.variances.copy_(torch.from_numpy(np.asarray(variances, np.float32)))
    head.noise.fill_(max(float(fitted.noise_variance_), floor))
    return head, np.nan_to_num(np.asarray(fitted.explained_variance_ratio_, np.float64))


def projecting(frozen: Features, head: ComponentsHead) -> ComponentsHead:
    """`head` for the network of `frozen`, which from now on gives the components of the features that it gives now."""
    network, before = frozen.network, frozen.network.projection
    weight, bias = head.axes, -(head.axes @ head.centre)
    if before is not None:
        outer = ComponentsHead(head.axes.shape[0], head.axes.shape[1], before.in_features)
        outer.load_state_dict(
            {**outer.state_dict(), **{name: getattr(head, name) for name in ("centre", "axes", "variances", "noise")}}
        )
        outer.inner_weight.copy_(before.weight.detach())
        outer.inner_bias.copy_(before.bias.detach())
        head, weight, bias = outer, weight @ before.weight.detach(), bias + weight @ before.bias.detach()
    network.projection = nn.Linear(weight.shape[1], weight.shape[0], device="meta").to_empty(device="cpu")
    network.projection.requires_grad_(False)
    network.projection.load_state_dict({"weight": weight, "bias": bias})
    return head


def free_parameters(head: ComponentsHead) -> int:
    """The number of free parameters of probabilistic PCA: mean, axes, variances along them, and the noise."""
    components, numbers = head.axes.shape
    return numbers + components * numbers - components * (components + 1) // 2 + components + 1
