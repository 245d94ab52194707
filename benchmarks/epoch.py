"""An epoch over Fashion-MNIST, 60,000 images in shuffled batches of 256: indexing tensors against a DataLoader.

The peer is a map-style Dataset over the decoded images in memory that gives one float image and its label, as most
training scripts have it, in a `torch.utils.data.DataLoader` with its default collation. Both yield float images in
[0, 1] and labels; the sums are compared.

    python benchmarks/epoch.py
"""

import statistics

import numpy as np
import torch
from common import Row, data_folder, interleaved, median_ratio, report, versions
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import manyways as mw
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Target
from manyways.training.randomness import epoch_positions

BATCH = 256
ROUNDS = 5
TARGET = 20.0


class Images(Dataset[tuple[Tensor, int]]):
    """One image at a time."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:  # type: ignore[type-arg]
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.from_numpy(self.images[index]).float().div(255), int(self.labels[index])


def run() -> list[Row]:
    """One row: epochs per second."""
    data = mw.read(data_folder("fashion-mnist")).training
    encoding = InputEncoding.fit(data)
    rows, codes = encoding.encode(data), torch.from_numpy(Target.fit(data).encode(data))
    (name,) = rows.stores
    count, sums = len(rows), {}

    def ours() -> None:
        total = torch.zeros((), dtype=torch.float64)
        for step in range(-(-count // BATCH)):
            positions = epoch_positions(count, BATCH, step, seed=0)[: count - step * BATCH]
            images = rows.batch(positions)[name].float().div_(255)
            total += images.sum() + codes[torch.from_numpy(positions)].sum()
        sums["ours"] = float(total)

    loader = DataLoader(Images(np.asarray(rows.stores[name][rows.rows]), codes.numpy()), BATCH, shuffle=True)

    def peer() -> None:
        total = torch.zeros((), dtype=torch.float64)
        for images, labels in loader:
            total += images.sum() + labels.sum()
        sums["peer"] = float(total)

    seconds = interleaved({"ours": ours, "peer": peer}, ROUNDS)
    assert abs(sums["ours"] - sums["peer"]) < 1e-5 * abs(sums["peer"]), sums
    return [
        {
            "name": "epoch over Fashion-MNIST, batches of 256, DataLoader with num_workers=0",
            "ours": round(1 / statistics.median(seconds["ours"]), 2),
            "peer": round(1 / statistics.median(seconds["peer"]), 3),
            "unit": "epochs/s",
            "ratio": round(median_ratio(seconds), 1),
            "target": TARGET,
            "versions": versions(),
        }
    ]


if __name__ == "__main__":
    report("epoch", run())
