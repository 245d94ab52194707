"""Likeness of the rows that a model draws to real ones."""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.kinds import TABLE
from manyways.data.storage import home_folder, make_folder
from manyways.methods.method import Method
from manyways.models.model import Model
from manyways.models.predictor import Predictor
from manyways.models.saving import load_model, save_model
from manyways.permissions import tighten

DRAWN = 2000
REAL = 5000
"""Rows that are drawn, and test rows that they are held against, at most: the same for every model."""
SEED = 0x5A3
"""Of the rows that a model is judged by."""
WIDTH = 64
"""Principal components of the features: so few that their covariance is known from so many rows."""
STEPS = 300
NEIGHBOURS = 3
COMPARED_AT_ONCE = 500


def frechet_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """|μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½): between Gaussians fitted to two sets of features [rows, width].

    Source: Dowson & Landau (1982); as a score of generators Heusel et al., NeurIPS 2017, with the features of a network
    that was trained on ImageNet, which are not those used here.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    means = np.square(one.mean(0) - other.mean(0)).sum()
    covariances = [np.atleast_2d(np.cov(each, rowvar=False)) for each in (one, other)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    crossed = np.sqrt(np.linalg.eigvalsh(root @ covariances[1] @ root).clip(0)).sum()
    return float(means + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * crossed)


def precision_and_recall(
    real: NDArray[np.floating], drawn: NDArray[np.floating], neighbours: int = NEIGHBOURS
) -> tuple[float, float]:
    """The share of drawn rows that lie among real ones, and of real rows that lie among drawn ones, in [0, 1].

    A row lies among others if it is nearer to one of them than that one's k-th neighbour: precision is fidelity, recall
    diversity. Features [rows, width]. Source: Kynkäänniemi et al., NeurIPS 2019.
    """
    return _among(drawn, real, neighbours), _among(real, drawn, neighbours)


def _among(rows: NDArray[np.floating], others: NDArray[np.floating], neighbours: int) -> float:
    from scipy.spatial.distance import cdist

    def pieces(of: NDArray[np.floating]) -> list[NDArray[np.floating]]:
        return np.array_split(of, -(-len(of) // COMPARED_AT_ONCE))

    # The nearest of all is the row itself.
    reach = np.concatenate([np.partition(cdist(part, others), neighbours, 1)[:, neighbours] for part in pieces(others)])
    inside = [(cdist(part, others) <= reach).any(1) for part in pieces(rows)]
    return float(np.concatenate(inside).mean())


@dataclass(frozen=True, eq=False)
class Judge:
    """The features that rows are compared by, and those of the real ones.

    Rows of a table are compared as they are encoded, standardised. Images by the leading principal components of the
    features of a network that was trained for it on the training rows: to tell their classes apart where they have
    labels, otherwise by SimCLR (self-supervised features judge generators well: Morozov et al., ICLR 2021).
    """

    encoding: InputEncoding
    network: Predictor | None
    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    real: NDArray[np.float64]

    @staticmethod
    def of(data: Data) -> "Judge":
        """The judge of models of `data`, held against its test rows."""
        network = _network(data)
        encoding = network.inputs if network else InputEncoding.fit(data)
        seen = _features(network, encoding, _some(data.training))
        centre = seen.mean(0)
        width = min(WIDTH, *seen.shape)
        _, _, axes = np.linalg.svd(seen - centre, full_matrices=False)
        axes = np.eye(seen.shape[1]) if network is None else axes[:width].T
        real = (_features(network, encoding, _some(data.test)) - centre) @ axes
        return Judge(encoding, network, centre, axes, real)

    def features(self, data: Data) -> NDArray[np.float64]:
        """The features that the rows of `data` are compared by, [rows, width]."""
        found: NDArray[np.float64] = (_features(self.network, self.encoding, data) - self.centre) @ self.axes
        return found

    def scores(self, model: Model) -> dict[str, float]:
        """The Fréchet distance, the precision and the recall of 2,000 rows that `model` draws."""
        drawn = self.features(model.sample(DRAWN, seed=SEED))
        precision, recall = precision_and_recall(self.real[:DRAWN], drawn)
        return {
            "frechet_distance": frechet_distance(self.real, drawn),
            "sample_precision": precision,
            "sample_recall": recall,
        }


@dataclass(frozen=True)
class _Query:
    """Data by its content, so that what is made of it can be kept."""

    fingerprint: str
    data: Data = field(compare=False, repr=False)


@lru_cache(maxsize=2)
def _judge(query: _Query) -> Judge:
    return Judge.of(query.data)


def judge_of(data: Data) -> Judge:
    """The judge of models of `data`, made once in a process."""
    return _judge(_Query(data.fingerprint, data))


def _features(network: Predictor | None, encoding: InputEncoding, data: Data) -> NDArray[np.float64]:
    if network is not None:
        return np.asarray(network.embed(data), np.float64)
    rows = encoding.encode(data)
    (values,) = rows.batch(np.arange(len(rows))).values()
    return np.asarray(values.numpy(), np.float64)


def _network(data: Data) -> Predictor | None:
    """The network that judges images, trained now or found where it was kept; None for a table."""
    if all(column.of.modality == TABLE for column in data.inputs):
        return None
    training = data.training
    facts = [training.fingerprint, STEPS, WIDTH]
    key = hashlib.sha256(repr(facts).encode()).hexdigest()[:24]
    folder = make_folder(home_folder() / "judges") / key
    if not folder.exists():
        model = _trained_by(training).fit(training, budget=STEPS, seed=SEED)
        tighten(save_model(model, folder))
    model = load_model(folder)
    assert isinstance(model, Predictor)
    return model


def _trained_by(data: Data) -> Method:
    from manyways.methods.self_supervised.simclr import SimCLR
    from manyways.methods.supervised.supervised import Supervised

    if data.has("label") and data.classification and data.labelled.any() and len(data.classes) > 1:
        return Supervised(backbone="strided")
    return SimCLR(backbone="strided", batch_size=64)


def _some(data: Data) -> Data:
    return data.select(np.linspace(0, len(data) - 1, min(REAL, len(data))).astype(int))
