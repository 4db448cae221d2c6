"""The handcrafted system of a task as one more run: no network, the same results.

The task's row names the module of data_prep that holds the system; as everywhere, the two sides
meet in files: the module reads the prepared data folder, and gives one score per test candidate, or
the traced lines of each test region.
"""
from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

from layerwise.contracts import write_scores
from layerwise.depths import depth_named
from layerwise.plan import Setting, make_run
from layerwise.prepared import check_data
from layerwise.runs import SCORES, Run, is_scored, locked, open_run

HANDCRAFTED = "handcrafted"


def handcrafted_run(setting: Setting, fraction: int, seed: int) -> Run:
    """Its settings: those of a run from scratch, less what only a network has."""
    run = make_run(setting, depth_named("scratch"), fraction, seed)
    return replace(run, init=HANDCRAFTED, batch_size=0, iterations=0, evaluate_every=0, patience=0,
                   threads=1, gpu=None)


def evaluate_handcrafted(setting: Setting, run: Run) -> Path:
    """Train and score the handcrafted system, or do nothing when that is done; the run's folder."""
    folder = run.folder(setting.runs)
    with locked(folder):
        open_run(folder, run)
        if not is_scored(folder):
            system = import_module(setting.task.handcrafted)
            if setting.task.by_region:
                from layerwise.boundary_files import write_lines
                from layerwise.regions import REGIONS, read_regions

                regions = read_regions(setting.prepared / "test" / REGIONS)
                lines = system.traces(setting.prepared, run.fraction, run.seed)
                check_data(run)
                write_lines(folder, regions, lines)
            else:
                scores = system.scores(setting.prepared, run.fraction, run.seed)
                check_data(run)
                write_scores(folder / SCORES, scores, run.classes)
    return folder
