"""An epoch over Fashion-MNIST, 60,000 images in shuffled batches of 256: indexing tensors against a DataLoader.

The peer is a map-style Dataset over the decoded images in memory that gives one float image and its label, as most
training scripts have it, in a `torch.utils.data.DataLoader` with its default collation. Both yield float images in
[0, 1] and labels; that they yield the same content is checked before the clock runs. Both shuffle anew in every epoch.
The loader runs without workers and with two, and the faster of them counts. Ours goes over ten epochs in a turn: one is
over in a time slice of the processor, and what else the machine does would fall on one side only.

A second row is what most people type: `torchvision.datasets.FashionMNIST` with `ToTensor` through the same DataLoader,
in `.venv-peers`.

    make peers
    python benchmarks/epoch.py
"""

import gzip
import statistics
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count as count_up
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Row, data_folder, facts_of_peer, interleaved, median_ratio, report, versions
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import manyways as mw
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Target
from manyways.randomness import epoch_positions

BATCH = 256
ROUNDS = 9
EPOCHS = 10
"""Of ours in a turn."""
TARGET = 20.0
SCALE = 1 / 255
"""Of pixels, as a factor: both sides multiply, which takes half as long as to divide."""

TORCHVISION = """
import json, sys, time
import torch
from importlib.metadata import version
from torchvision import datasets, transforms
torch.set_num_threads(1)
images = datasets.FashionMNIST(sys.argv[1], transform=transforms.ToTensor())
seconds = {}
for workers in (0, 2):
    loader = torch.utils.data.DataLoader(images, 256, shuffle=True, num_workers=workers)
    for _ in range(2):  # the second counts
        began = time.perf_counter()
        assert sum(len(labels) for _, labels in loader) == 60_000
        seconds[workers] = time.perf_counter() - began
better = min(seconds, key=seconds.get)
print(json.dumps({"workers": better, "seconds": seconds[better], "torchvision": version("torchvision")}))
"""


class Images(Dataset[tuple[Tensor, int]]):
    """One image at a time."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.from_numpy(self.images[index]).float().mul_(SCALE), int(self.labels[index])


def drain(batches: Iterable[object]) -> None:
    """Ask for all `batches` and keep none."""
    deque(batches, maxlen=0)


def run() -> list[Row]:
    """Two rows: epochs per second against a plain loader, and against torchvision's dataset in one."""
    torch.set_num_threads(1)  # copies of 200 kB gain nothing from a second thread, and wait for it on a busy machine
    # A large block freed once, as in any training step, keeps the C library from unmapping every batch.
    torch.empty(7_000_000).fill_(0)
    data = mw.read(data_folder("fashion-mnist")).training
    encoding = InputEncoding.fit(data)
    rows, codes = encoding.encode(data), Target.fit(data).encode(data)
    (name,) = rows.stores
    count = len(rows)
    seeds = count_up()  # orders are kept by seed: a new one makes our side shuffle, as the loader does

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        seed = next(seeds)
        for step in range(-(-count // BATCH)):
            positions = epoch_positions(count, BATCH, step, seed)[: count - step * BATCH]
            labels = torch.from_numpy(codes.take(positions))
            yield rows.batch(positions)[name].float().mul_(SCALE), labels

    images = Images(np.asarray(rows.stores[name][rows.rows]), codes)
    plain, forked = (DataLoader(images, BATCH, shuffle=True, num_workers=workers) for workers in (0, 2))
    content = [
        sum(float(x.sum(dtype=torch.float64)) + int(y.sum()) for x, y in side) for side in (batches(), plain, forked)
    ]
    assert max(content) - min(content) < 1e-6 * min(content), content

    def ours() -> None:
        for _ in range(EPOCHS):
            drain(batches())

    timed = interleaved({"ours": ours, "0": lambda: drain(plain), "2": lambda: drain(forked)}, ROUNDS)
    torchvision = in_torchvision()
    better, other = sorted(("0", "2"), key=lambda workers: statistics.median(timed[workers]))
    seconds = {"ours": [each / EPOCHS for each in timed["ours"]], "peer": timed[better]}
    return [
        {
            "name": f"epoch over Fashion-MNIST, batches of {BATCH}, DataLoader with num_workers={better} "
            f"(slower with {other}), one thread, wall time",
            "ours": round(1 / statistics.median(seconds["ours"]), 2),
            "peer": round(1 / statistics.median(seconds["peer"]), 3),
            "unit": "epochs/s",
            "ratio": round(median_ratio(seconds), 1),
            "target": TARGET,
            "versions": versions(),
        },
        {
            "name": f"epoch over Fashion-MNIST, batches of {BATCH}, torchvision's dataset and ToTensor in a DataLoader "
            f"with num_workers={torchvision['workers']}, one thread, wall time",
            "ours": round(1 / statistics.median(seconds["ours"]), 2),
            "peer": round(1 / torchvision["seconds"], 3),
            "unit": "epochs/s",
            "ratio": round(torchvision["seconds"] / statistics.median(seconds["ours"]), 1),
            "target": TARGET,
            "versions": versions() | {"peer torchvision": torchvision["torchvision"]},
        },
    ]


def in_torchvision() -> dict[str, Any]:
    """Seconds of torchvision's own dataset in a DataLoader, without workers or with two, whichever is quicker."""
    with tempfile.TemporaryDirectory() as place:
        raw = Path(place) / "FashionMNIST" / "raw"
        raw.mkdir(parents=True)
        for packed in data_folder("fashion-mnist").glob("*.gz"):
            (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
        return facts_of_peer(TORCHVISION, place)


if __name__ == "__main__":
    report("epoch", run())
