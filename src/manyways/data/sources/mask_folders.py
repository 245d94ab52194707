"""Pictures and masks in folders: images beside masks of the same names, or a folder a picture, a mask an object."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from manyways.data.boxes import Box
from manyways.data.inference.drawing import extents_of
from manyways.data.parts import TEST, TRAINING, VALIDATION
from manyways.data.sources.annotated import (
    BOXES,
    INSTANCES,
    LABEL,
    MASK,
    Annotated,
    kind_of,
    labels_of,
    raw_of,
    with_problem,
)
from manyways.data.sources.base import MaskItem, Options, Raw
from manyways.data.sources.layouts import Place, part_in, sketch
from manyways.data.sources.media import IMAGES
from manyways.errors import DataError

ORDER = 27
PICTURES = ("images", "image", "imgs", "img", "jpegimages", "pictures")
MASKS = ("masks", "mask", "segmentationclass", "segmentationobject", "annotations", "labels", "gt", "groundtruth")
"""Names of folders of pictures, and of those of masks."""
ENDS = ("_mask", "-mask", "_gt", "_label", "_labels", "_seg", "_segmentation")
"""Ends of the names of masks, which those of their pictures lack."""
OBJECT = "object"
"""The class of instances, which have none."""
VOC_LISTS = "ImageSets/Segmentation"


def accepts(source: Any) -> bool:
    """A folder with folders called images and masks, both of picture files, side by side at some depth."""
    return isinstance(source, Path) and source.is_dir() and bool(_pairs(source))


def load(source: Path, options: Options) -> Raw:
    """The pictures and masks of `source`, in one of two layouts.

    A folder of pictures beside one of masks, images/a.jpg and masks/a.png, once or once a part: the label is of the
    kind mask, or instances where `kinds` says that values number objects. Or a folder for each picture, a/images/a.png,
    with a mask for each object, a/masks/1.png and so on: the label is of the kind instances, or mask (all objects), or
    boxes around them; label=("instances", "boxes") gives several. A picture without a mask is unlabelled.
    """
    pairs = _pairs(source)
    if not pairs:
        raise DataError(f"{source} has no folders called images and masks side by side.")
    several = [pair for pair in pairs if _are_instances(*pair)]
    if several and len(several) == len(pairs):
        kinds = labels_of(options, (INSTANCES, MASK, BOXES), source)
        boxes = BOXES in kinds.values()
        rows = [_with_instances(images, masks, source, boxes) for images, masks in _all(source)]
        return raw_of(rows, kinds, source, {})
    kind = kind_of(options, (MASK, INSTANCES), source)
    wanted = "segmentationobject" if kind == INSTANCES else "segmentationclass"
    named = [pair for pair in pairs if pair[1].path.name.lower() == wanted]
    lists = _lists(source)
    rows = [row for images, masks in named or pairs for row in _side_by_side(images.path, masks.path, source)]
    if lists:
        rows = [
            Annotated(row.name, row.image, None, row.mask, None, lists[row.image.stem])
            for row in rows
            if row.image is not None and row.image.stem in lists
        ]
    return raw_of(rows, {LABEL: kind}, source, {})


def _side_by_side(images: Path, masks: Path, root: Path) -> Iterator[Annotated]:
    by_stem = {_plain(path.stem): path for path in _pictures_in(masks)}
    for path in _pictures_in(images):
        yield Annotated(
            path.relative_to(root).as_posix(), path, mask=by_stem.get(path.stem), part=part_in(path.parent, root)
        )


def _with_instances(images: Path, masks: Path, root: Path, boxes: bool) -> Annotated:
    files, name = _pictures_in(images), images.parent.relative_to(root).as_posix()
    row = Annotated(
        name,
        files[0] if files else None,
        part=TRAINING if images.parent == root else part_in(images.parent.parent, root),
    )
    mask: MaskItem = tuple(_pictures_in(masks))
    if len(files) > 1:
        return with_problem(row, ValueError(f"there are {len(files)} pictures in {images.name}, one is needed"))
    if not boxes:
        return Annotated(name, row.image, None, mask, None, row.part)
    try:
        size, extents = extents_of(mask)
    except ValueError as error:
        return with_problem(row, error)
    return Annotated(name, row.image, [Box(OBJECT, *extent) for extent in extents], mask, size, row.part)


def _pairs(root: Path) -> list[tuple[Place, Place]]:
    """Folders of pictures and of masks within one folder, of those that are looked at."""
    places = {place.path: place for place in sketch(root)}
    pairs = []
    for path, place in places.items():
        if path.name.lower() in PICTURES and place.holds_images:
            beside = [other for other in places.values() if other.path.parent == path.parent]
            masks = [other for other in beside if other.path.name.lower() in MASKS and other.holds_images]
            pairs += [(place, other) for other in masks]
    return pairs


def _are_instances(images: Place, masks: Place) -> bool:
    """True if a folder holds one picture, and masks of other names."""
    stems = {_plain(Path(name).stem) for name in masks.files}
    return len(images.files) == 1 and Path(images.files[0]).stem not in stems


def _all(root: Path) -> Iterator[tuple[Path, Path]]:
    """Every pair of folders of pictures and masks, however many there are."""
    for folder, below, _ in root.walk() if hasattr(root, "walk") else _walk(root):
        names = {name.lower(): name for name in below}
        images = next((names[name] for name in PICTURES if name in names), None)
        masks = next((names[name] for name in MASKS if name in names), None)
        if images and masks:
            yield folder / images, folder / masks


def _walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    import os

    for folder, below, files in os.walk(root):
        yield Path(folder), below, files


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES and not path.name.startswith("."))


def _plain(stem: str) -> str:
    return next((stem.removesuffix(end) for end in ENDS if stem.lower().endswith(end)), stem)


def _lists(root: Path) -> dict[str, int]:
    """The part of each picture by the lists of Pascal VOC; empty where there are none."""
    parts: dict[str, int] = {}
    for name, part in (("test", TEST), ("val", VALIDATION), ("train", TRAINING), ("trainval", TRAINING)):
        if (path := root / VOC_LISTS / f"{name}.txt").is_file():
            for line in path.read_text("utf-8", "replace").split():
                parts.setdefault(line, part)
    return parts
