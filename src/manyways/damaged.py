"""Damage of files: code that builds something from one raises one error of ours, whatever it was there."""

from collections.abc import Iterator
from contextlib import contextmanager

from manyways.errors import ManywaysError

SAID = 160
"""Characters of the reason that a message quotes."""
FAULTS = (
    ArithmeticError, AssertionError, AttributeError, BufferError, LookupError, MemoryError, NotImplementedError,
    OSError, RecursionError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""The errors that Python, NumPy and torch raise for values that fit nothing."""


@contextmanager
def damaged(what: str, error: type[ManywaysError], advice: str) -> Iterator[None]:
    """Let whatever goes wrong within be an `error` that says what is wrong with what, and why.

    what: the beginning of the sentence, "FILE describes no model that can be made". Errors of ours pass as they are.
    """
    try:
        yield
    except ManywaysError:
        raise
    except FAULTS as fault:
        raise error(f"{what}: {reason(fault)}. {advice}") from fault


def reason(fault: BaseException) -> str:
    """The message of `fault`, in one line."""
    if isinstance(fault, KeyError):
        return f"{fault.args[0]!r} is missing" if fault.args else "a member is missing"
    if isinstance(fault, MemoryError):
        return "it asks for more memory than there is"
    said = " ".join(str(fault).split()).rstrip(".")
    said = said if len(said) <= SAID else f"{said[: SAID - 1]}…"
    return said or type(fault).__name__
