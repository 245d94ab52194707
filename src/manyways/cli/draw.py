"""`manyways generate` with a model that draws rows: into a picture, an archive of arrays, or a CSV."""

import io
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.cli.output import check_file, say, write_out
from manyways.errors import ParameterError
from manyways.sheet import as_csv
from manyways.whole import write_whole

if TYPE_CHECKING:
    from manyways.cli.generate import Generate
    from manyways.data.data import Data
    from manyways.models.model import Model

COUNT = 64
GAP = 2
SMALLEST = 64
"""Pictures with fewer pixels in height and width are enlarged by a whole number, so that one sees something."""


def draw(options: "Generate") -> int:
    """Draw rows and write them where `options` say. Raises ParameterError for options that are of no use here."""
    path = None if options.out == "-" else Path(options.out)
    _check(options, path)
    from manyways.models.saving import load_model

    data = _drawn(load_model(options.model), options)
    pictures = [column.name for column in data.inputs if column.kind == "image"]
    if pictures and (path is None or path.suffix not in (".png", ".npz")):
        raise ParameterError(f"The model draws pictures, so --out must be a .png or .npz file; got {options.out}.")
    if not pictures and path is not None and path.suffix == ".png":
        raise ParameterError(f"The model draws rows of a table, so --out must be a .csv or .npz; got {options.out}.")
    if path is None:
        write_out(_table(data, options.spreadsheet_safe))
        return 0
    if path.suffix == ".npz":
        content = io.BytesIO()
        arrays: dict[str, Any] = {name: _plain(data.take(name)) for name in data.columns}
        np.savez_compressed(content, **arrays)
        write_whole(path, content.getvalue())
    elif pictures:
        write_whole(path, _png(grid(data.take(pictures[0]))))
    else:
        write_whole(path, _table(data, options.spreadsheet_safe))
    say(f"{len(data):,} rows drawn: {path}")
    return 0


def grid(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures [n, channels, height, width] in one [height, width, channels], as near to a square as can be."""
    count, channels, height, width = pictures.shape
    scale = max(1, ceil(SMALLEST / max(height, width)))
    pictures = pictures.repeat(scale, axis=2).repeat(scale, axis=3)
    columns = ceil(sqrt(count))
    rows = ceil(count / columns)
    tall, wide = height * scale + GAP, width * scale + GAP
    sheet = np.full((rows * tall - GAP, columns * wide - GAP, channels), 255, np.uint8)
    for at, picture in enumerate(pictures):
        top, left = at // columns * tall, at % columns * wide
        sheet[top : top + tall - GAP, left : left + wide - GAP] = picture.transpose(1, 2, 0)
    return sheet


def _check(options: "Generate", path: Path | None) -> None:
    given = {
        "--prompt": options.prompt, "DATA": options.data, "--role": options.role, "--chat": options.chat,
        "--temperature": options.temperature, "--top-k": options.top_k, "--top-p": options.top_p,
    }  # fmt: skip
    if useless := [flag for flag, value in given.items() if value]:
        raise ParameterError(f"{options.model} draws rows, and {useless[0]} is for language models; leave it out.")
    if options.count is not None and options.count < 1:
        raise ParameterError(f"--count must be at least 1; got {options.count}.")
    check_file("--out", path)


def _drawn(model: "Model", options: "Generate") -> "Data":
    count = options.count or COUNT
    if options.of_class is None:
        rows: Data = model.sample(count, seed=options.seed)
        return rows
    from manyways.models.adversarial_generator import AdversarialGenerator

    if not isinstance(model, AdversarialGenerator) or model.condition is None:
        raise ParameterError(f"{options.model} was not told classes, so none can be asked for. Leave --of-class out.")
    named = {str(name): name for name in model.condition.classes}
    return model.sample(count, seed=options.seed, label=named.get(options.of_class, options.of_class))


def _table(data: "Data", safe: bool) -> str:
    names = [name for name, column in data.columns.items() if len(column.values.shape) <= 2]
    header: list[str] = []
    cells: list[list[Any]] = []
    for name in names:
        values = data.take(name)
        wide = values.reshape(len(values), -1)
        header += [name] if wide.shape[1] == 1 else [f"{name}_{at}" for at in range(wide.shape[1])]
        cells += wide.T.tolist()
    return as_csv([header, *zip(*cells, strict=True)], safe)


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(str) if values.dtype == object else values


def _png(sheet: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(sheet[:, :, 0] if sheet.shape[2] == 1 else sheet).save(out, "PNG", optimize=True)
    return out.getvalue()
