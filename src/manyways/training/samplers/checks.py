"""Checks of the fields of samplers."""

from math import isfinite

from manyways.errors import ParameterError, did_you_mean


def check_word(where: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise ParameterError where the `value` of a field is none of the words `allowed`."""
    if value not in allowed:
        raise ParameterError(
            f"{where} must be one of {', '.join(map(repr, allowed))}; got {value!r}.{did_you_mean(str(value), allowed)}"
        )


def check_number(where: str, value: object, interval: str, *, whole: bool = False) -> None:
    """Raise ParameterError where the `value` of a field is no number in `interval`, such as "(0, 1]"."""
    low, high = map(float, interval[1:-1].split(","))
    if not isinstance(value, bool) and isinstance(value, int if whole else int | float) and isfinite(value):
        above = value > low if interval[0] == "(" else value >= low
        if above and (value < high if interval[-1] == ")" else value <= high):
            return
    raise ParameterError(f"{where} must be a {'whole ' * whole}number in {interval}; got {value!r}.")
