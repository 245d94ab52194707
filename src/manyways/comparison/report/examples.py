"""Examples of labels with a structure, drawn."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from manyways.comparison.report.drawings.base import drawing_of
from manyways.comparison.report.exhibits import MOST_BYTES
from manyways.comparison.results import Comparison, Example
from manyways.comparison.wording import metric_words

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class Examples:
    """Examples of one kind of label with their drawings, what its marks mean, and the metric of their scores."""

    drawn: "list[tuple[Example, Markup]]"
    legend: str
    wide: bool
    metric: str


def drawn_examples(comparison: Comparison) -> Examples | None:
    """The examples of the best entry, as many as take at most `MOST_BYTES`; None where there are none.

    Raises:
        DataError: A payload is none of its kind.
    """
    given = comparison.best.examples if comparison.best else ()
    if not given:
        return None
    drawing = drawing_of(given[0].kind)
    chosen: list[tuple[Example, Markup]] = []
    taken = 0
    for example in given:
        if example.kind != given[0].kind:
            continue
        drawn = drawing.draw(example.payload)
        taken += len(drawn)
        if chosen and taken > MOST_BYTES:
            break
        chosen.append((example, drawn))
    return Examples(chosen, drawing.legend, drawing.wide, metric_words(comparison.metric))
