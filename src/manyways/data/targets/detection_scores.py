"""Scores of predicted boxes: COCO's mean average precision by pycocotools, and counts of boxes that match."""

import contextlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.errors import NeedsError

if TYPE_CHECKING:
    from pycocotools.cocoeval import COCOeval

MATCHED = 0.5
"""Least overlap (intersection over union) of a box with the one that it finds."""
MOST_BOXES = 100
"""Boxes of a picture that COCO looks at, the surest ones; more where pictures hold more objects."""
OF_ALL_AREAS = 0
LEFT_OUT_AT_MOST = 500
"""Rows up to which the score without each of them is computed, for an interval."""


def require_pycocotools() -> None:
    """Raise NeedsError where pycocotools is not installed."""
    try:
        import pycocotools.cocoeval  # noqa: F401
    except ImportError as error:
        raise NeedsError(
            "The mean average precision of boxes needs the library pycocotools; type pip install 'manyways[detection]'."
        ) from error


def mean_average_precisions(
    predicted: Sequence[NDArray[Any]],
    truth: Sequence[NDArray[Any]],
    classes: int,
    sizes: NDArray[np.int32],
    *,
    by_row: bool = False,
) -> tuple[dict[str, float], NDArray[np.float64] | None]:
    """COCO's scores: at an overlap of 0.5, and the mean of those at 0.5, 0.55, … 0.95; the mean over classes of each.

    As many boxes a picture are looked at as the fullest one holds objects, where that is more than COCO's 100.

    Args:
        predicted: Boxes of each row [boxes, 6]: class, left, top, right, bottom as parts of the sides, score.
        truth: Boxes of each row [boxes, 5], the same without scores.
        classes: The number of classes.
        sizes: Height and width of each picture, [rows, 2], in whose pixels boxes are compared.
        by_row: True for the pseudo-values of the first score: each row's are of the score without it (Quenouille 1956).

    Returns:
        The scores by name, and the pseudo-values [rows]; None unless they are wanted, and for many rows.
    """
    evaluation = _evaluated(predicted, truth, classes, sizes)
    scores = _accumulated(evaluation)
    count = len(truth)
    if not (by_row and 1 < count <= LEFT_OUT_AT_MOST):
        return scores, None
    without = np.array([_accumulated(evaluation, row)["map_50"] for row in range(count)])
    return scores, count * scores["map_50"] - (count - 1) * without


def _evaluated(
    predicted: Sequence[NDArray[Any]], truth: Sequence[NDArray[Any]], classes: int, sizes: NDArray[np.int32]
) -> "COCOeval":
    require_pycocotools()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    objects = coco_objects(truth, sizes)
    for number, each in enumerate(objects, 1):
        each |= {"id": number, "area": each["bbox"][2] * each["bbox"][3], "iscrowd": 0}
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {
            "info": {},
            "images": [{"id": row} for row in range(1, len(truth) + 1)],
            "categories": [{"id": code} for code in range(1, classes + 1)],
            "annotations": objects,
        }
        known.createIndex()
        boxes = coco_objects(predicted, sizes)
        evaluation = COCOeval(known, known.loadRes(boxes) if boxes else COCO(), "bbox")
        most = max([MOST_BOXES, *(len(row) for row in truth)])
        evaluation.params.maxDets = [most]
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
        evaluation.evaluate()
    return evaluation


def coco_objects(rows: Sequence[NDArray[Any]], sizes: NDArray[np.int32]) -> list[dict[str, Any]]:
    """Boxes as COCO's entries: picture (from 1, by its row), category (from 1, by its class), box, and score if any."""
    entries = []
    for number, (boxes, (height, width)) in enumerate(zip(rows, sizes.tolist(), strict=True), 1):
        for code, left, top, right, bottom, *score in boxes.astype(np.float64).tolist():
            box = [left * width, top * height, (right - left) * width, (bottom - top) * height]
            entry = {"image_id": number, "category_id": int(code) + 1, "bbox": box}
            entries.append({**entry, "score": score[0]} if score else entry)
    return entries


def coco_file(
    labels: NDArray[Any], numbers: Sequence[int], sizes: Sequence[tuple[int, int]], names: Sequence[str]
) -> dict[str, Any]:
    """Boxes as `BoxTarget.decode` gives them as a file of COCO's form.

    Args:
        labels: The boxes of each row.
        numbers: The number of each row, which is the id of its picture.
        sizes: Height and width of each picture.
        names: The classes.
    """
    ids = {name: code for code, name in enumerate(names, 1)}
    images = [
        {"id": number, "file_name": str(number), "height": height, "width": width}
        for number, (height, width) in zip(numbers, sizes, strict=True)
    ]
    objects: list[dict[str, Any]] = []
    for number, boxes in zip(numbers, labels, strict=True):
        for box in boxes:
            left, top, right, bottom = box["box"]
            sides = [left, top, round(right - left, 2), round(bottom - top, 2)]
            area = {"area": round(sides[2] * sides[3], 2), "iscrowd": 0, "score": box.get("score", 1.0)}
            entry = {"image_id": number, "category_id": ids[box["label"]], "bbox": sides, **area}
            objects.append({"id": len(objects) + 1, **entry})
    categories = [{"id": code, "name": name} for name, code in ids.items()]
    return {"images": images, "categories": categories, "annotations": objects}


def _accumulated(evaluation: "COCOeval", without: int | None = None) -> dict[str, float]:
    """The scores, of all pictures or `without` one."""
    whole, ids = evaluation.evalImgs, evaluation.params.imgIds
    params = evaluation.params
    if without is not None:
        count = len(ids)
        evaluation.evalImgs = [each for at, each in enumerate(whole) if at % count != without]
        params = evaluation.params = _copy_without(params, without)
        evaluation._paramsEval = params
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate(params)
    precision = evaluation.eval["precision"][..., OF_ALL_AREAS, 0]  # [overlaps, recalls, classes], -1: no such object
    if without is not None:
        evaluation.evalImgs = whole
        evaluation.params = _with(params, ids)
        evaluation._paramsEval = evaluation.params
    there = precision[:, :, (precision > -1).any(axis=(0, 1))]
    if not there.size:
        return {"map_50": float("nan"), "map": float("nan")}
    return {"map_50": float(there[0].mean()), "map": float(there.mean())}


def _copy_without(params: Any, without: int) -> Any:
    return _with(params, [each for at, each in enumerate(params.imgIds) if at != without])


def _with(params: Any, ids: Sequence[int]) -> Any:
    import copy

    other = copy.copy(params)
    other.imgIds = list(ids)
    return other


def matches(predicted: NDArray[Any], truth: NDArray[Any], least: float) -> tuple[int, int, int]:
    """Boxes that match at an overlap of 0.5, boxes predicted, and boxes that are there.

    Each box that is at least as sure as `least`, the surest first, takes the one of its class that it overlaps most, of
    those that none has taken.
    """
    chosen = predicted[predicted[:, 5] >= least]
    chosen = chosen[np.argsort(-chosen[:, 5], kind="stable")]
    overlaps = overlap_of(chosen[:, 1:5], truth[:, 1:5]) * (chosen[:, :1] == truth[:, 0])
    matched = 0
    for row in overlaps:
        best = int(row.argmax()) if len(row) else 0
        if len(row) and row[best] >= MATCHED:
            matched += 1
            overlaps[:, best] = 0
    return matched, len(chosen), len(truth)


def overlap_of(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union of every box of `first` [n, 4] with every one of `second` [m, 4]: [n, m]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (first, second)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-12), np.float64)
