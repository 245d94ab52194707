"""Hand-made comparisons, small enough to check by eye."""

from collections.abc import Callable
from typing import Any

import pytest

from manyways.comparison.results import (
    Best,
    Comparison,
    Confusion,
    CurvePoint,
    DataSummary,
    Entry,
    InputColumn,
    LabelPoint,
    Machine,
    Mistake,
)

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="session")
def make_entry() -> Callable[..., Entry]:
    """An entry from its scores: mean, an interval of ± 0.01 around it and a short learning curve."""

    def make(name: str, scores: list[float], seconds: float = 10.0, **fields: Any) -> Entry:
        mean = sum(scores) / len(scores)
        interval = {"low": mean - 0.01, "high": mean + 0.01} if len(scores) > 1 else {}
        curve = tuple(CurvePoint(step, step / 10, mean * step / 200, 0.0, mean) for step in (100, 200))
        given = {"title": name.title(), "parameters": 1000, "peak_memory_mb": 120.0, "steps": 200, **fields}
        measured = {"score": mean, "scores": tuple(scores), "seconds": seconds, "curve": curve, **interval}
        return Entry(name=name, **(measured | given))

    return make


@pytest.fixture(scope="session")
def make_comparison() -> Callable[..., Comparison]:
    """A comparison of the given entries on 400 test rows with 40 labels, one seed per score."""

    def make(*entries: Entry, **fields: Any) -> Comparison:
        seeds = max((len(entry.scores) for entry in entries), default=1)
        data = DataSummary(
            name="digits",
            source="made by hand",
            fingerprint="0f" * 16,
            rows=1800,
            training_rows=1400,
            test_rows=fields.pop("test_rows", 400),
            labels_shown=40,
            labels_known=1400,
            label="target",
            learned_from="40 labels",
            task=fields.pop("task", "classification"),
            classes=("zero", "one"),
            inputs=(InputColumn("image", "image", "8 by 8 pixels"),),
        )
        given: dict[str, Any] = {
            "data": data,
            "metric": "accuracy",
            "higher_is_better": True,
            "labels": 40,
            "budget": "200 steps for each entry",
            "seeds": tuple(range(seeds)),
            "machine": Machine(2, 1, "3.11.7", "2.13.0", "Linux"),
            "version": "0.1.0",
            "started": "2026-01-02T03:04:05+00:00",
            "seconds": 61.5,
            "entries": entries,
            "command": "manyways compare digits --labels 40",
        }
        return Comparison(**(given | fields))

    return make


@pytest.fixture(scope="session")
def full(make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]) -> Comparison:
    """A comparison in which every part is filled in, with a failure and an entry that did not finish."""
    entries = (
        make_entry("supervised", [0.80, 0.81, 0.79], 9.0, labels_equivalent=40.0),
        make_entry(
            "fixmatch",
            [0.961, 0.962, 0.960],
            31.0,
            labels_equivalent=310.0,
            hyperparameters={"net": {"width": 32}},
        ),
        make_entry("pseudo-label", [0.851, 0.853, 0.849], 12.0, labels_note="more than 1,400"),
        Entry("spread", "Spread", error="Out of memory at row 7.\nwith a trace"),
        Entry("slow", "Slow", pending=True),
    )
    best = Best(
        "fixmatch",
        Confusion(("zero", "one"), ((190, 10), (6, 194))),
        (Mistake("a1", "zero", "one", "image", PIXEL, 0.75),),
    )
    line = tuple(LabelPoint(n, 0.6 + n / 4000, 0.55, 0.97, (0.6 + n / 4000,)) for n in (40, 200, 1400))
    return make_comparison(*entries, best=best, label_curve=line)
