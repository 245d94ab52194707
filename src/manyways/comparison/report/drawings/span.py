"""An answer marked in the text that it was taken from."""

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from manyways.comparison.report.drawings.base import Drawing, floats, items, text
from manyways.errors import DataError

if TYPE_CHECKING:
    from markupsafe import Markup

AROUND = 220
"""Characters of the text that are shown on either side of the spans."""


class Span(Drawing):
    """Payload: `question`, `context`, and its [start, end] characters in `truth` and `predicted`; [] for no answer."""

    kind = "span"
    legend = "Underlined is the true answer, marked the predicted one."

    def draw(self, payload: Mapping[str, Any]) -> "Markup":
        from markupsafe import Markup

        question, context = text(payload, "question"), text(payload, "context")
        truth, guess = (_span(payload, name, len(context)) for name in ("truth", "predicted"))
        edges = [edge for span in (truth, guess) if span for edge in span]
        low, high = max(0, min(edges, default=0) - AROUND), min(len(context), max(edges, default=0) + AROUND)
        cuts = sorted({low, high, *(edge for edge in edges if low <= edge <= high)})
        out = [Markup("…") if low else Markup("")]
        for start, end in pairwise(cuts):
            piece = Markup("{}").format(context[start:end])
            if truth and truth[0] <= start and end <= truth[1]:
                piece = Markup("<u>{}</u>").format(piece)
            if guess and guess[0] <= start and end <= guess[1]:
                piece = Markup("<mark{}>{}</mark>").format(
                    Markup("") if guess == truth else Markup(' class="wrong"'), piece
                )
            out.append(piece)
        out.append(Markup("…") if high < len(context) else Markup(""))
        none = [
            name for name, span in (("The text has no answer.", truth), ("Predicted: no answer.", guess)) if not span
        ]
        said = Markup(" <small>{}</small>").format(" ".join(none)) if none else Markup("")
        return Markup('<div class="answer"><p><b>{}</b>{}</p><p>{}</p></div>').format(
            question, said, Markup("").join(out)
        )


def _span(payload: Mapping[str, Any], name: str, length: int) -> tuple[int, int] | None:
    given = floats(items(payload, name), name)
    if not given:
        return None
    if len(given) != 2 or not 0 <= given[0] <= given[1] <= length:
        raise DataError(f"The span {name!r} of an example must be two places within its text.")
    return int(given[0]), int(given[1])
