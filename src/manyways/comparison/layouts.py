"""Layouts of test rows: a common space of all entries, and scatters of places in the plane."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.comparison.exhibits import MOST_GROUPS, Item, Scatter
from manyways.comparison.showcase import picture, row_shown
from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.methods.bases.feature import without_raw_features
from manyways.methods.features import AUTO
from manyways.methods.unsupervised.pca import PCA
from manyways.methods.unsupervised.tsne import FEWEST
from manyways.models.layout import installed
from manyways.models.model import Model

POINTS = 400
"""Test rows that a scatter shows at most, evenly spread."""
SEED = 0
THUMBNAIL = 40
"""Pixels of the longer side of a picture that is seen when a pointer is on its point."""
LONGEST_TEXT, MOST_CELLS = 240, 6
"""Letters of a text, and cells of a table, that are seen there."""
OTHERS = "others"


def hidden(data: Data) -> Data:
    """`data` with all labels hidden."""
    return data.hide(np.arange(len(data))) if data.labels else data


def spread(data: Data, most: int) -> Data:
    """At most `most` rows of `data`, evenly spread."""
    return data.select(np.linspace(0, len(data) - 1, min(most, len(data))).astype(int)) if len(data) else data


def has_space(data: Data) -> bool:
    """True if the inputs of `data` have raw features, and so a space that all entries can be compared in."""
    return bool(data.inputs) and without_raw_features(data, AUTO) is None


@dataclass(frozen=True)
class _Query:
    """Data by its content, so that what is made of it can be kept."""

    fingerprint: str
    data: Data = field(compare=False, repr=False)


@lru_cache(maxsize=2)
def _space(query: _Query) -> Model:
    rows = hidden(query.data)
    learned = rows if len(rows.training) else replace(rows, part=np.full_like(rows.part, TRAINING))
    return PCA().fit(learned, seed=SEED)


def in_space(data: Data, rows: Data) -> NDArray[np.float32]:
    """`rows` as the leading principal components of the raw inputs of the training rows of `data`, [rows, width]."""
    return np.asarray(_space(_Query(data.fingerprint, data)).embed(rows))


def flat(features: NDArray[Any]) -> NDArray[np.float64]:
    """`features` [rows, width] as places in the plane: as they are, or their first two principal components."""
    features = np.asarray(features, np.float64)
    if features.shape[1] > 2:
        centred = features - features.mean(0)
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        features = centred @ axes[:2].T
    return np.pad(features, ((0, 0), (0, 2 - features.shape[1])))


def map_of(features: NDArray[Any]) -> NDArray[np.float64]:
    """A map of rows by their `features`: by t-SNE where openTSNE is installed, else by principal components."""
    if len(features) <= FEWEST or not installed() or not np.ptp(features, axis=0).any():
        return flat(features)
    import openTSNE

    layout = openTSNE.TSNE(perplexity=min(30, (len(features) - 1) / 3), random_state=SEED)
    return np.asarray(layout.fit(np.asarray(features)), np.float64)


def scatter_of(
    places: NDArray[Any],
    groups: Sequence[Any] | None,
    grouped_by: str,
    rows: Data,
    classes: Sequence[Any] | None = None,
) -> Scatter:
    """A scatter of `rows` at `places` [rows, 2], coloured by `groups`, one of each row, None for unknown.

    classes: What is known of each row besides, None for unknown.
    """
    names, codes = _named(groups, len(rows))
    unit = _within(np.asarray(places, np.float64))
    captions = ["" if each is None else str(each) for each in classes or [None] * len(rows)]
    items = tuple(_item(rows, at, caption) for at, caption in enumerate(captions))
    return Scatter(
        tuple(unit[:, 0].tolist()), tuple(unit[:, 1].tolist()), tuple(codes), tuple(names), grouped_by, items
    )


def _named(groups: Sequence[Any] | None, count: int) -> tuple[list[str], list[int]]:
    """The names of the most frequent groups, and the code of each row's; the rest are together."""
    if groups is None:
        return [], [-1] * count
    texts = [None if group is None else str(group) for group in groups]
    known = [text for text in texts if text is not None]
    names = sorted(set(known), key=lambda text: (len(text), text) if text.isdigit() else (99, text))
    if len(names) > MOST_GROUPS:
        kept = sorted(names, key=lambda text: -known.count(text))[: MOST_GROUPS - 1]
        names = [*(name for name in names if name in kept), OTHERS]
    place = {name: at for at, name in enumerate(names)}
    return names, [-1 if text is None else place.get(text, len(names) - 1) for text in texts]


def _within(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """`places` moved and scaled, both axes alike, into the unit square; rounded to a thousandth."""
    if not len(places):
        return places
    low, high = places.min(0), places.max(0)
    side = float((high - low).max()) or 1.0
    return np.asarray(np.clip((places - (low + high) / 2) / side + 0.5, 0, 1).round(3))


def _item(rows: Data, at: int, caption: str) -> Item:
    """A row as it is seen when a pointer is on it: small, and a sound by nothing but its caption."""
    if image := next((column for column in rows.inputs if column.kind == "image"), None):
        return Item("image", picture(image.take(rows.rows[[at]])[0], THUMBNAIL), caption)
    if any(column.kind == "audio" for column in rows.inputs):
        return Item("text", "", caption)
    kind, payload = row_shown(rows, at)
    if isinstance(payload, dict):
        return Item(kind, dict(list(payload.items())[:MOST_CELLS]), caption)
    return Item(kind, payload[:LONGEST_TEXT], caption)
