"""Paths that a mistyped one may have meant."""

from difflib import get_close_matches
from itertools import islice
from pathlib import Path

MOST_NEAR = 5_000
"""Files of a folder among which one of nearly the same name is looked for."""


def near_path(path: Path) -> Path | None:
    """The path there that is called nearly as `path`: each part that is missing is looked for where it should be."""
    near = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        if not (near / part).exists():
            close = get_close_matches(part, names_in(near), 1, 0.6)
            if not close:
                return None
            part = close[0]  # noqa: PLW2901
        near /= part
    return near


def names_in(folder: Path) -> list[str]:
    """The entries of `folder`, as far as it can be seen and looked through in a moment."""
    try:
        return [entry.name for entry in islice(folder.iterdir(), MOST_NEAR)]
    except OSError:
        return []
