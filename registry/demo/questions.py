"""Items of the tour's made-up benchmarks: sums, capitals, lists to sort, and odd ones out.

They are generated from arithmetic, plain facts and lists of words, are always the same, and belong
to no real benchmark.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import chain

import numpy as np

from registry.demo.draws import shares
from registry.evaluations.records import Item

_CHOICES = 4
_SUMS_A_KIND = 60
_LISTS_A_KIND = 60
_LIST_LENGTH = 5
_ODD_ONES = 160
_SEED = 20  # of the questions alone: outcomes have their own


def _words(text: str) -> list[str]:
    return text.split()


_WORDS = _words("""
anchor basket candle desert engine forest garden harbour island jacket kettle ladder marble needle
orange pepper quartz ribbon saddle tunnel umbrella valley window yellow zebra bridge castle dragon
feather glacier hammer insect jungle kitchen lantern mirror napkin orchid pencil rabbit silver""")
_GROUPS: Mapping[str, Sequence[str]] = {
    "a fruit": _words("apple pear plum cherry mango banana peach grape melon fig"),
    "an animal": _words("horse otter beaver camel lizard salmon eagle badger moose goat"),
    "a tool": _words("hammer chisel saw pliers wrench drill file shovel rake axe"),
    "an instrument": _words("violin flute trumpet harp cello oboe piano guitar drum tuba"),
    "a vehicle": _words("lorry tram bicycle ferry tractor scooter canoe taxi glider train"),
    "a colour": _words("red green blue purple white black brown grey pink beige"),
}


@cache
def arithmetic() -> tuple[Item, ...]:
    """Return 240 sums with four choices each; the domain is the operation."""
    large = [(a, b) for a in range(12, 100) for b in range(11, a)]
    small = [(a, b) for a in range(6, 30) for b in range(3, 16)]
    kinds = (
        ("addition", "{} + {}", [(a, b, a + b) for a, b in large]),
        ("subtraction", "{} - {}", [(a, b, a - b) for a, b in large]),
        ("multiplication", "{} x {}", [(a, b, a * b) for a, b in small]),
        ("division", "{} / {}", [(a * b, b, a) for a, b in small]),
    )
    made: list[Item] = []
    for column, (domain, form, sums) in enumerate(kinds):
        for place in _order(len(sums), column)[:_SUMS_A_KIND]:
            a, b, right = sums[place]
            # Slips: one off, ten off, or both; always four different numbers.
            wrong = [right + 1, right + 10, right - 1 if right > 1 else right + 2]
            choices = _shuffled([str(each) for each in (right, *wrong)], len(made))
            prompt = f"What is {form.format(a, b)}?"
            name = f"{domain}-{len(made) % _SUMS_A_KIND:02}"
            made.append(Item(name, prompt, choices, str(right), domain))
    return tuple(made)


@cache
def capitals() -> tuple[Item, ...]:
    """Return 120 questions for capitals, the choices of one continent, which is the domain."""
    with (files("registry.demo") / "data" / "capitals.tsv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    made = []
    for number, row in enumerate(rows):
        others = [
            each["capital"]
            for each in rows
            if each["continent"] == row["continent"] and each is not row
        ]
        wrong = [others[place] for place in _order(len(others), 10 + number)[: _CHOICES - 1]]
        choices = _shuffled([row["capital"], *wrong], 300 + number)
        prompt = f"What is the capital of {row['country']}?"
        name = row["country"].lower().replace(" ", "-")
        made.append(Item(name, prompt, choices, row["capital"], row["continent"]))
    return tuple(made)


@cache
def sorting() -> tuple[Item, ...]:
    """Return 120 lists to put in order, without choices; words and numbers are the domains."""
    numbers = [str(each) for each in range(10, 1000)]
    return tuple(
        chain(
            _lists("words", "Put these words in alphabetical order", _WORDS, sorted, 500),
            _lists("numbers", "Put these numbers in ascending order", numbers, _by_value, 600),
        )
    )


@cache
def negation() -> tuple[Item, ...]:
    """Return 160 questions for what is not of a group; the group is the domain."""
    made: dict[tuple[str, ...], Item] = {}
    groups = list(_GROUPS)
    for column in range(1000, 1000 + 2 * _ODD_ONES):
        group = groups[column % len(groups)]
        strangers = [word for other in groups if other != group for word in _GROUPS[other]]
        odd = strangers[_order(len(strangers), column)[0]]
        members = _GROUPS[group]
        inside = [members[place] for place in _order(len(members), column)[: _CHOICES - 1]]
        key = (group, odd, *sorted(inside))
        if key not in made and len(made) < _ODD_ONES:
            name = f"{group.partition(' ')[2]}-{len(made):03}"
            choices = _shuffled([odd, *inside], column)
            prompt = f"Which of these is not {group}?"
            made[key] = Item(name, prompt, choices, odd, group.partition(" ")[2])
    return tuple(made.values())


def _lists(
    domain: str,
    task: str,
    pool: Sequence[str],
    ordered: Callable[[Sequence[str]], list[str]],
    column: int,
) -> Iterator[Item]:
    for number in range(_LISTS_A_KIND):
        words = [pool[place] for place in _order(len(pool), column + number)[:_LIST_LENGTH]]
        answer = ", ".join(ordered(words))
        yield Item(f"{domain}-{number:02}", f"{task}: {', '.join(words)}", (), answer, domain)


def _by_value(words: Sequence[str]) -> list[str]:
    return sorted(words, key=int)


def _order(length: int, column: int) -> list[int]:
    """Return the numbers below `length` in an order that is fixed by the column."""
    drawn: list[int] = np.argsort(shares(np.arange(length), _SEED, column)).tolist()
    return drawn


def _shuffled(words: Sequence[str], column: int) -> tuple[str, ...]:
    return tuple(words[place] for place in _order(len(words), 2000 + column))
