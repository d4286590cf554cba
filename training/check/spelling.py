"""Whether two values are one, written in two ways.

Case, spaces, hyphens, underscores, accents and umlauts ("Köln", "Koeln", "koln") never tell two values apart. Numbers always do
("grade 1" and "grade 2", "T1w" and "T2w", "1.5 T" and "15 T"), and so do signs ("IDH+" and "IDH-"), Roman numbers and single
letters that stand alone ("grade II" and "grade III", "type A" and "type B"). Of what is left, two words are likely one where
one slip of the hand turns the one into the other (two, from eight letters on): a letter more, less, other, or two swapped. The
first letter is hardly ever mistyped, and tells "intramedullary" from "extramedullary".
"""

import re
import unicodedata

_SHORTEST = 5  # letters of the longer word: of shorter ones, too many are neighbours ("left", "lift")
_LONG = 8
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_ROMAN = re.compile(r"[ivx]+")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "œ": "oe", "å": "aa"})


def spelled_alike(one: str, other: str) -> bool:
    """Whether ``one`` and ``other``, two different texts, are likely the same value."""
    if _marks(one) != _marks(other):
        return False
    ways, other_ways = _ways(one), _ways(other)
    return bool(ways & other_ways) or any(_one_slip(a, b) for a in ways for b in other_ways)


def nearest(value: str, known: tuple[str, ...]) -> str | None:
    """Give the one of ``known`` that ``value`` was likely meant to be, or None."""
    return next((candidate for candidate in known if spelled_alike(value, candidate)), None)


def _marks(text: str) -> tuple[list[float], list[str], list[str]]:
    """What always tells two values apart: numbers, signs, and short words that stand alone."""
    lower = unicodedata.normalize("NFKC", text).casefold().strip()
    numbers = [float(number.replace(",", ".")) for number in _NUMBER.findall(lower)]
    signs = re.findall(r"[+<>=≤≥%]|-$|^-(?=\d)", lower)
    words = [word for word in re.findall(r"[^\W\d_]+", lower) if len(word) == 1 or _ROMAN.fullmatch(word)]
    return numbers, signs, words


def _ways(text: str) -> frozenset[str]:
    """Letters and digits of ``text``, its umlauts spelled out, and without their dots."""
    lower = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold())
    bare = "".join(c for c in unicodedata.normalize("NFD", lower) if not unicodedata.combining(c)).translate(_UMLAUTS)
    return frozenset("".join(c for c in way if c.isalnum()) for way in (lower.translate(_UMLAUTS), bare))


def _one_slip(one: str, other: str) -> bool:
    shorter, longer = sorted((len(one), len(other)))
    if longer < _SHORTEST or one[:1] != other[:1]:
        return False
    return _distance(one, other) <= (1 if shorter < _LONG else 2)


def _distance(one: str, other: str) -> int:
    """Slips between two words: insertions, deletions, substitutions and swaps of neighbours (Damerau 1964, each stretch edited once)."""
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        row = [i]
        for j, b in enumerate(other, start=1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]
