"""What the commands print, and whether their files can be written."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from manyways.errors import ModelError, ParameterError

if TYPE_CHECKING:
    from rich.console import Console

DESCRIPTION = "model.json"
"""The file that makes a folder a model's. `manyways.models.saving` has it, too, but loads torch."""

WIDTH_OF_FILES = 120
"""Columns of a table that goes to a file or a pipe."""


def console() -> "Console":
    """Where results go: stdout."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES, highlight=False, markup=False)


def check_file(flag: str, path: Path | None) -> None:
    """Raise ParameterError where no file can be written at `path`, before time is spent on its content."""
    if path is None:
        return
    if path.is_dir():
        raise ParameterError(f"{flag} must be a file; {path} is a folder. Add a file name to it.")
    if not path.parent.is_dir():
        raise ParameterError(
            f"{flag} must lie in a folder that exists; there is no folder {path.parent}. Make it first."
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ParameterError(f"{flag}: {path} cannot be written: no permission. Name a file in another folder.")


def check_model_folder(folder: Path) -> None:
    """Raise ModelError where no model can be saved as `folder`, before it is trained."""
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / DESCRIPTION).exists():
            raise ModelError(
                f"{folder} exists and is no model folder, so it is left alone; give a new name: --out DIR."
            )
    elif folder.exists():
        raise ModelError(f"{folder} is a file; a model is a folder. Give a new name: --out DIR.")
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        why = "no permission" if above.is_dir() else f"{above} is a file"
        raise ModelError(f"The model cannot be written to {folder}: {why}. Give another folder: --out DIR.")
