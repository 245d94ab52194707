"""Memory-augmented neural networks: new classes are bound to their names in a memory, in one pass over a sequence."""

from dataclasses import dataclass
from typing import ClassVar

from manyways.methods.bases.memory_episodes import MemoryEpisodeMethod


@dataclass(frozen=True, kw_only=True)
class MANN(MemoryEpisodeMethod):
    """Learn to write what was seen and how it was called into a memory, to the slots used least (LRUA).

    A row's label comes with the next row. An LSTM reads both, writes to where it last read or to the least used slots,
    and reads by content. A class that was never trained needs a few examples, which are shown to it one after the
    other: `model.adapt(support)`. `evaluate` states the accuracy on the first row of a class in a sequence, the second
    and so on.
    """

    addressing: ClassVar = "least-used"
    suggests: ClassVar = ()
    paper: ClassVar = "Santoro et al., Meta-learning with memory-augmented neural networks, ICML 2016"
