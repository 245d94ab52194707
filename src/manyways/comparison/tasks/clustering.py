"""The task of dividing rows into clusters."""

import numpy as np
from numpy.typing import NDArray

from manyways.comparison.exhibits import Exhibit
from manyways.comparison.layouts import in_space, map_of
from manyways.comparison.tasks.unlabelled import (
    Unlabelled,
    known_classes,
    labels_of,
    mapped_rows,
    scattered,
    scored_rows,
)
from manyways.data.columns import modalities
from manyways.data.data import Data
from manyways.data.phrases import count_of
from manyways.models.model import Model

TITLE = "Clusters"
NOTE = "The same map of test rows for every entry, coloured by its own clusters. Neighbours on the map are alike."


class Clustering(Unlabelled):
    """Clustering: by how far clusters are apart, or by how well they agree with classes that were hidden."""

    name = "clustering"
    precedence = 95
    gives = frozenset({"cluster"})
    metrics = ("silhouette", "nmi", "ari")
    beside = ("nmi", "ari", "silhouette", "clusters")
    of_labels = frozenset({"nmi", "ari"})

    def applies(self, data: Data) -> bool:
        """True for rows of one kind of input without a label: of several, a label was forgotten more likely."""
        return self.allowed(data) and not data.labels and len(modalities(data.inputs)) == 1

    def cautions(self, data: Data) -> tuple[str, ...]:
        if data.labels:
            return ()
        sentence = (
            f"No column has the role label, so all {count_of(len(data.inputs), 'column')} are inputs, and ways of "
            "clustering are compared. To compare ways of predicting a column, name it: "
            f"--label {data.inputs[-1].name}."
        )
        return (sentence,)

    def score(self, model: Model, data: Data, rows: int | None) -> dict[str, float]:
        """The silhouette (Rousseeuw 1987) in the space of the raw inputs; mutual information and Rand index."""
        from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

        some = scored_rows(data, rows)
        clusters = model.predict(some)
        scores = {
            "silhouette": _silhouette(in_space(data, some), clusters),
            "clusters": float(len(np.unique(clusters))),
        }
        if "nmi" in self.metrics_on(data) and some.known.any():
            every = scored_rows(data, rows) if rows is not None else data.test
            classes, known = known_classes(every)
            found = model.predict(every)[known]
            scores["nmi"] = float(normalized_mutual_info_score(classes, found))
            scores["ari"] = float(adjusted_rand_score(classes, found))
        return scores

    def exhibits(self, model: Model, test: Data) -> tuple[Exhibit, ...]:
        rows = mapped_rows(test)
        clusters = model.predict(rows).tolist()
        places = map_of(in_space(test, rows))
        return (scattered(TITLE, NOTE, test, places, clusters, "cluster", labels_of(rows)),)


def _silhouette(features: NDArray[np.float32], clusters: NDArray[np.int64]) -> float:
    """The mean silhouette of rows; 0 where there is one cluster, or as many as rows, of which none has any."""
    from sklearn.metrics import silhouette_score

    count = len(np.unique(clusters))
    return float(silhouette_score(features, clusters)) if 1 < count < len(clusters) else 0.0
