"""What every task's table of inputs must satisfy: no repeats, a group for all, a whole split."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from layerwise.contracts import SPLITS, read_table
from layerwise.errors import InputError

MANIFEST = "manifest.csv"


class Member(NamedTuple):
    """One input of a table as named in messages, its group, and its split ("" if not given)."""

    name: str
    group: str
    split: str


def read_columns(table: Path, required: Sequence[str], optional: Sequence[str] = ()
                 ) -> list[dict[str, str]]:
    """Rows of a CSV with all `required` columns, any of the `optional` ones and no others."""
    header, _ = read_table(table)
    _, rows = read_table(table, [*required, *(name for name in optional if name in header)])
    return rows


def no_repeats(table: Path, what: str, values: Iterable[str]) -> None:
    """InputError naming the most frequent of `values` if it occurs more than once."""
    for value, count in Counter(values).most_common(1):
        if count > 1:
            raise InputError(f"{table}: duplicate {what} {value}")


def check_groups(table: Path, members: Iterable[Member]) -> None:
    """InputError unless all have a group, there are two groups, and splits are whole or absent.

    A given split names train or test for every member, both occur, and none cuts through a group.
    """
    splits_of: dict[str, set[str]] = {}
    for name, group, split in members:
        if not group:
            raise InputError(f"{table}: {name} has no group")
        splits_of.setdefault(group, set()).add(split)
    if len(splits_of) < 2:
        raise InputError(f"{table}: only one group ({', '.join(splits_of)}); training and test "
                         "data need different groups")
    for group, splits in splits_of.items():
        if len(splits) > 1:
            raise InputError(f"{table}: group {group} is on two sides of the split; "
                             "a group must be wholly train or wholly test")
    given = {split for splits in splits_of.values() for split in splits}
    if given != {""} and given != set(SPLITS):
        raise InputError(f"{table}: column split must hold both train and test and nothing else, "
                         f"found {', '.join(repr(split) for split in sorted(given))}")
