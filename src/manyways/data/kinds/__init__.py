"""Kinds of columns: how each is told from values, stored, found missing, and called."""

from manyways.data.kinds.base import KINDS, TABLE, ColumnKind, Kind
from manyways.data.kinds.inference import infer_kind, infer_label_kind, most_classes
from manyways.data.kinds.several import SEVERAL, STROKE, classes_in

__all__ = [
    "KINDS", "SEVERAL", "STROKE", "TABLE", "ColumnKind", "Kind", "classes_in", "infer_kind", "infer_label_kind",
    "most_classes",
]  # fmt: skip
