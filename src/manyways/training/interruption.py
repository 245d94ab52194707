"""Ctrl-C between two steps: what is half done can be no checkpoint."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

PYTHONS_OWN = signal.default_int_handler


@contextmanager
def between_steps(wanted: bool) -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether Ctrl-C was pressed since, for code that ends itself then.

    The first Ctrl-C waits until that code raises KeyboardInterrupt, or the block ends; the second one raises it at
    once. Nothing changes where it is not `wanted`, outside of the main thread, and where Ctrl-C does something else.
    """
    if not wanted or current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) is not PYTHONS_OWN:
        yield lambda: False
        return
    pressed = False

    def wait(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    signal.signal(signal.SIGINT, wait)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, PYTHONS_OWN)
    if pressed:
        raise KeyboardInterrupt
