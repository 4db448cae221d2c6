"""The cost model against hand-made sums and against what the benchmark measured."""
from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise import cost, prefix, study
from layerwise.contracts import read_table
from layerwise.depths import DEPTHS, SWEEP
from layerwise.frozen import Item
from layerwise.profiles import PROFILES
from layerwise.runs import Run, load_run, read_json
from layerwise.tasks import TASKS

FC7, FC8 = 4096 * 4096, 4096 * 2


def planned(init: str, **changes: int) -> Run:
    return Run(**{**dict(
        task="polyp", dataset="d", init=init, fraction=100, seed=1, classes=("a", "b"), data="",
        data_sha256="", train_images=0, batch_size=8, iterations=10, evaluate_every=4, patience=0,
        mean_bgr=(), source_weights=None, source_sha1="x", stand_in_data=None,
        stand_in_weights=None, threads=1), **changes})


def test_an_iteration_of_fc8_by_hand():
    """Forward through fc7; forward and weights' gradient of fc8."""
    weighed = 8 + cost.PARAMETER_WORK
    assert cost.step("fc7", "fc8", 8) == pytest.approx(
        (8 + cost.FROZEN_WORK) * FC7 + weighed * 2 * FC8)
    # fc7 tuned too: its weights' gradient, and fc8's inputs' gradient.
    assert cost.step("fc7", "fc7", 8) == pytest.approx(weighed * (2 * FC7 + 3 * FC8))


def test_a_forward_pass_is_all_layers_and_their_memory():
    whole = prefix.multiplications("fc7") + FC8
    weights = sum(cost._layer(name)[1] for name in cost.LAYERS)
    assert cost.forward_patch("conv1") == pytest.approx(
        whole + cost.PARAMETER_WORK * weights / 32)


@pytest.mark.parametrize("mode", ["tail", "whole"])
def test_ratios_between_depths_are_those_of_the_benchmark(project, mode):
    """The model's work over measured seconds, with and without stored activations.

    Every depth is within 15% of the common speed, though they differ ninetyfold. The benchmark is
    used because it measures all depths in one run; a sweep's runs see whatever else is going on.
    """
    found = read_json(project / "results" / "bench" / "bench.json")["sections"]["depths"]["samples"]
    speeds = {}
    for init in SWEEP:
        if mode in found[init]:
            depth = DEPTHS[init]
            first = cost.first_layer(prefix.boundary(depth) if mode == "tail" else None)
            work = cost.step(first, depth.first_tuned, PROFILES["quick"].batch_size)
            speeds[init] = work / median(found[init][mode])
    assert len(speeds) == (6 if mode == "tail" else 9)
    assert list(speeds.values()) == pytest.approx([median(speeds.values())] * len(speeds), rel=0.15)


def test_the_core_of_the_study_is_the_committed_sweeps(project):
    """Median seconds of an iteration of scratch without validation."""
    folder = project / "results" / "polyp" / "phantom-quick" / "scratch-gaussian" / "100" / "1"
    lines = read_table(folder / "log.csv")[1]
    seconds = [float(line["seconds"]) for line in lines]
    steps = [after - before for before, after, line in zip(seconds, seconds[1:], lines[1:])
             if not line["validation_auc"]]
    assert study.CORE.seconds == pytest.approx(median(steps), rel=0.02)
    assert study.CORE.batch == load_run(folder).batch_size


def test_validations_are_counted_where_they_happen():
    """At the start, after 4 and 8 of 10, and at the end."""
    run = cost.Cost(iterations=10, evaluate_every=4, test_patches=5, step=1.0, validation=100.0,
                    patch=7.0)
    assert [run.trained(i) for i in (0, 3, 4, 9, 10)] == [100, 103, 204, 309, 410]
    assert run.total == 410 + 35


def test_stored_activations_are_used_only_where_training_and_validation_have_them():
    sizes = {"train-100": 80, "validation-100": 20, "test": 30}
    all_stored = {(name, "pool5") for name in sizes}
    plain = cost.cost_of(planned("fc6"), sizes, set())
    tail = cost.cost_of(planned("fc6"), sizes, all_stored)
    half = cost.cost_of(planned("fc6"), sizes, all_stored - {("validation-100", "pool5")})
    assert tail.step == cost.step("fc6", "fc6", 8) < plain.step == half.step
    assert tail.patch == cost.forward_patch("fc6") < plain.patch == half.patch
    untested = cost.cost_of(planned("fc6"), sizes, all_stored - {("test", "pool5")})
    assert untested.step == tail.step and untested.patch == plain.patch
    assert plain.validation == 20 * cost.forward_patch("conv1")
    assert tail.test_patches == 30


def test_a_run_without_a_network_costs_nothing():
    assert cost.cost_of(planned("handcrafted", iterations=0, evaluate_every=0), {}, set()
                        ).total == 0


def test_storing_costs_one_pass_over_each_set():
    items = [Item("train", "pool5", 10, 3.0), Item("train", "fc6", 10, 3.0),
             Item("test", "pool5", 4, 3.0)]
    below_fc6 = cost.forward_patch("conv1") - cost.forward_patch("fc6")
    below_fc7 = cost.forward_patch("conv1") - cost.forward_patch("fc7")
    assert cost.storing(items) == pytest.approx(10 * below_fc7 + 4 * below_fc6)


def test_makespan_by_hand():
    assert cost.makespan([4, 3, 2, 1], 2) == 5       # 4 1 beside 3 2
    assert cost.makespan([1, 2, 3, 4], 2) == 6       # 1 3 beside 2 4
    assert cost.makespan([], 2) == 0


@given(st.lists(st.floats(0, 100), max_size=12), st.integers(1, 5))
def test_makespan_lies_between_its_bounds(works, workers):
    span = cost.makespan(works, workers)
    bound = max(max(works, default=0), sum(works) / workers)
    assert bound - 1e-9 <= span <= 2 * bound + 1e-9


@pytest.mark.parametrize("task", TASKS)
def test_the_paper_is_planned_with_eleven_networks_and_three_seeds(task):
    plan = study.study_of(TASKS[task], study.MACHINES[0])
    whole = [run for run in plan.runs if run.fraction == 100]
    assert len(whole) == 11 * 3 and len({run.init for run in whole}) == 11
    reduced = len(TASKS[task].fractions) - 1
    assert len(plan.runs) == 33 + reduced * 9 * 3
    assert {run.iterations for run in plan.runs} == {PROFILES["paper"].iterations}


def test_the_planning_page_is_what_its_command_writes(project):
    assert (project / "docs" / "planning.md").read_text(encoding="utf-8") == study.page()
