"""The document is made of the JSON and of nothing else."""
from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from bench_results import made_up

from layerwise.bench.document import render
from layerwise.bench.parts import PARTS
from layerwise.bench.verdict import bars


def test_the_committed_document_is_that_of_the_committed_results(project: Path) -> None:
    results = json.loads((project / "results/bench/bench.json").read_text(encoding="utf-8"))
    assert (project / "docs/benchmarks.md").read_text(encoding="utf-8") == render(results)
    assert results["scale"] == "full"
    assert [bar["passed"] for bar in results["bars"]] == [bar.passed for bar in bars(results)]


def test_numbers_reach_their_tables() -> None:
    text = render(made_up())
    for line in ("| whole sweep, times as fast as plain Caffe | 4 | 5.2 [5.12, 5.28] | **pass** |",
                 "| ours, 2 cores | 4,000 | 2,000 | 1 |  |",
                 "| ours, one process | 4,000 | 1,000 | 1 | **2×**  |",
                 "| above fc6 | 1,000 | **20×**  |", "| conv1 | 210.8 |", "| fc6 | 75.5 |",
                 "| fc8, 1 thread | 0.5 | 0.25 | **0.5×**  |"):
        assert line in text
    # Nine networks: what each has above its boundary, the three that have none, the one prefix.
    assert "46 ms, with plain pycaffe 180 ms: **3.91×**" in text
    assert "| fc7: every epoch after the first, times as fast as plain Caffe | 50 | – | not" in text


def test_every_table_has_as_many_cells_in_each_line() -> None:
    for block in render(made_up()).split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.strip().splitlines()}) == 1


@pytest.mark.parametrize("missing", [*PARTS, None])
def test_it_can_be_made_with_any_part_missing(missing: str | None) -> None:
    results = made_up()
    if missing is None:
        results["sections"] = {}
    else:
        del results["sections"][missing]
    titles = re.findall(r"^## (.*)$", render(results), re.MULTILINE)
    assert titles == re.findall(r"^## (.*)$", render(made_up()), re.MULTILINE)


def test_a_rehearsal_says_so() -> None:
    assert "the numbers mean nothing" in render({**made_up(), "scale": "tiny"})
    assert "the numbers mean nothing" not in render(made_up())
