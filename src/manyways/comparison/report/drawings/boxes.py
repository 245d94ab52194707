"""Boxes over a picture: the true ones, and the predicted ones with their scores."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manyways.comparison.report.drawings.base import Drawing, floats, items, picture, rows_of
from manyways.comparison.report.drawings.tags import HUES
from manyways.errors import DataError

if TYPE_CHECKING:
    from markupsafe import Markup


class Boxes(Drawing):
    """Payload: `image`, its `size` [width, height], `truth` [[class, x, y, width, height]], `predicted` with scores.

    Boxes are in pixels of `size`, x and y those of the upper left corner.
    """

    kind = "boxes"
    legend = "Dashed are the true boxes, drawn through the predicted ones, a colour for each class."
    wide = False

    def draw(self, payload: Mapping[str, Any]) -> "Markup":
        from markupsafe import Markup

        image, size = picture(payload, "image"), floats(items(payload, "size"), "size")
        if len(size) != 2 or min(size) <= 0:
            raise DataError("The size of a picture must be its width and its height.")
        truth, predicted = list(rows_of(payload, "truth", 5)), list(rows_of(payload, "predicted", 6))
        names = sorted({str(row[0]) for row in (*truth, *predicted)})
        out = [_box(names, str(row[0]), floats(row[1:5], "truth"), None, size[1]) for row in truth]
        out += [
            _box(names, str(row[0]), floats(row[1:5], "predicted"), floats(row[5:], "predicted")[0], size[1])
            for row in predicted
        ]
        keys = Markup(" ").join(
            Markup('<span class="key h{}">{}</span>').format(at % HUES, name) for at, name in enumerate(names)
        )
        return Markup(
            '<figure class="over"><div><img src="{}" alt="A picture with {} boxes" loading="lazy">'
            '<svg viewBox="0 0 {:.0f} {:.0f}" preserveAspectRatio="none" aria-hidden="true">{}</svg></div>'
            "<figcaption>{}</figcaption></figure>"
        ).format(image, len(truth), *size, Markup("").join(out), keys)


def _box(names: list[str], name: str, box: list[float], score: float | None, height: float) -> "Markup":
    from markupsafe import Markup

    x, y, wide, tall = box
    kind = "box truth" if score is None else "box"
    return Markup(
        '<rect class="{} h{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
    ).format(
        kind,
        names.index(name) % HUES,
        x,
        y,
        max(wide, 0),
        max(tall, 0),
        name if score is None else f"{name} {score:.2f}",
    )
