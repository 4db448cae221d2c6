"""`sweep --dry-run`: what it prints follows from the options, and nothing is made."""
from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from click.testing import CliRunner
from own_images import layerwise, write_images

from layerwise import speed
from layerwise.cli import main
from layerwise.depths import SWEEP
from layerwise.forecast import aligned, amount, training_sizes


def plan(folder: Path, *arguments: str) -> list[str]:
    done = CliRunner().invoke(main, [
        "sweep", "polyp", "--dry-run", "--data", str(folder / "data"), "--runs",
        str(folder / "runs"), *arguments])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def hours(lines: list[str]) -> float:
    return float(lines[-1].split()[2])


def test_a_plan_names_every_run_longest_first_and_makes_nothing(tmp_path):
    lines = plan(tmp_path, "--seconds-per-iteration", "3.6", "--jobs", "1")
    assert not list(tmp_path.iterdir())
    assert lines[0] == ("polyp on phantom-quick: 9 of 9 runs to do, 1 side by side; "
                        "nothing is made")
    assert "train-100 1600, validation-100 400, test 1200 at most (not prepared yet)" in lines[1]
    assert any(line.startswith("stored once: pool5 of test, train-100, validation-100, 0.1 GB")
               for line in lines)
    assert lines[-2].startswith("and the handcrafted system, 1 of 1 runs to do")
    rows = [line for line in lines if " seed 1" in line]
    assert sorted(row.split()[1] for row in rows) == sorted(SWEEP)
    costs = [float(row.split()[-1]) for row in rows]
    assert costs == sorted(costs, reverse=True)
    # 80 iterations of conv1 take 0.08 hours, and its validations and scoring some more.
    conv1 = next(row for row in rows if "conv1" in row)
    assert 0.08 < float(conv1.split()[-1]) < 0.13
    assert "1 (fc6)" in next(row for row in rows if " fc8 " in row) and " data " in conv1


def test_a_plan_counts_the_images_that_are_named(tmp_path):
    images = write_images(tmp_path / "own", groups=10, each=2)          # 21 images
    arguments = ["sweep", "own", "--dry-run", "--data", tmp_path / "data", "--runs",
                 tmp_path / "runs", "--seconds-per-iteration", "1", "--images"]
    drawn = layerwise(*arguments, images, "--test-fraction", "0.25")
    assert "test 24 at most" in drawn.stdout, drawn.stderr              # 6 of them, 4 views each
    table = images / "manifest.csv"
    head, *rows = table.read_text().splitlines()
    rows = [f"{row},{'test' if int(row[:3]) // 2 % 10 < 2 else 'train'}" for row in rows]
    table.write_text("\n".join([f"{head},split", *rows]) + "\n")
    assert "test 20 at most" in layerwise(*arguments, images).stdout    # 5 named for testing
    refused = layerwise(*arguments, tmp_path / "none")
    assert refused.exit_code == 2 and "none" in refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


def test_hours_scale_with_the_iteration_and_the_workers(tmp_path):
    one = hours(plan(tmp_path, "--seconds-per-iteration", "100", "--jobs", "1"))
    assert hours(plan(tmp_path, "--seconds-per-iteration", "50", "--jobs", "1")) == pytest.approx(
        one / 2, rel=0.05)
    assert hours(plan(tmp_path, "--seconds-per-iteration", "100", "--jobs", "2")) == pytest.approx(
        one / 2, rel=0.1)


def test_without_a_budget_nothing_is_stored(tmp_path):
    lines = plan(tmp_path, "--seconds-per-iteration", "1", "--cache-gb", "0")
    assert not any("stored once" in line or "frozen layers" in line for line in lines)


def test_a_speed_that_is_not_known_is_not_invented(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "measured", lambda threads: None)
    lines = plan(tmp_path)
    assert "seconds per iteration: unknown; give --seconds-per-iteration for hours" in lines
    assert lines[-1].startswith("in all ? hours")


def test_prepared_sets_and_finished_runs_are_counted_as_they_are(tmp_path):
    tiny.write_prepared(tmp_path / "data" / "polyp" / "phantom-mini")
    done = tmp_path / "runs" / "polyp" / "phantom-mini" / "conv1" / "100" / "1"
    done.mkdir(parents=True)
    (done / "scores.csv").write_text("")
    lines = plan(tmp_path, "--profile", "mini", "--seconds-per-iteration", "1", "--depths",
                 "conv1,fc8")
    assert lines[0].startswith("polyp on phantom-mini: 1 of 2 runs to do, 1 side by side")
    assert lines[1] == "patches: test 6, train-100 12, validation-100 5, 0.0 GB"
    assert not any("conv1" in line for line in lines)


def test_the_speed_is_measured_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked = []
    monkeypatch.setattr(speed.blas, "choose", lambda threads: speed.blas.BlasChoice(
        None, threads, None, False, "a library"))
    monkeypatch.setattr(speed, "_measure", lambda choice: asked.append(choice) or 1.25)
    first, second = speed.measured(1), speed.measured(1)
    assert len(asked) == 1 and first == second and first is not None
    assert first.seconds == 1.25 and first.at(speed.BATCH) == pytest.approx(1.25)
    assert first.at(2 * speed.BATCH) < 2.5               # parameters are moved once a batch
    speed.measured(2)
    assert len(asked) == 2


@pytest.mark.usefixtures("small_table")
def test_an_iteration_can_be_timed(monkeypatch):
    """Real Caffe, on the table of the tests: some time, less than a minute."""
    monkeypatch.setattr(speed, "BATCH", 2)
    assert 0 < speed.time_iteration(1) < 60


def test_small_parts():
    assert training_sizes(2000, (100, 25), 32) == {
        "train-100": 1600, "validation-100": 400, "train-25": 400, "validation-25": 100}
    assert training_sizes(160, (1,), 16) == {"train-1": 16, "validation-1": 2}
    assert [amount(value) for value in (None, 0.0123, 1.26, 123.4)] == ["?", "0.012", "1.3", "123"]
    assert aligned([["", "a", "b", "c"], ["10", "long", "", "1"]]) == [
        "    a     b  c", "10  long     1"]
