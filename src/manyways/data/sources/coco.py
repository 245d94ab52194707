"""Boxes and masks of COCO: a JSON file for many pictures."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from manyways.data.boxes import box, corners_of
from manyways.data.phrases import count_of
from manyways.data.sources import json_files
from manyways.data.sources.annotated import BOXES, INSTANCES, LABEL, MASK, Annotated, kind_of, raw_of, with_problem
from manyways.data.sources.base import Options, Raw, Shapes, suffix
from manyways.data.sources.layouts import Pictures, part_in, sketch
from manyways.errors import DataError

ORDER = 24
KEYS = ("images", "annotations", "categories")
MOST_CODES = 255
"""Classes of a mask, whose values are bytes."""


def accepts(source: Any) -> bool:
    """A JSON file with images and annotations, or a folder with such a file and pictures."""
    return isinstance(source, Path) and bool(_files(source))


def load(source: Path, options: Options) -> Raw:
    """The pictures that the JSON files name, and their boxes, or what their polygons and run lengths cover.

    A folder may hold a file for each part, whose name or folder says which: instances_train2017.json, valid/… . The
    label is of the kind boxes unless `kinds` says mask (the class of each pixel; the value of a class is its place
    among the categories, sorted by their ids, from 1) or instances (the classes left out). Regions that are crowds are
    left out.
    """
    kind = kind_of(options, (BOXES, MASK, INSTANCES), source)
    files = _files(source)
    root = source if source.is_dir() else source.parent
    pictures = Pictures(root)
    rows: list[Annotated] = []
    notes: dict[str, str] = {}
    for path in files:
        reader = _File(path, pictures, part_in(path, root) if source.is_dir() else 0, kind)
        rows += reader.rows()
        notes |= reader.notes
    return raw_of(rows, {LABEL: kind}, source, notes)


class _File:
    """One JSON file, whose members are held to the types that are needed."""

    def __init__(self, path: Path, pictures: Pictures, part: int, kind: str) -> None:
        self.path, self.pictures, self.part, self.kind = path, pictures, part, kind
        self.content = json_files.content_of(path)
        self.notes: dict[str, str] = {}
        names = {_whole(each, "id", where): str(each.get("name")) for each, where in self.entries("categories")}
        self.names = dict(sorted(names.items()))
        self.codes = {category: code for code, category in enumerate(self.names, 1)}
        if kind == MASK and len(self.codes) > MOST_CODES:
            raise DataError(
                f"{path} has {len(self.codes):,} categories; a mask has {MOST_CODES} classes at most. Read its boxes: "
                f"kinds={{{LABEL!r}: {BOXES!r}}}."
            )
        if kind == MASK:
            values = ", ".join(f"{code} {names[category]}" for category, code in list(self.codes.items())[:20])
            self.notes["mask"] = f"its values are {values}{', …' if len(self.codes) > 20 else ''}, and 0 elsewhere"

    def entries(self, key: str) -> Iterator[tuple[Mapping[str, Any], str]]:
        """The objects in the list `key`, each with the words for messages."""
        entries = self.content.get(key)
        if not isinstance(entries, list):
            raise DataError(f"{self.path} has no list of {key}; COCO's form is {{{', '.join(KEYS)}}}, each a list.")
        for number, each in enumerate(entries):
            where = f"{self.path}: entry {number:,} of {key}"
            if not isinstance(each, dict):
                raise DataError(f"{where} is no object.")
            yield each, where

    def rows(self) -> Iterator[Annotated]:
        """A row for each picture; one without annotations holds no object."""
        images = {_whole(each, "id", where): each for each, where in self.entries("images")}
        objects: dict[int, list[Mapping[str, Any]]] = {image: [] for image in images}
        crowds = 0
        for each, where in self.entries("annotations"):
            image, category = _whole(each, "image_id", where), _whole(each, "category_id", where)
            if image not in images:
                raise DataError(f"{where} is of the picture {image}, which is not among the images of the file.")
            if category not in self.names:
                raise DataError(f"{where} is of the category {category}, which is not among the categories.")
            if each.get("iscrowd"):
                crowds += 1
            else:
                objects[image].append(each)
        if crowds:
            self.notes[f"crowds of {self.path.name}"] = f"{count_of(crowds, 'region')} of many objects left out"
        for image, each in images.items():
            yield self._row(each, objects[image])

    def _row(self, image: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]) -> Annotated:
        name = str(image.get("file_name", image["id"]))
        height, width = image.get("height"), image.get("width")
        size = (height, width) if isinstance(height, int) and isinstance(width, int) and height and width else None
        file = self.pictures.find(name, self.path.parent)
        try:
            if self.kind == BOXES:
                boxes = [box(self.names[each["category_id"]], *corners_of(each.get("bbox"))) for each in objects]
                return Annotated(name, file, boxes, None, size, self.part)
            if size is None:
                raise ValueError("its height and width are not stated, in which its masks are drawn")
            drawn = tuple((self.codes[each["category_id"]], _segmentation(each)) for each in objects)
            return Annotated(name, file, None, Shapes(size, drawn), size, self.part)
        except ValueError as error:
            return with_problem(Annotated(name, file, None, None, size, self.part), error)


def _segmentation(entry: Mapping[str, Any]) -> Any:
    segmentation = entry.get("segmentation")
    if not segmentation:
        raise ValueError(f"the annotation {entry.get('id')} has a box but no segmentation")
    return segmentation


def _whole(entry: Mapping[str, Any], key: str, where: str) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(f"{where} needs a whole number as its {key}; got {value!r}.")
    return value


def _files(source: Path) -> list[Path]:
    """The JSON files of COCO's form: `source` itself, or those in the folder, if there are pictures, too."""
    if source.is_file():
        return [source] if suffix(source) == ".json" and _speaks_of_images(source) else []
    if not source.is_dir():
        return []
    places = sketch(source)
    if not any(place.holds_images for place in places):
        return []
    files = [place.path / name for place in places for name in place.files if name.lower().endswith(".json")]
    return [path for path in files if _speaks_of_images(path)]


def _speaks_of_images(path: Path) -> bool:
    """True if a JSON file is an object with the keys of COCO, wherever in it these stand."""
    wanted = {f'"{key}"'.encode() for key in KEYS}
    with path.open("rb") as file:
        if not file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return False
        file.seek(0)
        rest = b""
        while wanted and (block := file.read(1 << 20)):
            text = rest + block
            wanted = {key for key in wanted if key not in text}
            rest = text[-32:]
    return not wanted
