"""What is learned of Fashion-MNIST's images without labels, against known figures.

    python benchmarks/quality/unsupervised.py [pca] [mixture] [autoencoder] [--steps 3000] [--seeds 3]

pca: the share of the variance of 60,000 training images that 50 components explain; their error on test images.
mixture: normalised mutual information of ten Gaussians with the classes of 10,000 test images, which nothing was told;
beside k-means on pixels. autoencoder: its error on test images at the width of the components. With each stand seconds
of processor time. docs/results.md keeps what was printed.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

import manyways as mw
from manyways.data.data import Data
from manyways.methods.method import Method

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

MIXED = 20_000
"""Training images that mixtures are fitted to."""


def main() -> None:
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], "pca", "mixture", "autoencoder"])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    images = mw.read(data_folder("fashion-mnist"))
    data = images.hide(np.arange(len(images)))
    parts = options.parts or ["pca", "mixture", "autoencoder"]
    if "pca" in parts:
        said(mw.PCA(width=50), data, 0, None)
    if "mixture" in parts:
        some = data.select(np.sort(np.concatenate([np.arange(MIXED), np.flatnonzero(data.part[data.rows] == 2)])))
        for seed in range(options.seeds):
            for method in (mw.GaussianMixture(components=10), mw.KMeans(clusters=10, restarts=3)):
                clustered(method, some, seed)
    if "autoencoder" in parts:
        for masked in (0.0, 0.2):
            said(mw.Autoencoder(width=50, masked=masked), data, 0, options.steps)


def said(method: Method, data: Data, seed: int, steps: int | None) -> None:
    """Print what a model explains of test images, and what it says of training ones."""
    began = time.process_time()
    model = method.fit(data, budget=steps, seed=seed)
    seconds = time.process_time() - began
    scores = model.evaluate(data.test)
    facts = {name: value for name, value in model.lineage.facts.items() if name == "explained_variance"}
    print(f"{method}: {seconds:.0f} s, on test images {scores}, of training images {facts}", flush=True)


def clustered(method: Method, data: Data, seed: int) -> None:
    """Print how clusters of test images agree with their classes."""
    began = time.process_time()
    model = method.fit(data, seed=seed)
    seconds = time.process_time() - began
    clusters, classes = model.predict(data.test), data.test.take("label")
    nmi, ari = normalized_mutual_info_score(classes, clusters), adjusted_rand_score(classes, clusters)
    density = f", log-likelihood {model.evaluate(data.test)['log_likelihood']:.1f}" if "density" in model.gives else ""
    print(f"{method}, seed {seed}: {seconds:.0f} s, NMI {nmi:.3f}, ARI {ari:.3f}{density}", flush=True)


if __name__ == "__main__":
    main()
