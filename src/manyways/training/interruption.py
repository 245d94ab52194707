"""Ctrl-C, and SIGTERM where it means the same, between two steps: what is half done can be no checkpoint."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

PYTHONS_OWN = signal.default_int_handler
Handler = Callable[[int, FrameType | None], object]

_heard: list[Handler] = [PYTHONS_OWN]
"""The actions of a SIGTERM: the last of these is taken."""
_terminated: list[int] = []
"""The SIGTERMs that were heard."""


def _terminate(number: int, frame: FrameType | None) -> None:
    _terminated.append(number)
    _heard[-1](number, frame)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM be what Ctrl-C is: a KeyboardInterrupt, which ends workers and keeps what is done.

    Nothing changes outside of the main thread, and where SIGTERM does something else than to end the process.
    """
    _terminated.clear()
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def terminated() -> bool:
    """True if a SIGTERM has been heard since `terminable` began."""
    return bool(_terminated)


@contextmanager
def between_steps(wanted: bool) -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether Ctrl-C was pressed since, for code that ends itself then.

    The first Ctrl-C waits until that code raises KeyboardInterrupt, or the block ends; the second one raises it at
    once. So does a SIGTERM within `terminable`. Nothing changes where it is not `wanted`, outside of the main thread,
    and where they do something else.
    """
    pressable = signal.getsignal(signal.SIGINT) is PYTHONS_OWN
    endable = signal.getsignal(signal.SIGTERM) is _terminate
    if not wanted or current_thread() is not main_thread() or not (pressable or endable):
        yield lambda: False
        return
    pressed = False

    def wait(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    _heard.append(wait)
    if pressable:
        signal.signal(signal.SIGINT, wait)
    try:
        yield lambda: pressed
    finally:
        if pressable:
            signal.signal(signal.SIGINT, PYTHONS_OWN)
        _heard.remove(wait)
    if pressed:
        raise KeyboardInterrupt
