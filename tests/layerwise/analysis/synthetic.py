"""Made-up runs with known statistics, written as the files that the harness writes."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from layerwise.contracts import Case, Score, write_rows, write_scores
from layerwise.tasks import TASKS

SEPARATION = {"fc8": 0.9, "fc7": 1.3, "fc6": 1.5, "conv5": 1.7, "conv4": 1.8, "conv3": 1.9,
              "conv2": 2.1, "conv1": 2.2, "scratch-gaussian": 1.6, "scratch-xavier": 1.5,
              "scratch-msra": 1.6, "handcrafted": 0.6}


def config(task: str, init: str, fraction: int, seed: int, dataset: str) -> dict[str, object]:
    """config.json of a made-up run."""
    scratch = init.startswith("scratch") or init == "handcrafted"
    return {"task": task, "dataset": dataset, "init": init, "fraction": fraction, "seed": seed,
            "classes": list(TASKS[task].classes), "stand_in_data": "phantom (stand-in)",
            "stand_in_weights": None if scratch else "distilled stand-in",
            "data_sha256": f"sha of {fraction}%", "test_sha256": "sha of the test set",
            "source_weights": None if scratch else "standin.caffemodel"}


def make_cases(groups: int, per_group: int, lesion_share: float, seed: int) -> list[Case]:
    """Test cases in `groups` groups, a share of them with one lesion, and one training case."""
    generator = np.random.default_rng(seed)
    cases = [Case(f"g{g:02d}c{i:03d}", f"g{g:02d}", "test", int(generator.random() < lesion_share))
             for g in range(groups) for i in range(per_group)]
    return [*cases, Case("train0", "t00", "train", 1)]


def make_scores(cases: list[Case], separation: float, false_per_case: float,
                seed: int) -> list[Score]:
    """Binormal candidate scores through a logistic function; one lesion in twenty is missed.

    The candidates are the same whatever the seed of the scores.
    """
    layout, generator = np.random.default_rng(2016), np.random.default_rng(seed)
    rows = []
    for case in cases:
        if case.split != "test":
            continue
        marks = [("", generator.normal()) for _ in range(layout.poisson(false_per_case))]
        marks += [(f"l{k}", generator.normal(separation, 1.1)) for k in range(case.lesions)
                  if layout.random() > 0.05 for _ in range(2)]
        for i, (lesion, value) in enumerate(marks):
            p = 1.0 / (1.0 + np.exp(-value))
            rows.append(Score(case.case, case.group, f"{case.case}-{i}", lesion, int(bool(lesion)),
                              (1.0 - p, p)))
    return rows


def write_run(folder: Path, task: str, init: str, fraction: int, seed: int,
              dataset: str) -> Path:
    """Make the run's folder with its config.json."""
    run = folder / task / dataset / init / str(fraction) / str(seed)
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps(config(task, init, fraction, seed, dataset)))
    return run


def write_log(path: Path, best: float, rate: float, seed: int, iterations: int = 400) -> None:
    """A validation AUC that rises to `best`."""
    generator = np.random.default_rng(seed)
    lines = ["iteration,epoch,lr,loss,validation_auc,seconds"]
    for i in range(0, iterations + 1, 10):
        auc = best - (best - 0.5) * np.exp(-i * rate) + generator.normal(0, 0.006)
        lines.append(f"{i},{i / 312:.4f},0.001,{0.7 * np.exp(-i / 200):.4f},{auc:.5f},{i * 0.5}")
    path.write_text("\n".join(lines) + "\n")


def write_result(run: Path, best_auc: float = 0.9, best_iteration: int = 300) -> None:
    """How a training of 400 iterations ended."""
    (run / "result.json").write_text(json.dumps(
        {"ended_by": "iterations", "iterations": 400, "best_iteration": best_iteration,
         "best_auc": best_auc}))


def write_curve_study(root: Path, task: str, seeds: int = 1, groups: int = 12,
                      per_group: int = 25, inits: tuple[str, ...] = tuple(SEPARATION),
                      dataset: str = "phantom") -> Path:
    """A whole study of an FROC or ROC task with all fractions; returns `root`."""
    froc = TASKS[task].evaluation == "froc"
    cases = make_cases(groups, per_group, 0.4 if froc else 0.5, seed=1)
    write_rows(root / task / dataset / "cases.csv", cases, Case)
    false = {"pe": 40.0}.get(task, 3.0) if froc else 0.0
    for init in inits:
        pair = init in ("conv1", "scratch-gaussian")
        for part in TASKS[task].fractions if pair else (1.0,):
            fraction = round(100 * part)
            for seed in range(seeds):
                run = write_run(root, task, init, fraction, seed, dataset)
                drop = (1.0 - part) * (1.0 if init == "scratch-gaussian" else 0.3)
                noise = noise_seed(init, fraction, seed)
                mean = SEPARATION[init] - drop
                rows = make_scores(cases, mean, false, noise) if froc \
                    else frame_scores(cases, mean, noise)
                write_scores(run / "scores.csv", rows, TASKS[task].classes)
                if init != "handcrafted":
                    write_log(run / "log.csv", 0.7 + 0.1 * mean,
                              0.02 if init.startswith("scratch") else 0.2, noise)
    return root


def frame_scores(cases: list[Case], separation: float, seed: int) -> list[Score]:
    """One row per test case; a case with a lesion is a positive frame."""
    generator = np.random.default_rng(seed)
    rows = []
    for case in cases:
        if case.split == "test":
            p = 1.0 / (1.0 + np.exp(-generator.normal(separation * case.lesions, 1.0)))
            rows.append(Score(case.case, case.group, case.case, "", case.lesions, (1.0 - p, p)))
    return rows


def noise_seed(init: str, fraction: int, seed: int) -> int:
    """A seed that is the same in every process (hash() of a string is not)."""
    return sum(map(ord, init)) * 1000 + fraction * 10 + seed


def write_boundary_study(root: Path, inits: tuple[str, ...] = tuple(SEPARATION),
                         dataset: str = "phantom") -> Path:
    """Boundary errors of 11 subjects with 12 regions each, as in the paper's test set."""
    cases = make_cases(11, 12, 1.0, seed=2)
    write_rows(root / "cimt" / dataset / "cases.csv", cases, Case)
    tests = [case for case in cases if case.split == "test"]
    shared = np.random.default_rng(3).gamma(5.0, 5.0, len(tests))
    for init in inits:
        run = write_run(root, "cimt", init, 100, 0, dataset)
        generator = np.random.default_rng(noise_seed(init, 100, 0))
        lines = ["case,group,interface,error_um"]
        for interface, extra in (("lumen_intima", 0.0), ("media_adventitia", 6.0)):
            own = generator.gamma(2.0, 12.0 / SEPARATION[init] ** 2, len(tests))
            lines += [f"{case.case},{case.group},{interface},{value:.3f}" for case, value
                      in zip(tests, shared + own + extra)]
        (run / "boundary.csv").write_text("\n".join(lines) + "\n")
        if init != "handcrafted":
            write_log(run / "log.csv", 0.95, 0.02 if init.startswith("scratch") else 0.2, 5)
    return root
