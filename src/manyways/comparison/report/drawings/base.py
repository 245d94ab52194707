"""Drawing: how a row with its true and its predicted label is shown in a report."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from manyways.errors import DataError
from manyways.registry import Classes

if TYPE_CHECKING:
    from markupsafe import Markup

    from manyways.comparison.results import Example

PICTURE = "data:image/"
PLAIN = "plain"


class Drawing(ABC):
    """The HTML of an example of one kind of label, made of its payload.

    Results travel as JSON, so that a payload is checked and escaped here: it may come from anybody. A further kind is a
    file in this folder, or in the entry-point group `manyways.drawings`.
    """

    kind: ClassVar[str]
    """The kind of label that it draws."""
    legend: ClassVar[str] = ""
    """The meaning of the marks, in a sentence."""
    wide: ClassVar[bool] = True
    """True if an example takes a line of its own; False for pictures, which stand side by side."""

    @abstractmethod
    def draw(self, payload: Mapping[str, Any]) -> "Markup":
        """The HTML of an example. Raises DataError where the payload is none of this kind."""


DRAWINGS: Classes[Drawing] = Classes("drawings", Drawing, "manyways.comparison.report.drawings", attribute="kind")
"""Every drawing by the kind of label: those of this folder, and of the group `manyways.drawings`."""


class Plain(Drawing):
    """Both labels in words."""

    kind = PLAIN

    def draw(self, payload: Mapping[str, Any]) -> "Markup":
        from markupsafe import Markup

        truth, predicted = text(payload, "truth"), text(payload, "predicted")
        return Markup("<p><span>true</span> <b>{}</b><br><span>predicted</span> <b>{}</b></p>").format(truth, predicted)


def drawing_of(kind: str) -> Drawing:
    """The drawing of a kind of label; both labels in words where it has none."""
    return DRAWINGS.find(kind if kind in DRAWINGS else PLAIN)()


def drawn(example: "Example") -> "Markup":
    """The HTML of `example`. Raises DataError where its payload is none of its kind."""
    return drawing_of(example.kind).draw(example.payload)


# --- payloads are read by these, which say what is wrong -----------------------------------------------


def text(payload: Mapping[str, Any], name: str) -> str:
    """The member `name`, a string."""
    value = payload.get(name)
    if not isinstance(value, str):
        raise DataError(f"The payload of an example lacks the text {name!r}.")
    return value


def picture(payload: Mapping[str, Any], name: str) -> str:
    """The member `name`, a picture as a data: URI."""
    value = text(payload, name)
    if not value.startswith(PICTURE):
        raise DataError(f"The picture {name!r} of an example must begin with {PICTURE!r}.")
    return value


def texts(payload: Mapping[str, Any], name: str) -> list[str]:
    """The member `name`, a list of strings."""
    values = items(payload, name)
    if not all(isinstance(value, str) for value in values):
        raise DataError(f"The member {name!r} of an example must be a list of texts.")
    return [str(value) for value in values]


def numbers(payload: Mapping[str, Any], name: str) -> list[float]:
    """The member `name`, a list of numbers; empty where it is not there."""
    return floats(items(payload, name) if name in payload else (), name)


def floats(values: Sequence[Any], name: str) -> list[float]:
    """`values` as numbers."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise DataError(f"The member {name!r} of an example must be a list of numbers.")
    return [float(value) for value in values]


def items(payload: Mapping[str, Any], name: str) -> Sequence[Any]:
    """The member `name`, a list."""
    value = payload.get(name)
    if not isinstance(value, list | tuple):
        raise DataError(f"The payload of an example lacks the list {name!r}.")
    return value


def rows_of(payload: Mapping[str, Any], name: str, width: int) -> Iterator[Sequence[Any]]:
    """The member `name`, a list of lists of `width` members each."""
    for value in items(payload, name):
        if not isinstance(value, list | tuple) or len(value) != width:
            raise DataError(f"The member {name!r} of an example must be lists of {width}.")
        yield value
