"""A forecast with its band, after the history that it was made from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from manyways.comparison.report.drawings.base import Drawing, numbers
from manyways.errors import DataError

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT, EDGE = 560.0, 130.0, 6.0


class Forecast(Drawing):
    """Payload: `history`, `truth` and `predicted`, all numbers in order of time, and a band from `low` to `high`."""

    kind = "forecast"
    legend = "Grey is what came before, dashed what came then, drawn through the forecast with its band."

    def draw(self, payload: Mapping[str, Any]) -> "Markup":
        from markupsafe import Markup

        history, truth, predicted = (numbers(payload, name) for name in ("history", "truth", "predicted"))
        low, high = numbers(payload, "low"), numbers(payload, "high")
        if not predicted or len(low) != len(high) or len(low) not in (0, len(predicted)):
            raise DataError("An example of a forecast must have a forecast, and both edges of its band or none.")
        everything = [*history, *truth, *predicted, *low, *high]
        least, most = min(everything), max(everything)
        count = len(history) + max(len(truth), len(predicted))

        def points(values: Sequence[float], first: int) -> list[str]:
            across = (WIDTH - 2 * EDGE) / max(count - 1, 1)
            up = (HEIGHT - 2 * EDGE) / ((most - least) or 1.0)
            return [
                f"{EDGE + (first + at) * across:.1f},{HEIGHT - EDGE - (value - least) * up:.1f}"
                for at, value in enumerate(values)
            ]

        begin, joint = len(history), history[-1:]
        band = [*points(low, begin), *points(high, begin)[::-1]]
        lines = [("before", points(history, 0)), ("truth", points([*joint, *truth], begin - len(joint))),
                 ("guess", points([*joint, *predicted], begin - len(joint)))]  # fmt: skip
        shapes = Markup('<polygon class="band" points="{}"/>').format(" ".join(band)) if band else Markup("")
        for kind, line in lines:
            shapes += Markup('<polyline class="{}" points="{}"/>').format(kind, " ".join(line))
        return Markup(
            '<svg class="forecast" viewBox="0 0 {:.0f} {:.0f}" role="img" '
            'aria-label="A forecast of {} steps, between {:.4g} and {:.4g}">{}</svg>'
        ).format(WIDTH, HEIGHT, len(predicted), least, most, shapes)
