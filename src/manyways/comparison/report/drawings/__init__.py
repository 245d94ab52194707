"""Drawings of labels with a structure: a file for each kind of label, found by walking this folder."""

from manyways.comparison.report.drawings.base import DRAWINGS, Drawing, drawn

__all__ = ["DRAWINGS", "Drawing", "drawn"]
