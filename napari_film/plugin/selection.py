"""What a person has chosen to see: two slots, A and B, and any number of choices that are compared beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from napari_film.header import Header
from napari_film.plugin.choice import Choice, Condition

Slot = Literal["A", "B"]
SLOTS: tuple[Slot, Slot] = ("A", "B")


@dataclass(frozen=True)
class Selection:
    """Choices under one checkpoint.

    Parameters
    ----------
    choices
        Of each slot.
    slot
        The one that is edited, whose mask is *shown*.
    both
        Whether the other slot's mask is in view too.
    compared
        Laid out, counted or mapped beside the slots.
    """

    choices: Mapping[Slot, Choice]
    slot: Slot = "A"
    both: bool = False
    compared: tuple[Choice, ...] = ()

    @classmethod
    def first(cls, header: Header) -> "Selection":
        """What stands before anybody chose: B has the next value of what is most worth swapping."""
        choice = Choice.first(header)
        return cls({"A": choice, "B": choice.another()})

    @property
    def choice(self) -> Choice:
        """Of the slot that is edited."""
        return self.choices[self.slot]

    @property
    def other(self) -> Choice:
        """Of the other slot."""
        return self.choices["B" if self.slot == "A" else "A"]

    def with_choice(self, slot: Slot, choice: Choice) -> "Selection":
        """Give the selection with another choice in ``slot``."""
        return replace(self, choices={**self.choices, slot: choice})

    def with_compared(self, choices: Sequence[Choice]) -> "Selection":
        """Give the selection with other choices to compare."""
        return replace(self, compared=tuple(choices))

    def in_view(self) -> list[Condition]:
        """Conditions of the slots' masks that are in view, the shown one's first."""
        return _distinct([self.choice, *([self.other] if self.both else [])])

    def held(self) -> list[Condition]:
        """Conditions that must not go out of memory."""
        return list(dict.fromkeys([*self.in_view(), *_distinct(self.compared)]))

    def needed(self) -> list[Condition]:
        """Conditions of everything that is chosen."""
        return _distinct([self.choice, self.other, *self.compared])

    def wanted(self, room: int) -> list[Condition]:
        """Conditions to compute: what is in view, what is compared and the other slot, then what may come next; at most ``room``.

        What is in view is wanted in any case. While masks are compared nothing is computed ahead of them.
        """
        first = self.in_view()
        then = [*_distinct(self.compared), *self.other.conditions(), *(() if self.compared else self.choice.others())]
        return [*first, *[condition for condition in dict.fromkeys(then) if condition not in first][: max(0, room - len(first))]]


def _distinct(choices: Sequence[Choice]) -> list[Condition]:
    return list(dict.fromkeys(condition for choice in choices for condition in choice.conditions()))
