"""Time left on a clock of our own, and the lines where there is no terminal."""
from __future__ import annotations

import pytest

from layerwise import display
from layerwise.cost import Cost
from layerwise.display import Display, TimeLeft, work_done


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_deep_run_counts_for_what_it_costs():
    """Two workers; fc8 is done after 10 s, then conv1 has 90 of 100 left at 1 unit per second."""
    clock = Clock()
    left = TimeLeft({"conv1": 100.0, "fc8": 10.0}, 0.0, 2, clock)
    assert left.seconds() is None
    clock.now = 10.0
    left.set("conv1", 90.0)
    left.set("fc8", 0.0)
    assert left.fraction == pytest.approx(20 / 110)
    assert left.seconds() == pytest.approx(90.0)      # one run left: half of the machine is idle
    clock.now = 20.0
    left.set("conv1", 80.0)
    assert left.seconds() == pytest.approx(80.0)


def test_shared_work_goes_before_and_is_spread():
    """Frozen layers: 40 units by two workers, then 60 on one run and 20 on another."""
    clock = Clock()
    left = TimeLeft({"a": 60.0, "b": 20.0}, 40.0, 2, clock)
    clock.now = 10.0
    left.set_shared(20.0)
    assert left.seconds() == pytest.approx((20 / 2 + 60) * 20 / 20)


def test_work_that_is_dropped_is_not_taken_for_speed():
    clock = Clock()
    left = TimeLeft({"a": 60.0, "b": 60.0}, 0.0, 1, clock)
    clock.now = 10.0
    left.set("a", 50.0)
    left.drop("b")
    assert left.seconds() == pytest.approx(50.0)
    assert left.fraction == pytest.approx(70 / 120)


COST = Cost(iterations=4, evaluate_every=2, test_patches=10, step=10.0, validation=10.0, patch=1.0)


class Named:
    init, fraction, seed = "conv4", 100, 1


def test_plain_lines_say_percent_and_time_left(monkeypatch, capsys):
    monkeypatch.setattr(display.sys.stderr, "isatty", lambda: False, raising=False)
    shown = Display("polyp", {("conv4", 100, 1): (COST, 0.0)}, 20.0, 1)
    shown.stored(1, 2)
    shown.stored_all()
    for event in ({"iteration": 0, "auc": 0.5}, {"iteration": 1, "auc": None},
                  {"iteration": 2, "auc": 0.75}):
        shown.on_event(Named, event)
    shown.on_event(Named, {"ended": "patience"})
    shown.on_event(Named, {"patches": 10})
    shown.say("end")
    shown.close()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("conv4 100% seed 1 ") and "validation AUC 0.5000" in lines[0]
    # 10 of 20 shared units were not needed; 10 + 10 of the other 90 are done, then 40 + 10.
    assert "(22%, time left " in lines[0] and "(56%, time left " in lines[1]
    assert lines[2].startswith("end  (100%, time left 00:00")


def test_events_of_runs_that_are_finished_are_ignored(capsys):
    shown = Display("polyp", {}, 0.0, 1)
    shown.on_event(Named, {"iteration": 1, "auc": 0.5})
    assert capsys.readouterr().out == ""


def test_work_done_is_read_from_the_run_folder(tmp_path):
    assert work_done(tmp_path, COST) == 0
    (tmp_path / "log.csv").write_text("iteration,loss\n0,\n1,0.5\n2,0.4\n")
    assert work_done(tmp_path, COST) == 20 + 2 * 10
    (tmp_path / "result.json").write_text("{}")
    assert work_done(tmp_path, COST) == COST.training == 40 + 3 * 10
    (tmp_path / "scores.csv").write_text("")
    assert work_done(tmp_path, COST) == COST.total
