"""A picture beside its true and its predicted mask."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manyways.comparison.report.drawings.base import Drawing, picture

if TYPE_CHECKING:
    from markupsafe import Markup


class Mask(Drawing):
    """Payload: `image`, and the masks `truth` and `predicted` as coloured pictures of the same size."""

    kind = "mask"
    legend = "The picture, its true mask, and the predicted one."
    wide = False

    def draw(self, payload: Mapping[str, Any]) -> "Markup":
        from markupsafe import Markup

        pictures = [
            (name, picture(payload, key))
            for name, key in (("picture", "image"), ("true", "truth"), ("predicted", "predicted"))
        ]
        figures = Markup("").join(
            Markup('<figure><img src="{}" alt="{}" loading="lazy"><figcaption>{}</figcaption></figure>').format(
                uri, name, name
            )
            for name, uri in pictures
        )
        return Markup('<div class="masks">{}</div>').format(figures)


class Instances(Mask):
    """As masks, each instance in a colour of its own."""

    kind = "instances"
    legend = "The picture, its true instances, and the predicted ones."
