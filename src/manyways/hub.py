"""The Hugging Face Hub: whether it can be reached is asked once, and shortly; what cannot be is not tried again."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 5.0
"""Seconds that the Hub may take to answer at all."""
REMEMBERED = 60.0
"""For so many seconds the answer holds: a checkpoint is several files."""
_answers: list[tuple[float, bool]] = []


@contextmanager
def one_try() -> Iterator[None]:
    """If the Hub cannot be reached, let its libraries take what was downloaded before, and fail at once without.

    By themselves they try each file six times, for half a minute.
    """
    if reachable():
        yield
        return
    from huggingface_hub import constants

    places: list[Any] = [constants]
    if "datasets" in sys.modules:
        places.append(sys.modules["datasets"].config)
    before = [place.HF_HUB_OFFLINE for place in places]
    for place in places:
        place.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for place, was in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = was


def reachable() -> bool:
    """True if the Hub answers a single request."""
    if not _answers or time.monotonic() - _answers[0][0] > REMEMBERED:
        _answers[:] = [(time.monotonic(), _ask())]
    return _answers[0][1]


def _ask() -> bool:
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception:  # of the library that asks, which is another in each version
        return False
    return True
