"""Parallel text: a file per language, line by line translations of each other, as of WMT and Multi30k."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from manyways.data.parts import TRAINING
from manyways.data.sources.base import Options, Raw, RawColumn, RawTable, alone, part_of
from manyways.data.sources.file_trees import unread
from manyways.data.sources.limits import check_memory
from manyways.data.sources.text_files import check_utf8, open_binary
from manyways.errors import DataError

ORDER = 38
CODES = (
    "aaabaeafakamanarasavayazbabebgbhbibmbnbobrbscacechcocrcscucvcydadedvdzeeeleneoeseteufafffifjfofrfyga"
    "gdglgngugvhahehihohrhthuhyhziaidieigiiikioisitiujajvkakgkikjkkklkmknkokrkskukvkwkylalblglilnloltlulv"
    "mgmhmimkmlmnmrmsmtmynanbndnengnlnnnonrnvnyocojomorospapiplpsptqurmrnrorurwsascsdsesgsiskslsmsnsosqsr"
    "ssstsusvswtatetgthtitktltntotrtstttwtyugukuruzvevivowawoxhyiyozazhzu"
)
LANGUAGES = frozenset(re.findall("..", CODES))
"""Codes of ISO 639-1, two letters each."""
SIDES = frozenset({"src", "tgt", "trg", "source", "target"})
LONGER = re.compile(r"[a-z]{2,3}[-_][A-Za-z]{2,4}")
"""Codes with a country or a script: pt_BR, zh-Hans, eng_Latn."""


def accepts(source: Any) -> bool:
    """A file such as train.de with another such as train.en beside it, also gzipped; a folder of such files."""
    if not isinstance(source, Path):
        return False
    if source.is_dir():
        return bool(_sets(source))
    return language_of(source) is not None and len(_sets(source.parent).get(_stem(source), ())) > 1


def load(source: Path, options: Options) -> Raw:
    """A column per language, named as the files end. A file is read with those of its name beside it.

    Of a folder files called train, val or test are those parts, of several called test all.

    Raises:
        DataError: Files of one name are not equally long, or have not the same languages.
    """
    sets = _sets(source if source.is_dir() else source.parent)
    if source.is_file():
        sets = {_stem(source): sets[_stem(source)]}
    languages = sorted({language for files in sets.values() for language in files})
    columns: dict[str, list[str]] = {language: [] for language in languages}
    parts: list[np.ndarray[Any, np.dtype[np.uint8]]] = []
    for stem, files in sets.items():
        if missing := [language for language in languages if language not in files]:
            raise DataError(
                f"{source} has {stem}.{next(iter(files))} and no {stem}.{missing[0]}, as other files have it. Add it, "
                f"or read one set alone: read({str(source / next(iter(files.values())).name)!r})."
            )
        lines = {language: _lines(files[language]) for language in languages}
        _check_lengths({files[language]: len(each) for language, each in lines.items()})
        for language, each in lines.items():
            columns[language] += each
        part = TRAINING if source.is_file() else part_of(stem) or TRAINING
        parts.append(np.full(len(lines[languages[0]]), part, np.uint8))
    read = [path for files in sets.values() for path in files.values()]
    left = {} if source.is_file() else unread(sorted(_plain(source)), read, source, "parallel text")
    name = source.name if source.is_dir() else _stem(source)
    table = [RawColumn(language, texts, "text") for language, texts in columns.items()]
    notes = {} if source.is_file() else _notes(sets, source)
    return alone(RawTable(table, name, str(source), np.concatenate(parts), ignored=left, notes=notes))


def language_of(path: Path) -> str | None:
    """The language that a file's ending names, `.gz` left out; None where it names none."""
    ending = Path(path.name.removesuffix(".gz")).suffix.removeprefix(".")
    known = ending in LANGUAGES or ending in SIDES or LONGER.fullmatch(ending)
    return ending if known else None


def _stem(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).stem


def _plain(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]


def _sets(folder: Path) -> dict[str, dict[str, Path]]:
    """The files of each name that two or more languages have, by language."""
    sets: dict[str, dict[str, Path]] = {}
    for path in sorted(_plain(folder)):
        language = language_of(path)
        if language is not None:
            sets.setdefault(_stem(path), {})[language] = path
    return {stem: files for stem, files in sets.items() if len(files) > 1}


def _lines(path: Path) -> list[str]:
    try:
        check_memory(6 * path.stat().st_size, str(path), "parallel text", "Divide it into several files.")
        with open_binary(path) as file:
            text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        check_utf8(path)
        raise
    # Other marks that Python ends lines at, such as U+2028, are part of a sentence.
    lines = text.replace("\r\n", "\n").split("\n")
    return [line.strip() for line in (lines[:-1] if lines[-1] == "" else lines)]


def _check_lengths(counts: dict[Path, int]) -> None:
    (one, lines), *others = counts.items()
    for other, count in others:
        if count != lines:
            raise DataError(
                f"{one.name} has {lines:,} lines and {other.name} has {count:,}; line by line they must be "
                "translations of each other. Align them first."
            )


def _notes(sets: dict[str, dict[str, Path]], folder: Path) -> dict[str, str]:
    """The note that several sets are test rows, and the way to read one of them alone."""
    tests = [stem for stem in sets if part_of(stem) not in (None, TRAINING) and "test" in stem.lower()]
    if len(tests) < 2:
        return {}
    first = next(iter(sets[tests[0]].values())).name
    training = next((files for stem, files in sets.items() if part_of(stem) == TRAINING), None)
    start = next(iter(training.values())).name if training else "train.de"
    return {
        "test rows": f"those of {', '.join(tests)} together. For one alone: "
        f"read({str(folder / start)!r}, test={str(folder / first)!r})"
    }
