"""Source, reference and hypothesis side by side."""

from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from manyways.comparison.report.drawings.base import PICTURE, Drawing, text

if TYPE_CHECKING:
    from markupsafe import Markup

SOUND = "data:audio/"


class Text(Drawing):
    """Payload: `source` (a text, or a picture or sound as a data: URI), `truth` (the reference) and `predicted`."""

    kind = "text"
    legend = "In the hypothesis, words that the reference has not are marked."

    def draw(self, payload: Mapping[str, Any]) -> "Markup":
        from markupsafe import Markup

        source, truth, predicted = (text(payload, name) for name in ("source", "truth", "predicted"))
        given = Markup("<p>{}</p>").format(source)
        if source.startswith(PICTURE):
            given = Markup('<img src="{}" alt="The source" loading="lazy">').format(source)
        elif source.startswith(SOUND):
            given = Markup('<audio controls preload="metadata" src="{}"></audio>').format(source)
        return Markup(
            '<dl class="texts"><div><dt>source</dt><dd>{}</dd></div><div><dt>reference</dt><dd><p>{}</p></dd></div>'
            "<div><dt>hypothesis</dt><dd><p>{}</p></dd></div></dl>"
        ).format(given, truth, marked(truth.split(), predicted.split()))


def marked(reference: list[str], hypothesis: list[str]) -> "Markup":
    """The words of a hypothesis, those marked that do not stand in the same place of the reference."""
    from markupsafe import Markup

    out = []
    for kind, _, _, low, high in SequenceMatcher(None, reference, hypothesis, autojunk=False).get_opcodes():
        for word in hypothesis[low:high]:
            out.append(Markup("<mark>{}</mark>").format(word) if kind != "equal" else Markup("{}").format(word))
    return Markup(" ").join(out)
