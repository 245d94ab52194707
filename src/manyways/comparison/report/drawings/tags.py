"""Words coloured by their tags, those with a wrong one marked."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from manyways.comparison.report.drawings.base import Drawing, texts
from manyways.errors import DataError

if TYPE_CHECKING:
    from markupsafe import Markup

HUES = 12
OUTSIDE = "O"


def hue(tag: str, tags: Sequence[str]) -> int:
    """The number of the colour of a tag: that of its kind, whatever begins or goes on with it."""
    kinds = sorted({each.partition("-")[2] or each for each in tags if each != OUTSIDE})
    kind = tag.partition("-")[2] or tag
    return kinds.index(kind) % HUES if kind in kinds else 0


class Tags(Drawing):
    """Payload: `words`, and for each its tag in `truth` and in `predicted`."""

    kind = "tags"
    legend = (
        "Under each word its predicted tag; where that is wrong, the true one stands after it, struck out is the guess."
    )

    def draw(self, payload: Mapping[str, Any]) -> "Markup":
        from markupsafe import Markup

        words, truth, predicted = (texts(payload, name) for name in ("words", "truth", "predicted"))
        if not len(words) == len(truth) == len(predicted):
            raise DataError("An example of tags must have as many tags as words.")
        out = []
        for word, true, guess in zip(words, truth, predicted, strict=True):
            if true == guess == OUTSIDE:
                out.append(Markup("<span>{}</span>").format(word))
                continue
            below = Markup("<small>{}</small>").format(guess)
            if true != guess:
                below = Markup("<small><s>{}</s> {}</small>").format(guess, true)
            marks = Markup(' class="tag h{}{}"').format(hue(true, truth), "" if true == guess else " wrong")
            out.append(Markup("<span{}>{}{}</span>").format(marks, word, below))
        return Markup('<p class="tagged">{}</p>').format(Markup(" ").join(out))
