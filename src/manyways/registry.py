"""Registries: named things of one kind, found in folders of the package and by the entry points of other packages.

All that a saved file or a command names is found here and nowhere else: a file's words choose among what is installed,
and never import anything by themselves.
"""

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from manyways.errors import ManywaysError, ModelError, ParameterError, did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
ClassT = TypeVar("ClassT")
PREFIX = "manyways"
"""Of the entry-point groups: `manyways.backbones`, `manyways.heads`, …"""


class Registry(Generic[T]):
    """Named values of one type, such as roles and needs; `Classes` holds named classes.

    Args:
        group: What the kind is called in the plural, in one word: the entry-point group is `manyways.<group>`. An entry
            point names a module, or a member of one.
        base: The class that every entry is an instance of.
        places: Packages, walked with all their files that do not begin with an underscore, and modules; what is found
            in an earlier one is found without importing the later ones.
        attribute: Where an entry has its name.
    """

    def __init__(self, group: str, base: type[Any], *places: str, attribute: str = "name") -> None:
        self.group = group
        self.base = base
        self.places = places
        self.attribute = attribute
        self._entries: dict[str, T] = {}
        self._places: dict[str, int] = {}
        self._unread: list[tuple[int, str | EntryPoint]] | None = None

    def find(self, name: object, error: type[ManywaysError] = ParameterError) -> T:
        """The entry called `name`, whatever its dashes, underscores and capitals.

        Raises:
            error: There is none, with the names that there are and how a package brings another.
        """
        key = normal(name) if isinstance(name, str) else ""
        while key not in self._entries and self._read_next(key):
            pass
        if key in self._entries:
            return self._entries[key]
        known = list(self.all())
        # A file's word is no slip of the fingers: what is missing is the package that brought it.
        slip = "" if issubclass(error, ModelError) else did_you_mean(str(name), known)
        hint = slip or f" A package brings another by the entry points {PREFIX}.{self.group}."
        raise error(f"There is no {self.noun} {name!r}; {self.words} are {', '.join(known)}.{hint}")

    def all(self) -> dict[str, T]:
        """Every entry by its name, in the order of the places."""
        while self._read_next():
            pass
        in_order = sorted(self._entries, key=lambda key: self._places[key])
        return {self.name_of(self._entries[key]): self._entries[key] for key in in_order}

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.all()

    def __iter__(self) -> Iterator[str]:
        return iter(self.all())

    @property
    def words(self) -> str:
        """The kind in the plural, for messages."""
        return self.group.replace("_", " ")

    @property
    def noun(self) -> str:
        """The kind in the singular, for messages."""
        return f"{self.words[:-3]}y" if self.words.endswith("ies") else self.words.removesuffix("s")

    def name_of(self, entry: T) -> str:
        """The name of an entry."""
        return str(getattr(entry, self.attribute))

    def is_entry(self, member: object, module: ModuleType) -> bool:
        """True if `member` of a module is an entry that the module itself brings."""
        return isinstance(member, self.base)

    def _read_next(self, key: str = "") -> bool:
        """Read one more module or entry point, first a module that is called like `key`; False if all are read."""
        if self._unread is None:
            files = [file for place in self.places for file in modules_in(place)]
            self._unread = list(enumerate([*files, *points_of(self.group)]))
        if not self._unread:
            return False
        names = [normal(source.rpartition(".")[2]) if isinstance(source, str) else "" for _, source in self._unread]
        place, source = self._unread.pop(names.index(key) if key in names else 0)
        if isinstance(source, str):
            self._take(place, importlib.import_module(source), None)
        else:
            self._take(place, load(source), source)
        return True

    def _take(self, place: int, brought: object, point: "EntryPoint | None") -> None:
        """Take the entries of a module, or the member that an entry point names."""
        if brought is None:
            return
        if isinstance(brought, ModuleType):
            members = [each for member in vars(brought).values() for each in _spread(member)]
            entries = [member for member in members if self.is_entry(member, brought)]
        else:
            module = inspect.getmodule(brought) or importlib.import_module(__name__)
            entries = [brought] if self.is_entry(brought, module) else []
        if point is not None and not entries:
            warnings.warn(f"{_origin(point)} brings no {self.noun}: {point.value} holds none.", stacklevel=4)
        for entry in entries:
            key = normal(self.name_of(entry))
            other = self._entries.setdefault(key, entry)
            if other is entry or (not isinstance(entry, type) and other == entry):
                self._places.setdefault(key, place)
                continue
            clash = f"Two {self.group} are called {self.name_of(entry)!r}"
            if point is None:
                raise TypeError(f"{clash}: {other} and {entry}.")
            warnings.warn(f"{clash}; {_origin(point)} brings one, which is left out: rename it.", stacklevel=4)


class Classes(Registry[type[ClassT]], Generic[ClassT]):
    """Named classes that extend one, each with a name of its own, such as heads and backbones."""

    def is_entry(self, member: object, module: ModuleType) -> bool:
        return (
            isinstance(member, type)
            and issubclass(member, self.base)
            and member.__module__ == module.__name__
            and not inspect.isabstract(member)
            and isinstance(vars(member).get(self.attribute), str)
        )

    def rebuild(self, saved: object) -> ClassT:
        """A new object of the class that `saved` names, made with the other members of `saved` as arguments.

        Raises:
            ModelError: There is no such class, or it takes other arguments.
        """
        if not isinstance(saved, Mapping):
            raise ModelError(f"The saved description of a {self.noun} must be an object of JSON; got {saved!r}.")
        arguments = {str(key): value for key, value in saved.items() if key != self.attribute}
        kind = self.find(saved.get(self.attribute), ModelError)
        try:
            return kind(**arguments)
        except TypeError as error:
            name = self.name_of(kind)
            raise ModelError(f"The saved description of the {self.noun} {name!r} does not fit: {error}.") from error


def _spread(member: Any) -> tuple[Any, ...]:
    """The members of a tuple, which a module may bring as one; or `member` alone."""
    return member if isinstance(member, tuple) else (member,)


def normal(name: str) -> str:
    """`name` without dashes, underscores, spaces and capitals: SelfTraining and self-training are one."""
    return name.replace("-", "").replace("_", "").replace(" ", "").lower()


@cache
def modules_in(place: str) -> tuple[str, ...]:
    """The public modules of the package `place`, then those of folders in it; or `place` itself, if a module."""
    package = importlib.import_module(place)
    return _files(place, list(package.__path__)) if hasattr(package, "__path__") else (place,)


def _files(place: str, folders: list[str]) -> tuple[str, ...]:
    """The public modules in `folders`, without importing any package."""
    public = [entry for entry in pkgutil.iter_modules(folders) if not entry.name.startswith("_")]
    files = [f"{place}.{entry.name}" for entry in public if not entry.ispkg]
    nested = [
        _files(f"{place}.{entry.name}", [str(Path(folder) / entry.name) for folder in folders])
        for entry in public
        if entry.ispkg
    ]
    return (*files, *(file for within in nested for file in within))


def points_of(group: str) -> "tuple[EntryPoint, ...]":
    """The entry points of the group `manyways.<group>`, of all installed packages."""
    from importlib.metadata import entry_points  # only now: it loads much, and most names are the package's own

    return tuple(entry_points(group=f"{PREFIX}.{group}"))


def load(point: "EntryPoint") -> object | None:
    """The member that an entry point names; None, with a warning that says so, where it cannot be loaded."""
    try:
        loaded: object = point.load()
        return loaded
    except Exception as error:  # another package's code: whatever goes wrong there must not stop this one
        warnings.warn(
            f"{_origin(point)} cannot be loaded and is left out: {type(error).__name__}: {error}. Upgrade that "
            "package, or uninstall it.",
            RuntimeWarning,
            stacklevel=3,
        )
        return None


def _origin(point: "EntryPoint") -> str:
    package = point.dist.name if point.dist is not None else point.module.partition(".")[0]
    return f"The entry point {point.name!r} in {point.group} of the package {package}"
