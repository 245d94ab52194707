"""Boxes of YOLO: a text file for each picture, a line for each object, sides as parts of the picture's."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from manyways.data.boxes import Box, box
from manyways.data.inference.pixels import header_of
from manyways.data.sources.annotated import BOXES, INSTANCES, LABEL, MASK, Annotated, kind_of, raw_of, with_problem
from manyways.data.sources.base import Options, Raw, Shapes
from manyways.data.sources.layouts import Pictures, Place, part_in, sketch
from manyways.errors import DataError

ORDER = 26
IMAGES, LABELS = "images", "labels"
CONFIG = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
NAMES = ("classes.txt", "obj.names", "classes.names", "labels.txt")
MOST_BYTES = 1 << 20
"""Bytes of a file that names the classes, or of the lines of one picture."""


def accepts(source: Any) -> bool:
    """A folder with pictures in `images` and text files in `labels`, or with a data.yaml beside such."""
    if not (isinstance(source, Path) and source.is_dir()):
        return False
    places = sketch(source)
    texts = any(_within(place, source, LABELS) and place.holds(".txt") for place in places)
    return texts and any(_within(place, source, IMAGES) and place.holds_images for place in places)


def load(source: Path, options: Options) -> Raw:
    """The pictures in folders called `images`, and the lines of the text files in `labels` beside them.

    A line is the number of the class, and the middle, width and height of a box, or a polygon, all as parts of the
    picture's width and height. A picture without a text file holds no object. Names of classes come from data.yaml or
    classes.txt; without these they are numbers. Parts are those of the folders: train, val, test. `kinds` may ask for a
    label of the kind mask (values are the class's number and 1) or instances, of polygons or of boxes filled.
    """
    kind = kind_of(options, (BOXES, MASK, INSTANCES), source)
    names = _names(source)
    pictures = Pictures(source, lambda path: IMAGES in path.relative_to(source).parts[:-1])
    rows = [_row(path, source, names, kind) for path in pictures.files]
    return raw_of(rows, {LABEL: kind}, source, {})


def _row(path: Path, root: Path, names: Sequence[str] | None, kind: str) -> Annotated:
    place = path.relative_to(root)
    row = Annotated(place.as_posix(), path, part=part_in(path.parent, root))
    header = header_of(path)
    if isinstance(header, str):
        return with_problem(row, ValueError(header))
    size = (header.height, header.width)
    try:
        lines = _lines(_text_file(place, root))
        objects = [_object(line, names, f"line {number}") for number, line in enumerate(lines, 1) if line]
        if kind == BOXES:
            boxes = [_box(label, sides, size) for _, label, sides in objects]
            return Annotated(row.name, path, boxes, None, size, row.part)
        drawn = tuple((code + 1, [_polygon(sides, size)]) for code, _, sides in objects)
        return Annotated(row.name, path, None, Shapes(size, drawn), size, row.part)
    except ValueError as error:
        return with_problem(row, error)


def _text_file(place: Path, root: Path) -> Path:
    """The text file of a picture: the last folder called images on its way is called labels there."""
    parts = [*place.parts]
    last = max(at for at, part in enumerate(parts[:-1]) if part == IMAGES)
    parts[last] = LABELS
    return root.joinpath(*parts).with_suffix(".txt")


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path.name} has more than {MOST_BYTES:,} bytes")
    return [line.strip() for line in path.read_text("utf-8", "replace").splitlines()]


def _object(line: str, names: Sequence[str] | None, where: str) -> tuple[int, str, list[float]]:
    """The class, its name, and the numbers behind it: four of a box, six or more of a polygon."""
    words = line.split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        raise ValueError(f"{where} of its text file is no row of numbers: {line[:60]!r}") from None
    code = int(numbers[0]) if numbers and isfinite(numbers[0]) else -1
    if code < 0 or code != numbers[0]:
        raise ValueError(f"{where} of its text file does not begin with the number of a class: {line[:60]!r}")
    if names is not None and code >= len(names):
        raise ValueError(f"{where} of its text file is of the class {code}, and {len(names)} classes are named")
    if len(numbers) != 5 and (len(numbers) < 7 or len(numbers) % 2 == 0):
        raise ValueError(f"{where} of its text file has {len(numbers)} numbers; a box has 5, a polygon 7, 9, 11 …")
    return code, str(code) if names is None else names[code], numbers[1:]


def _box(label: str, sides: Sequence[float], size: tuple[int, int]) -> Box:
    height, width = size
    if len(sides) > 4:
        across, along = sides[::2], sides[1::2]
        return box(label, min(across) * width, min(along) * height, max(across) * width, max(along) * height)
    x, y, wide, high = sides[0] * width, sides[1] * height, sides[2] * width, sides[3] * height
    return box(label, x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)


def _polygon(sides: Sequence[float], size: tuple[int, int]) -> list[float]:
    height, width = size
    if len(sides) > 4:
        return [side * (height if at % 2 else width) for at, side in enumerate(sides)]
    left, top, right, bottom = _box("object", sides, size).corners
    return [left, top, right, top, right, bottom, left, bottom]


def _names(root: Path) -> list[str] | None:
    """The names of the classes in their order; None where nothing names them."""
    places = [place for place in sketch(root) if not _within(place, root, IMAGES)]
    for wanted in (*CONFIG, *NAMES):
        for place in places:
            if wanted in place.files:
                path = place.path / wanted
                if path.stat().st_size > MOST_BYTES:
                    raise DataError(f"{path} has more than {MOST_BYTES:,} bytes; it should name classes alone.")
                text = path.read_text("utf-8", "replace")
                if wanted in CONFIG:
                    return _of_yaml(text, path)
                return [line.strip() for line in text.splitlines() if line.strip()]
    return None


def _of_yaml(text: str, path: Path) -> list[str]:
    try:
        import yaml
    except ImportError as error:
        raise DataError(
            f"{path} is YAML, for which PyYAML is needed: pip install 'manyways[detection]'. Or name the classes in a "
            f"{NAMES[0]}, one a line."
        ) from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"{path} is no YAML: {' '.join(str(error).split())[:200]}. Correct it.") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise DataError(f"{path} must name the classes 0 … {len(names) - 1}; it names {list(names)[:10]}.")
        names = [names[code] for code in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(f"{path} has no list `names` of the classes.")
    return [str(name) for name in names]


def _within(place: Place, root: Path, name: str) -> bool:
    return name in place.path.relative_to(root).parts
