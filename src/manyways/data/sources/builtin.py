"""Small data sets that come with scikit-learn: something to try a method on without a download."""

from typing import Any

import numpy as np

from manyways.data.sources.base import Options, Raw, RawColumn, RawTable, alone

ORDER = 50
BUILT_IN = ("digits", "breast-cancer", "wine", "diabetes", "arithmetic", "digit-halves", "photo-tiles")
"""digits: 1,797 grey images 8x8 of 10 digits; breast-cancer: 569 rows, 30 numbers, 2 classes; wine: 178 rows,
13 numbers, 3 classes; diabetes: 442 rows, 10 numbers, regression; arithmetic: 2,000 sums of two numbers below 100,
written out, as prompt and completion, as a right and a wrong answer, and as text, for language models; digit-halves:
the digits as two inputs, their upper and their lower halves; photo-tiles: 520 tiles in colour, 32x32, of two
photographs, and which one each is of."""


def accepts(source: Any) -> bool:
    """The name of a built-in data set."""
    return isinstance(source, str) and source in BUILT_IN


def load(source: str, options: Options) -> Raw:
    """The data set of that name, its label in the column `label`."""
    if source == "arithmetic":
        return _arithmetic()
    if source == "photo-tiles":
        return _photo_tiles()
    from sklearn import datasets

    if source in ("digits", "digit-halves"):
        bunch = datasets.load_digits()
        images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
        seen = {"image": images} if source == "digits" else {"upper": images[:, :, :4], "lower": images[:, :, 4:]}
        inputs = [RawColumn(name, np.ascontiguousarray(part), "image") for name, part in seen.items()]
        return alone(RawTable([*inputs, RawColumn("label", bunch.target)], source, source))
    bunch = getattr(datasets, f"load_{source.replace('-', '_')}")()
    names = [str(name).replace(" ", "_") for name in bunch.feature_names]
    columns = [RawColumn(name, bunch.data[:, place], "number") for place, name in enumerate(names)]
    classes = getattr(bunch, "target_names", None)
    label = bunch.target if classes is None else [str(classes[code]) for code in bunch.target]
    return alone(RawTable([*columns, RawColumn("label", label)], source, source))


def _arithmetic(rows: int = 2000) -> Raw:
    rng = np.random.default_rng(0)
    pairs = rng.permutation(10_000)[:rows]
    first, second = pairs // 100, pairs % 100
    right = first + second
    wrong = right + rng.choice([-10, -2, -1, 1, 2, 10], rows)
    prompts = [f"{a}+{b}=" for a, b in zip(first, second, strict=True)]
    columns = {
        "prompt": prompts,
        "completion": list(map(str, right)),
        "chosen": list(map(str, right)),
        "rejected": list(map(str, wrong)),
        "text": [f"{prompt}{answer}" for prompt, answer in zip(prompts, right, strict=True)],
    }
    texts = [RawColumn(name, values, "text") for name, values in columns.items()]
    return alone(RawTable(texts, "arithmetic", "arithmetic"))


def _photo_tiles(side: int = 32) -> Raw:
    from sklearn.datasets import load_sample_image

    tiles, labels = [], []
    for name in ("china", "flower"):
        photo = load_sample_image(f"{name}.jpg")
        rows, columns = (length // side for length in photo.shape[:2])
        whole = photo[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
        tiles.append(whole.transpose(0, 2, 4, 1, 3).reshape(-1, 3, side, side))
        labels += [name] * (rows * columns)
    images = np.ascontiguousarray(np.concatenate(tiles))
    return alone(
        RawTable([RawColumn("image", images, "image"), RawColumn("label", labels)], "photo-tiles", "photo-tiles")
    )
