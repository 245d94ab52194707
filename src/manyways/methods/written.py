"""Fields of methods as JSON and as text."""

from dataclasses import MISSING
from typing import Any

from manyways.models.model import Model


def plain(value: Any) -> Any:
    """`value` as JSON, from which `manyways.methods.saved` makes it again."""
    if hasattr(value, "to_json"):  # a method
        return value.to_json()
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, Model):
        return {"model": value.lineage.title}
    if callable(value):
        return {"function": written(value)}
    return value if isinstance(value, int | float | str | bool | None) else written(value)


def as_tuple(value: Any) -> tuple[Any, ...]:
    """`value` itself, or alone in a tuple."""
    return value if isinstance(value, tuple) else (value,)


def written(value: Any) -> str:
    """`value` as it stands in a method's title."""
    if hasattr(value, "to_json"):  # a method
        return str(value)
    if isinstance(value, Model):  # its repr holds all that its lineage does
        return f"<{value.lineage.title}>"
    if callable(value):  # its repr holds an address, which would be another in every process
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}.{named.__qualname__}"
    return repr(value)


def default(spec: Any) -> Any:
    """The value of a dataclass's field where none is given."""
    return spec.default_factory() if spec.default is MISSING and spec.default_factory is not MISSING else spec.default
