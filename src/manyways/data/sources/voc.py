"""Boxes of Pascal VOC: an XML file for each picture, and lists of the pictures of each part."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from manyways.data import boxes
from manyways.data.parts import TEST, TRAINING, VALIDATION
from manyways.data.phrases import count_of
from manyways.data.sources import mask_folders, xml_files
from manyways.data.sources.annotated import BOXES, LABEL, Annotated, kind_of, raw_of, with_problem
from manyways.data.sources.base import Options, Raw
from manyways.data.sources.file_trees import files_below
from manyways.data.sources.layouts import Pictures, part_in, sketch
from manyways.errors import DataError

ORDER = 25
ROOT = "annotation"
LISTS = "ImageSets/Main"
PARTS = {"test": TEST, "val": VALIDATION, "train": TRAINING, "trainval": TRAINING}
"""Lists of pictures, and the part that each is; of those in several the first list counts."""
BEGINNING = 4096
"""Bytes of an XML file within which its root stands."""


def accepts(source: Any) -> bool:
    """A folder with XML files of annotations, and pictures."""
    if not (isinstance(source, Path) and source.is_dir()):
        return False
    places = sketch(source)
    files = [place.path / name for place in places for name in place.files if name.lower().endswith(".xml")]
    return any(place.holds_images for place in places) and bool(files) and _is_annotation(files[0])


def load(source: Path, options: Options) -> Raw:
    """The pictures of `source` and their boxes, corners as they stand in the files.

    Parts are those of the lists in ImageSets/Main, where there are some: then pictures that stand in none are left out.
    Elsewhere folders say them: train, valid, test. A picture without an annotation is unlabelled. With a label of the
    kind mask or instances the folders SegmentationClass and SegmentationObject are read in place of boxes.
    """
    if options.kinds.get(LABEL, BOXES) != BOXES:
        return mask_folders.load(source, options)
    kind = kind_of(options, (BOXES,), source)
    pictures = Pictures(source)
    rows = {row.name: row for row in _rows(source, pictures)}
    lists = _lists(source)
    notes = {}
    if lists is None:
        annotated = {row.image for row in rows.values()}
        for path in pictures.files:
            if path not in annotated:
                name = path.relative_to(source).as_posix()
                rows[name] = Annotated(name, path, part=part_in(path.parent, source))
        chosen = list(rows.values())
    else:
        by_stem = {Path(name).stem: row for name, row in rows.items()}
        chosen = [_listed(stem, part, by_stem, pictures) for stem, part in lists.items()]
        if left := len(by_stem.keys() - lists.keys()):
            notes["pictures"] = (
                f"{count_of(left, 'annotation')} stands in none of the lists in {LISTS}, and is left out"
            )
    return raw_of(chosen, {LABEL: kind}, source, notes)


def _listed(stem: str, part: int, rows: dict[str, Annotated], pictures: Pictures) -> Annotated:
    row = rows.get(stem)
    if row is None:
        return Annotated(stem, pictures.find(stem, pictures.root), part=part)
    return Annotated(row.name, row.image, row.boxes, None, row.size, part, row.problem)


def _rows(root: Path, pictures: Pictures) -> Iterator[Annotated]:
    for path in files_below(root):
        if path.suffix.lower() != ".xml":
            continue
        row = Annotated(path.relative_to(root).as_posix(), None, part=part_in(path.parent, root))
        try:
            tree = xml_files.read(path)
            if tree.tag == ROOT:
                yield _row(row, tree, path, pictures)
        except (DataError, ValueError) as error:
            image = pictures.find(path.stem, path.parent)
            yield with_problem(Annotated(row.name, image, part=row.part), error)


def _row(row: Annotated, tree: Element, path: Path, pictures: Pictures) -> Annotated:
    name = xml_files.text_of(tree, "filename") or path.stem
    image = pictures.find(name, path.parent) or pictures.find(path.stem, path.parent)
    objects = [_box(element) for element in tree.iter("object")]
    sides = [xml_files.text_of(tree, "size", side) for side in ("height", "width")]
    height, width = (int(side) if side and side.isdigit() else 0 for side in sides)
    # Some programs write a size of 0; then the picture's own is all that is known.
    size = (height, width) if height and width else None
    return Annotated(row.name, image, objects, None, size, row.part)


def _box(element: Element) -> boxes.Box:
    label = xml_files.text_of(element, "name")
    if label is None:
        raise ValueError("an object has no name")
    sides = [xml_files.text_of(element, "bndbox", side) for side in ("xmin", "ymin", "xmax", "ymax")]
    if None in sides:
        raise ValueError(f"a {label} has no bndbox with xmin, ymin, xmax and ymax")
    return boxes.box(label, *sides)


def _lists(root: Path) -> dict[str, int] | None:
    """The part of each picture by its name without ending; None where there are no lists."""
    folder = root / LISTS
    files = {name: folder / f"{name}.txt" for name in PARTS}
    if not any(path.is_file() for path in files.values()):
        return None
    parts: dict[str, int] = {}
    for name, path in files.items():
        if path.is_file():
            for line in path.read_text("utf-8", "replace").splitlines():
                if words := line.split():
                    parts.setdefault(
                        Path(words[0]).stem if words[0].endswith((".jpg", ".png")) else words[0], PARTS[name]
                    )
    return parts


def _is_annotation(path: Path) -> bool:
    with path.open("rb") as file:
        return f"<{ROOT}".encode() in file.read(BEGINNING)
