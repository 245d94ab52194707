"""Surface features of a word: its prefixes, suffixes, shape and character trigrams."""

AFFIX = 4
"""Characters of the longest prefix and suffix."""
TRIGRAMS = 14
"""Trigrams of a word beyond so many are left out: half of those that are kept are its first, half its last ones."""
REPEATED = 2
"""Characters of one class in a row that a shape keeps."""
SURFACE = 2 * AFFIX + 1 + TRIGRAMS
"""Features of a word at most."""


def features_of(word: str) -> list[str]:
    """The features of a word, each begun by a letter that says what it is; a short word has fewer."""
    small = word.lower()
    most = range(1, min(AFFIX, len(word)) + 1)
    affixes = [f"p{word[:size]}" for size in most] + [f"s{small[-size:]}" for size in most]
    return [*affixes, f"h{shape_of(word)}", *(f"t{part}" for part in trigrams_of(small))]


def trigrams_of(word: str) -> list[str]:
    """The character trigrams of a word with its two ends marked."""
    marked = f"\x02{word}\x03"
    parts = [marked[at : at + 3] for at in range(len(marked) - 2)]
    return parts if len(parts) <= TRIGRAMS else parts[: TRIGRAMS // 2] + parts[-(TRIGRAMS - TRIGRAMS // 2) :]


def shape_of(word: str) -> str:
    """The shape of a word: X for capitals, x for small letters, d for digits, what else there is as it is.

    Of a run of one class two are kept: Xx, Xxx, dd-xx.
    """
    shape = ""
    for character in word:
        mark = "d" if character.isdigit() else "X" if character.isupper() else "x" if character.isalpha() else character
        if shape[-REPEATED:] != mark * REPEATED:
            shape += mark
    return shape
