"""The 20 published one-shot runs of Omniglot (Lake et al. 2015): 20 characters of an alphabet, from one drawing each.

In a run one person's drawings of 20 characters are learned from, and another's are asked. The characters are none of
those that are learned before: the 964 of the background alphabets, of which the role task keeps episodes within an
alphabet. As an oracle for the reading, the nearest drawing by the modified Hausdorff distance (Dubuisson & Jain 1994)
has 38.8% errors in the authors' demonstration.

    python benchmarks/quality/one_shot.py [STEPS [METHOD]]
"""

import io
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.distance import cdist

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

import manyways as mw
from manyways.data.data import Data
from manyways.methods.expressions import parse_method
from manyways.models.few_shot_model import FewShotModel

RUNS, SIDE = 20, 28
SIAMESE = "siamese(backbone='conv4-strided')"
Images = NDArray[np.bool_]


def published_runs() -> list[tuple[Images, Images, NDArray[np.int64]]]:
    """Of each run: drawings to learn from, those that are asked (ink is True), and which of the first each is of."""
    runs = []
    with zipfile.ZipFile(data_folder("omniglot") / "one-shot-all_runs.zip") as archive:

        def drawing(name: str) -> Images:
            with Image.open(io.BytesIO(archive.read(name))) as image:
                return ~np.asarray(image.convert("1"))

        for run in range(1, RUNS + 1):
            lines = archive.read(f"run{run:02d}/class_labels.txt").decode().split("\n")
            pairs = [line.split() for line in lines if line.strip()]
            shown = sorted({name for _, name in pairs})
            runs.append(
                (
                    np.stack([drawing(name) for name in shown]),
                    np.stack([drawing(name) for name, _ in pairs]),
                    np.array([shown.index(name) for _, name in pairs]),
                )
            )
    return runs


def modified_hausdorff(a: Images, b: Images) -> float:
    """The larger one of the mean distances from the ink of one drawing to the nearest of the other, both centred."""
    points = [np.argwhere(image).astype(float) for image in (a, b)]
    distances = cdist(*(each - each.mean(0) for each in points))
    return float(max(distances.min(1).mean(), distances.min(0).mean()))


def hausdorff_errors(runs: list[tuple[Images, Images, NDArray[np.int64]]]) -> float:
    """The share of wrong answers of the nearest drawing."""
    wrong = []
    for shown, asked, answers in runs:
        nearest = [np.argmin([modified_hausdorff(query, each) for each in shown]) for query in asked]
        wrong.append((np.array(nearest) != answers).mean())
    return float(np.mean(wrong))


def small(images: Images) -> NDArray[np.uint8]:
    """Drawings [n, 1, SIDE, SIDE] with white ink."""
    sized = [Image.fromarray(np.uint8(255) * image).resize((SIDE, SIDE), Image.Resampling.BOX) for image in images]
    return np.stack([np.asarray(image) for image in sized])[:, None]


def table(images: Images, labels: NDArray[Any], **columns: NDArray[Any]) -> Data:
    """Rows of drawings, with the role task for the alphabet where there is one."""
    roles: dict[str, Any] = {"task": "alphabet"} if columns else {}
    kinds = {"label": "category"}
    return mw.read({"image": small(images), "label": labels, **columns}, label="label", kinds=kinds, **roles)


def background() -> Data:
    """The characters to learn from, and their alphabets."""
    folder = data_folder("omniglot")
    lines = (folder / "characters.tsv").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in lines if line.startswith("background")]
    alphabets = np.array([alphabet for _, _, _, alphabet, _ in rows], object)
    assert [int(row[1]) for row in rows] == list(range(len(rows)))
    with np.load(folder / "images_background.npz") as arrays:
        images = arrays["images"]
    each = images.shape[1]
    if images.mean() > 0.5:
        images = ~images
    return table(
        images.reshape(-1, *images.shape[2:]),
        np.arange(len(images)).repeat(each),
        alphabet=alphabets.repeat(each),
    )


def main() -> None:
    """Check the reading, train, and answer the runs."""
    torch.set_num_threads(1)
    steps, way = int(sys.argv[1]) if len(sys.argv) > 1 else 2000, sys.argv[2] if len(sys.argv) > 2 else SIAMESE
    runs = published_runs()
    print(f"nearest by the modified Hausdorff distance: {hausdorff_errors(runs):.1%} errors", flush=True)
    data = background()
    began = time.process_time()
    model = parse_method(way).fit(data, budget=steps, seed=0)
    spent = time.process_time() - began
    assert isinstance(model, FewShotModel)
    right = []
    for shown, asked, answers in runs:
        predicted = model.adapt(table(shown, np.arange(len(shown)))).predict(table(asked, answers))
        right.append((predicted == answers).mean())
    half = 1.96 * np.std(right, ddof=1) / np.sqrt(len(right))
    print(f"{way}, {steps} steps, {spent:.0f} processor seconds: {np.mean(right):.1%} ± {half:.1%} right", flush=True)


if __name__ == "__main__":
    main()
