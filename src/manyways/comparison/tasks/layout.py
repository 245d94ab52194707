"""The task of laying rows out in two dimensions."""

import numpy as np
from numpy.typing import NDArray

from manyways.comparison.exhibits import Exhibit
from manyways.comparison.layouts import in_space
from manyways.comparison.tasks.unlabelled import (
    Unlabelled,
    known_classes,
    labels_of,
    mapped_rows,
    scattered,
    scored_rows,
)
from manyways.data.data import Data
from manyways.models.model import Model

NEIGHBOURS = 5
TITLE = "The layout"
NOTE = "Test rows, none of which was learned from, where each entry places them."


class Layout(Unlabelled):
    """Layout in the plane: by how far neighbours there are neighbours in truth, and of one class."""

    name = "layout"
    precedence = 98
    gives = frozenset({"layout"})
    metrics = ("trustworthiness", "knn_accuracy_in_2d")
    beside = metrics
    of_labels = frozenset({"knn_accuracy_in_2d"})

    def score(self, model: Model, data: Data, rows: int | None) -> dict[str, float]:
        """Trustworthiness (Venna & Kaski 2001) in the space of raw inputs; nearest neighbours, each row left out."""
        from sklearn.manifold import trustworthiness

        if "layout" not in model.gives:
            return {}
        some = scored_rows(data, rows)
        places = model.layout(some)
        scores = {}
        if len(some) > 2 * NEIGHBOURS:
            near = trustworthiness(in_space(data, some), places, n_neighbors=NEIGHBOURS)
            scores["trustworthiness"] = float(np.clip(near, 0, 1))
        if "knn_accuracy_in_2d" in self.metrics_on(data) and some.known.sum() > NEIGHBOURS:
            classes, known = known_classes(some)
            scores["knn_accuracy_in_2d"] = left_out_accuracy(places[known], classes)
        return scores

    def exhibits(self, model: Model, test: Data) -> tuple[Exhibit, ...]:
        rows = mapped_rows(test)
        by = test.label.name if test.labels else ""
        return (scattered(TITLE, NOTE, test, model.layout(rows), labels_of(rows), by),)


def left_out_accuracy(places: NDArray[np.float32], classes: NDArray[np.str_]) -> float:
    """The accuracy of the most frequent class among the nearest neighbours of each row, without the row itself."""
    from sklearn.neighbors import NearestNeighbors

    names, codes = np.unique(classes, return_inverse=True)
    neighbours = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(places).kneighbors(return_distance=False)
    votes = (codes[neighbours][:, :, None] == np.arange(len(names))).sum(1)
    return float((votes.argmax(1) == codes).mean())
