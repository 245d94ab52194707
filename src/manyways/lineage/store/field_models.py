"""Models that a method names in its fields: in memory, or by the folder they were saved in."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from manyways.methods.method import Method
from manyways.models.model import Model
from manyways.models.saving import DESCRIPTION


def field_models(method: Method, where: str = "") -> dict[str, Model]:
    """The models in the fields of `method` and of methods within it, by their place (see `saved.places`)."""
    found: dict[str, Model] = {}
    for field in fields(method):
        found |= _models(getattr(method, field.name), f"{where}{field.name}")
    return found


def _models(value: Any, place: str) -> dict[str, Model]:
    if isinstance(value, Model):
        return {place: value}
    if isinstance(value, Method):
        return field_models(value, f"{place}.")
    if isinstance(value, tuple):
        return {key: held for at, each in enumerate(value) for key, held in _models(each, f"{place}[{at}]").items()}
    return {}


def model_folders(saved: Any, where: str = "") -> dict[str, Path]:
    """The folders of models saved by Manyways that the JSON of a method names, by their place."""
    if isinstance(saved, str):
        path = Path(saved)
        return {where: path} if len(saved) < 4096 and "\0" not in saved and (path / DESCRIPTION).is_file() else {}
    items = saved.items() if isinstance(saved, Mapping) else enumerate(saved) if isinstance(saved, list) else ()
    folders: dict[str, Path] = {}
    for key, value in items:
        place = f"{where}[{key}]" if isinstance(key, int) else f"{where}.{key}" if where else str(key)
        folders |= model_folders(value, place)
    return folders


def names_folder(saved: Mapping[str, Any], place: str) -> bool:
    """True if the JSON of a method names a folder at `place`, rather than that it held a model."""
    value: Any = saved
    for part in place.replace("[", ".[").split("."):
        value = value[int(part[1:-1])] if part.startswith("[") else value[part]
    return isinstance(value, str)
