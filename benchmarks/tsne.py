"""A layout by t-SNE of 10,000 images of Fashion-MNIST against openTSNE called by hand, which it is made by.

The peer is what a user of openTSNE writes: pixels in [0, 1], the 50 leading principal components by scikit-learn, and
`openTSNE.TSNE().fit`. Ours is `TSNE().fit`, which reads and encodes rows, and keeps a model. Both are given as many
steps, on one thread, in processor time and in turns. Then both place 2,000 other images.

    python benchmarks/tsne.py [--rows 10000] [--rounds 1]
"""

import argparse
import time

import numpy as np
import openTSNE
from common import Row, data_folder, interleaved, median_ratio, report, versions
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

import manyways as mw
from manyways.data.data import Data

TARGET, PLACED, JUDGED = 1.1, 2000, 2000


def main() -> None:
    """Measure, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    data = mw.read(data_folder("fashion-mnist"))
    rows, test = data.training.select(np.arange(options.rows)), data.test.select(np.arange(PLACED))
    results: dict[str, object] = {}

    def ours() -> None:
        results["model"] = mw.TSNE().fit(rows)

    def peer() -> None:
        components = PCA(50, random_state=0).fit(pixels_of(rows))
        layout = openTSNE.TSNE(n_jobs=1, random_state=0).fit(components.transform(pixels_of(rows)))
        results["components"], results["layout"] = components, layout

    seconds = interleaved({"ours": ours, "peer": peer}, options.rounds, warm=0, clock=time.process_time)
    model, components, layout = results["model"], results["components"], results["layout"]

    def place() -> None:
        results["placed"] = model.layout(test)  # type: ignore[attr-defined]

    def place_by_hand() -> None:
        new = components.transform(pixels_of(test))  # type: ignore[attr-defined]
        results["placed by hand"] = layout.transform(new)  # type: ignore[attr-defined]

    placing = interleaved({"ours": place, "peer": place_by_hand}, 1, warm=0, clock=time.process_time)
    judged = pixels_of(test)[:JUDGED] @ components.components_.T  # type: ignore[attr-defined]
    for name, places in (("ours", results["placed"]), ("peer", results["placed by hand"])):
        fitted = model.layout(rows) if name == "ours" else np.asarray(layout)  # type: ignore[attr-defined]
        near = KNeighborsClassifier(10).fit(fitted, rows.take("label"))
        print(
            f"{name}: kNN accuracy of placed rows in two dimensions {near.score(places, test.take('label')):.3f}, "
            f"trustworthiness {trustworthiness(judged, places, n_neighbors=5):.3f}"
        )
    report("tsne", [row(f"layout of {options.rows:,} rows", seconds), row(f"placing {PLACED:,} rows", placing)])


def row(name: str, seconds: dict[str, list[float]]) -> Row:
    """A line of the report: the peer's processor time is to be at least ours by the target."""
    ratio = 1 / median_ratio(seconds)
    ours, peer = (round(float(np.median(seconds[side])), 1) for side in ("ours", "peer"))
    return {
        "name": name, "ours": ours, "peer": peer, "unit": "s of processor time", "ratio": round(ratio, 3),
        "target": f"≤ {TARGET}", "versions": versions("openTSNE", "scikit-learn"),
    }  # fmt: skip


def pixels_of(data: Data) -> NDArray[np.float32]:
    """Pixels in [0, 1], float32 [rows, pixels]."""
    return (data.take("image") / np.float32(255)).reshape(len(data), -1)


if __name__ == "__main__":
    main()
