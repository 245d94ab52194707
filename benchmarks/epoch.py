"""An epoch over Fashion-MNIST, 60,000 images in shuffled batches of 256: indexing tensors against a DataLoader.

The peer is a map-style Dataset over the decoded images in memory that gives one float image and its label, as most
training scripts have it, in a `torch.utils.data.DataLoader` with its default collation. Both yield float images in
[0, 1] and labels; that they yield the same content is checked before the clock runs.

    python benchmarks/epoch.py
"""

import statistics
from collections import deque
from collections.abc import Iterator

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
    torch.set_num_threads(1)  # copies of 200 kB gain nothing from a second thread, and wait for it on a busy machine
    # A large block freed once, as in any training step, keeps the C library from unmapping every batch.
    torch.empty(7_000_000).fill_(0)
    data = mw.read(data_folder("fashion-mnist")).training
    encoding = InputEncoding.fit(data)
    rows, codes = encoding.encode(data), torch.from_numpy(Target.fit(data).encode(data))
    (name,) = rows.stores
    count = len(rows)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(-(-count // BATCH)):
            positions = epoch_positions(count, BATCH, step, seed=0)[: count - step * BATCH]
            yield rows.batch(positions)[name].float().div_(255), codes[torch.from_numpy(positions)]

    loader = DataLoader(Images(np.asarray(rows.stores[name][rows.rows]), codes.numpy()), BATCH, shuffle=True)
    content = [sum(float(x.sum(dtype=torch.float64)) + int(y.sum()) for x, y in side) for side in (batches(), loader)]
    assert abs(content[0] - content[1]) < 1e-6 * content[1], content

    def ours() -> None:
        deque(batches(), maxlen=0)

    def peer() -> None:
        deque(loader, maxlen=0)

    seconds = interleaved({"ours": ours, "peer": peer}, ROUNDS)
    return [
        {
            "name": "epoch over Fashion-MNIST, batches of 256, DataLoader with num_workers=0, one thread",
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
