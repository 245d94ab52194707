"""Neural Turing machines: a memory whose heads find slots by content and by location, on sequences with late labels."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from manyways.methods.bases.memory_episodes import MemoryEpisodeMethod
from manyways.methods.fields import Interval


@dataclass(frozen=True, kw_only=True)
class NTM(MemoryEpisodeMethod):
    """Learn to write what was seen and how it was called into a memory, by content and by location.

    The weights of each head are those by content, or those of the step before as far as a gate says so, shifted by up
    to one slot and sharpened; one head writes. A row's label comes with the next row. A class that was never trained
    needs a few examples, which are shown to it one after the other: `model.adapt(support)`.
    """

    reads: Annotated[int, Interval("[1, 64]")] = 1
    """Read heads."""

    addressing: ClassVar = "turing"
    suggests: ClassVar = ()
    paper: ClassVar = "Graves, Wayne & Danihelka, Neural Turing machines, arXiv:1410.5401 (2014)"
