"""Output of the commands, and checks that their files can be written."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from manyways.errors import ModelError, ParameterError
from manyways.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

    from manyways.data.data import Data

DESCRIPTION = "model.json"
"""The file that makes a folder a model's. `manyways.models.saving` has it, too, but loads torch."""

WIDTH_OF_FILES = 120
"""Columns of a table that goes to a file or a pipe."""


def console() -> "Console":
    """The console of results: stdout."""
    from manyways.terminal import Terminal

    return Terminal(width=None if sys.stdout.isatty() else WIDTH_OF_FILES)


def say(text: str) -> None:
    """Tell the person who typed the command something, on stderr."""
    print(visible(text), file=sys.stderr)


def write_out(text: str) -> None:
    """Write `text` to stdout: as it is for whoever reads on, and visible where that is a terminal."""
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)


SHOWN = 8
"""Columns that were left out, and notes on how others were understood, that are shown."""
NO_ROLE = "no role was given to it"
"""The reason why a column is left out that nobody asked for."""


def notes(data: "Data", *, left_out: bool = True) -> list[tuple[str, str]]:
    """Notes on columns that reading left out of `data` and on what it understood, in a few lines: (what, text)."""
    from manyways.cli.wording import as_typed
    from manyways.data.encoders.categories import sharing

    gone = [(name, why) for name, why in data.ignored.items() if left_out]
    lines = [("left out", f"{name}: {as_typed(why)}") for name, why in gone[:SHOWN]]
    if len(gone) > SHOWN:
        lines.append(("left out", f"{len(gone) - SHOWN} more columns"))
    readings = [*data.notes.items(), *(sharing(data) if left_out else {}).items()]
    lines += [("note", f"{name}: {as_typed(note)}") for name, note in readings[:SHOWN]]
    if len(readings) > SHOWN:
        lines.append(("note", f"{len(readings) - SHOWN} more columns were understood so"))
    return lines


def say_notes(data: "Data", *, left_out: bool = True) -> None:
    """Print `notes` on stderr, but for columns that were left out because nobody asked for them."""
    for what, text in notes(data, left_out=left_out):
        if not text.endswith(NO_ROLE):
            say(f"{what:<12}{text}")


def check_console(text: str) -> None:
    """Raise ParameterError where `text`, which others read on, cannot be written to stdout as it is."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError as error:
        raise ParameterError(
            f"The predictions hold {error.object[error.start]!r}, which this console or pipe cannot take: it is "
            f"{encoding}. Name a file, which is written in UTF-8: --out FILE."
        ) from error


def agreed(question: str) -> bool:
    """True if the person at the terminal answers `question` with yes."""
    print(f"{question} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


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
