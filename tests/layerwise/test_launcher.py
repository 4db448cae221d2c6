"""The Slurm launcher without Slurm: options, hand-over, entry, lost jobs. With it: tests/slurm."""
from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
import types
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_training import setting

from layerwise import handover as hand
from layerwise import job, slurm
from layerwise.child import Interrupted
from layerwise.cli import main
from layerwise.cost import Cost
from layerwise.depths import DEPTHS
from layerwise.entry import python_words
from layerwise.errors import InputError
from layerwise.features import LISTING, PARTIAL
from layerwise.handcrafted import handcrafted_run
from layerwise.handover import Handover, read_handover, write_handover, write_outcome
from layerwise.launcher import settled
from layerwise.options import Minutes
from layerwise.plan import key_of, make_run
from layerwise.runs import open_run, write_json
from layerwise.slurm import Requests, Submitted
from layerwise.slurm_job import Job

NO_OPTIONS = dict.fromkeys(
    ("partition", "time", "memory_gb", "cpus", "gpus", "max_parallel", "container", "gpu"))


@pytest.mark.parametrize("text, minutes", [
    ("90", 90), ("1:30", 2), ("12:00:00", 720), ("0:00:01", 1), ("2-00", 2880), ("1-2:30", 1590),
    ("1-2:30:59", 1591)])
def test_times_are_read_as_slurm_reads_them(text, minutes):
    assert Minutes().convert(text, None, None) == minutes


@pytest.mark.parametrize("arguments, message", [
    (["--time", "soon", "--launcher", "slurm"], "'soon' is no time such as 90 (minutes)"),
    (["--time", "0", "--launcher", "slurm"], "'0' is no time"),
    (["--slurm-option", "requeue"], "'requeue' is not key=value"),
    (["--partition", "gpu"], "--partition is for --launcher slurm"),
    (["--slurm-option", "account=a"], "--slurm-option is for --launcher slurm"),
    (["--launcher", "slurm", "--gpu", "0"], "--gpu names a GPU of this machine"),
    (["--launcher", "moon"], "moon"),
])
def test_wrong_options_are_one_line(arguments, message, tmp_path):
    done = CliRunner().invoke(main, [
        "sweep", "polyp", "--data", str(tmp_path / "d"), "--runs", str(tmp_path / "r"), *arguments])
    assert done.exit_code == 2
    assert message in done.output and len(done.output.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_gpu_of_the_node_is_its_first():
    assert settled({**NO_OPTIONS, "slurm_option": (), "gpus": 1}, "slurm")["gpu"] == 0
    assert settled({**NO_OPTIONS, "slurm_option": ()}, "slurm")["gpu"] is None
    assert settled({**NO_OPTIONS, "slurm_option": (), "gpu": 3}, "local")["gpu"] == 3


def test_python_is_entered_as_the_environment_says(monkeypatch):
    monkeypatch.delenv("LAYERWISE_ENTRY", raising=False)
    assert python_words(None, [], False) == [sys.executable]
    monkeypatch.setenv("LAYERWISE_ENTRY", "/p/environment/run")
    assert python_words(None, [], False) == ["/p/environment/run", "python3"]


def test_a_container_sees_the_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="neither apptainer nor singularity"):
        python_words("image.sif", [], False)
    runtime = tmp_path / "singularity"
    runtime.write_text("#!/bin/sh\n")
    runtime.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    words = python_words("image.sif", [tmp_path / "to" / "be" / "made"], True)
    assert words == ["env", "-u", "PYTHONPATH", str(runtime), "exec", "--nv",
                     "--bind", str(tmp_path), "image.sif", "python3"]


def handed_over(prepared: Path, runs: Path, weights: Path | None = None) -> Handover:
    shared = setting(prepared, runs, weights, iterations=2)
    todo = tuple(make_run(shared, DEPTHS[name], 100, 7) for name in ("scratch-gaussian", "fc8")
                 if weights or name != "fc8")
    return Handover(shared, todo, (Cost(6, 2, 6, 1.0, 1.0, 1.0),) * len(todo), 0.0)


def test_what_is_handed_over_comes_back(prepared, source_weights, tmp_path):
    given = handed_over(prepared, tmp_path, source_weights)
    write_handover(tmp_path / "h.json", given)
    found = read_handover(tmp_path / "h.json")
    assert found.runs == given.runs and found.costs == given.costs
    assert replace(found.setting, blas=given.setting.blas, profile=given.setting.profile
                   ) == given.setting


@pytest.mark.usefixtures("small_table")
def test_a_job_scores_its_run_and_says_how_it_ended(prepared, tmp_path, monkeypatch):
    """In this process as on a node; the second time the settings are others, which fails."""
    given = handed_over(prepared, tmp_path / "runs")
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        for name, run in (("good", given.runs[0]), ("bad", replace(given.runs[0], iterations=9))):
            folder = tmp_path / name
            folder.mkdir()
            write_handover(folder / hand.HANDOVER, replace(given, runs=(run,)))
            code = job.main([str(folder), "0", "0"])
            assert code == (1 if name == "bad" else 0)
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), handlers):
            signal.signal(number, handler)
    assert hand.read_outcome(tmp_path / "good", "0") == ""
    error = hand.read_outcome(tmp_path / "bad", "0")
    assert error is not None and "holds a run with iterations=2, now 9" in error
    assert (given.runs[0].folder(tmp_path / "runs") / "scores.csv").exists()


def test_a_job_says_what_nobody_foresaw(prepared, tmp_path, monkeypatch):
    def score_run(*_):
        raise ValueError("nobody thought of this")
    monkeypatch.setattr(job, "score_run", score_run)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    write_handover(tmp_path / hand.HANDOVER, handed_over(prepared, tmp_path / "runs"))
    assert job.main([str(tmp_path), "0", "0"]) == 1
    log = tmp_path / "0.error.log"
    assert hand.read_outcome(tmp_path, "0") == f"ValueError: nobody thought of this (see {log})"
    assert "in score_run" in log.read_text()


class Starts:
    """One job, begun again and again in this process; `saves` leaves what its work would.

    It is stopped after that, each time.
    """

    def __init__(self, given: Handover, folder: Path, name: str, monkeypatch) -> None:
        self.folder, self.name, self.saves, self.works = folder, name, lambda: None, 0
        monkeypatch.setattr(job, "score_run", self._work)
        monkeypatch.setattr(job, "store_features", self._work)
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        write_handover(folder / hand.HANDOVER, given)

    def _work(self, *_):
        self.works += 1
        self.saves()
        raise Interrupted("stopped on request")

    def begin(self, timeouts: int) -> str | None:
        """The outcome, None when it was stopped and may begin again."""
        job.main([str(self.folder), self.name, str(timeouts)])
        return hand.read_outcome(self.folder, self.name)


NOTHING_SAVED = "nothing was saved in all of a job's time; give a longer --time, or fewer patches"


def test_a_training_is_begun_again_as_long_as_it_gets_on(prepared, tmp_path, monkeypatch):
    given = handed_over(prepared, tmp_path / "runs")
    given = replace(given, runs=(replace(given.runs[0], iterations=9),))
    folder = given.runs[0].folder(tmp_path / "runs")
    folder.mkdir(parents=True)
    starts = Starts(given, tmp_path, "0", monkeypatch)
    for timeouts in range(3):
        starts.saves = partial(write_json, folder / "state.json", {"iteration": timeouts + 1})
        assert starts.begin(timeouts) is None
    assert starts.works == 3
    starts.saves = lambda: None
    assert starts.begin(3) is None                     # stopped in a validation, say
    assert starts.begin(4) == f"training (iteration 3 of 9): {NOTHING_SAVED}"
    assert starts.works == 4


def test_a_scoring_that_gets_no_further_in_a_job_fails(prepared, tmp_path, monkeypatch):
    """Not in the job that has trained too, but in the next, which had all its time for scoring."""
    given = handed_over(prepared, tmp_path / "runs")
    folder = given.runs[0].folder(tmp_path / "runs")
    folder.mkdir(parents=True)
    starts = Starts(given, tmp_path, "0", monkeypatch)
    starts.saves = partial(write_json, folder / "result.json", {})
    assert starts.begin(0) is None
    assert starts.begin(1) is None
    assert starts.begin(1) is None                     # preempted: had not all of its time
    part = folder / "scoring-0" / "000000.npz"
    part.parent.mkdir()
    part.touch()
    assert starts.begin(2) is None                     # it had kept a part
    assert starts.begin(3) == f"scoring 6 patches (parts done: 1): {NOTHING_SAVED}"
    assert starts.works == 4


def test_a_handcrafted_system_that_takes_longer_than_a_job_fails(prepared, tmp_path, monkeypatch):
    given = handed_over(prepared, tmp_path / "runs")
    given = replace(given, runs=(handcrafted_run(given.setting, 100, 7),))
    starts = Starts(given, tmp_path, "0", monkeypatch)
    assert starts.begin(0) is None
    assert starts.begin(1) == f"the handcrafted system: {NOTHING_SAVED}"


def test_storing_goes_on_as_long_as_sets_are_finished(prepared, source_weights, tmp_path,
                                                      monkeypatch):
    given = handed_over(prepared, tmp_path / "runs", source_weights)
    data = tmp_path / "data"
    given = replace(given, setting=replace(given.setting, prepared=data))
    starts = Starts(given, tmp_path, hand.FEATURES, monkeypatch)

    def finish(name):
        folder = data / "features" / "key" / "fc6" / name
        folder.mkdir(parents=True)
        (folder / LISTING).write_text("00000.h5")

    starts.saves = partial(finish, "train-100")
    assert starts.begin(0) is None
    starts.saves = partial(finish, f".validation-100{PARTIAL}17")
    assert starts.begin(1) is None
    assert starts.begin(2) == f"storing activations (sets done: 1): {NOTHING_SAVED}"
    assert starts.works == 2


class FakeCluster:
    """Jobs in the states that a test gives; as `slurm.Cluster`."""

    def __init__(self, states: dict[str, str] | None = None) -> None:
        self.known, self.submitted, self.cancelled = states or {}, [], []
        self.then: BaseException | None = None        # meets jobs that wait for others

    def submit(self, folder, title, commands, after):
        if after and self.then:
            raise self.then
        self.submitted.append(([command[-1] for command in commands], after))
        first = 10 * len(self.submitted)
        ids = [f"{first}_{n}" for n in range(len(commands))] if len(commands) > 1 else [str(first)]
        self.known.update(dict.fromkeys(ids, "PENDING"))
        return ids

    def states(self, ids):
        return None if self.known is None else {
            number: self.known[number] for number in ids if number in self.known}

    def cancel(self, ids):
        self.cancelled += ids
        self.known.update(dict.fromkeys(ids, "CANCELLED"))


def test_runs_are_submitted_after_the_frozen_layers_and_only_once(prepared, source_weights,
                                                                  tmp_path):
    given = replace(handed_over(prepared, tmp_path, source_weights), storing=5.0)
    cluster = FakeCluster()
    queued = slurm._queue(cluster, given, ["python3"])
    assert cluster.submitted == [(["features"], []), (["0", "1"], ["10"])]
    assert queued["10"].name == slurm.FEATURES
    assert [queued[key_of(run)].id for run in given.runs] == ["20_0", "20_1"]
    # A later command finds one of them running; the other one was lost.
    cluster.known.update({"10": "COMPLETED", "20_1": "NODE_FAIL"})
    queued = slurm._queue(cluster, given, ["python3"])
    assert queued[key_of(given.runs[0])].id == "20_0" and "10" not in queued
    assert cluster.submitted[2:] == [(["features"], []), (["1"], ["30"])]
    # Scored runs are left alone.
    for run in given.runs:
        run.folder(tmp_path).mkdir(parents=True)
        (run.folder(tmp_path) / "scores.csv").write_text("")
    assert slurm._queue(cluster, given, ["python3"]) == {}


def test_a_later_command_cancels_the_frozen_layers_too(prepared, source_weights, tmp_path):
    given = replace(handed_over(prepared, tmp_path, source_weights), storing=5.0)
    cluster, stopping = FakeCluster(), threading.Event()
    slurm._queue(cluster, given, ["python3"])
    queued = slurm._queue(cluster, given, ["python3"])
    assert len(cluster.submitted) == 2
    stopping.set()
    with pytest.raises(slurm.Interrupted):
        slurm._follow(cluster, given, queued, stopping)
    assert sorted(cluster.cancelled) == ["10", "20_0", "20_1"]


def test_frozen_layers_in_the_queue_are_waited_for(prepared, source_weights, tmp_path):
    """Of a command that was killed between its two submissions; they do not do for another run."""
    given = replace(handed_over(prepared, tmp_path, source_weights), storing=5.0)
    first = replace(given, runs=given.runs[:1], costs=given.costs[:1])
    cluster = FakeCluster()
    cluster.then = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        slurm._queue(cluster, first, ["python3"])
    assert cluster.known == {"10": "PENDING"}
    cluster.then = None
    queued = slurm._queue(cluster, first, ["python3"])
    assert cluster.submitted[1:] == [(["0"], ["10"])]
    assert {job.id for job in queued.values()} == {"10", "20"}
    queued = slurm._queue(cluster, given, ["python3"])
    assert cluster.submitted[2:] == [(["features"], ["10"]), (["1"], ["30"])]
    assert {job.id for job in queued.values()} == {"10", "20", "30", "40"}
    assert {key for key in queued if isinstance(key, str)} == {"10", "30"}


def test_frozen_layers_are_cancelled_when_slurm_refuses_their_runs(prepared, source_weights,
                                                                   tmp_path):
    cluster = FakeCluster()
    cluster.then = InputError("Slurm: no array of this size")
    with pytest.raises(InputError, match="no array of this size"):
        slurm._queue(cluster, replace(handed_over(prepared, tmp_path, source_weights),
                                      storing=5.0), ["python3"])
    assert cluster.known == {"10": "CANCELLED"}


@pytest.mark.parametrize("left", ["scores.csv", "result.json", "state.json"])
def test_a_folder_with_other_settings_is_refused_before_anything_is_submitted(
        prepared, tmp_path, left):
    given = handed_over(prepared, tmp_path)
    run, cluster = given.runs[0], FakeCluster()
    folder = run.folder(tmp_path)
    folder.mkdir(parents=True)
    open_run(folder, run)
    (folder / left).write_text("{}")
    other = replace(given, runs=(replace(run, iterations=9),))
    with pytest.raises(InputError, match=f"{folder} holds a run with iterations=2, now 9: choose "
                                         "another --runs folder or delete this one"):
        slurm._queue(cluster, other, ["python3"])
    assert not cluster.submitted and not (tmp_path / "slurm").exists()
    assert len(slurm._queue(cluster, given, ["python3"])) == (left != "scores.csv")


def test_a_job_with_other_settings_is_refused(prepared, tmp_path):
    given = handed_over(prepared, tmp_path)
    run, cluster = given.runs[0], FakeCluster()
    slurm._queue(cluster, given, ["python3"])
    other = replace(given, runs=(replace(run, batch_size=5),))
    with pytest.raises(InputError) as refused:
        slurm._queue(cluster, other, ["python3"])
    assert str(refused.value) == (
        f"{run.folder(tmp_path)}: Slurm job 10 of an earlier command makes this run with "
        "batch_size=4, now 5: choose another --runs folder, or stop it (scancel 10) and delete "
        "this one")
    # One that decides nothing is the same, and a job that has ended is in nobody's way.
    slurm._queue(cluster, replace(given, runs=(replace(run, environment={}),)), ["python3"])
    assert len(cluster.submitted) == 1
    cluster.known["10"] = "CANCELLED"
    slurm._queue(cluster, other, ["python3"])
    assert len(cluster.submitted) == 2


def test_a_job_that_ends_without_a_word_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "GRACE_S", 0.0)
    key = ("fc8", 100, 1)
    cluster = FakeCluster({"7_0": "RUNNING"})
    watch = slurm._Watch(cluster, {key: Submitted("7_0", tmp_path, "0")})
    assert watch.look() == [] and watch.running == 1
    cluster.known = None                                 # Slurm does not answer
    assert watch.look() == []
    cluster.known = {"7_0": "OUT_OF_MEMORY"}
    (_, error), = watch.look()
    assert "Slurm job 7_0 ended without a word (OUT_OF_MEMORY)" in error
    assert watch.pending == {}


def test_an_outcome_counts_whatever_slurm_says(tmp_path):
    watch = slurm._Watch(FakeCluster(), {("fc8", 100, 1): Submitted("7_0", tmp_path, "0")})
    write_outcome(tmp_path, "0", "diverged")
    assert watch.look() == [(("fc8", 100, 1), "diverged")]


def test_stopping_cancels_what_is_pending(prepared, tmp_path):
    given = handed_over(prepared, tmp_path)
    cluster, stopping = FakeCluster({"7": "RUNNING"}), threading.Event()
    stopping.set()
    with pytest.raises(slurm.Interrupted, match="cancelled"):
        slurm._follow(cluster, given, {key_of(given.runs[0]): Submitted("7", tmp_path, "0")},
                      stopping)
    assert cluster.cancelled == ["7"]


def test_requests_become_submitits_parameters():
    chosen = Requests("gpu", 90, 4.0, 2, 1, 3, {"account": "a"}).parameters()
    assert chosen["timeout_min"] == 90 and chosen["gpus_per_node"] == 1
    assert chosen["slurm_array_parallelism"] == 3 and chosen["slurm_partition"] == "gpu"
    assert chosen["slurm_additional_parameters"] == {"account": "a"}
    assert "slurm_partition" not in Requests(None, 1, 1.0, 1, 0, None, {}).parameters()


@pytest.fixture()
def no_submitit(monkeypatch):
    """What a job gives back is itself, not wrapped for submitit."""
    helpers = types.ModuleType("submitit.helpers")
    helpers.DelayedSubmission = lambda function: function
    monkeypatch.setitem(sys.modules, "submitit", types.ModuleType("submitit"))
    monkeypatch.setitem(sys.modules, "submitit.helpers", helpers)


@pytest.mark.usefixtures("no_submitit")
@pytest.mark.parametrize("limit_s, timeouts", [(60, 3), (3600, 2)])
def test_a_job_that_has_to_stop_is_told_and_given_back(tmp_path, limit_s, timeouts):
    """The command is told by SIGTERM; it runs again, knowing how often its time was up by then.

    As on Slurm every process of the job has the first signal.
    """
    ready = tmp_path / "ready"
    told = Job(["sh", "-c", "trap 'exit 3' TERM; echo $1 >$0; while :; do sleep .1; done",
                str(ready)], limit_s, 2)
    again = []

    def time_is_up(*_):
        os.kill(told._child.pid, signal.SIGUSR2)
        time.sleep(0.3)
        again.append(told.checkpoint())

    previous = signal.signal(signal.SIGUSR2, time_is_up)
    try:
        threading.Thread(target=_signal_when, args=(ready,)).start()
        assert told() == 3
    finally:
        signal.signal(signal.SIGUSR2, previous)
    assert ready.read_text() == "2\n"
    queued = pickle.loads(pickle.dumps(again[0]))
    assert vars(queued) == {"command": told.command, "limit_s": limit_s, "timeouts": timeouts}


@pytest.mark.usefixtures("no_submitit")
def test_a_job_that_ends_as_its_time_is_up_is_given_back():
    ended = Job(["true"], 60)
    assert ended() == 0
    assert ended.checkpoint().timeouts == 1


def _signal_when(path: Path) -> None:
    while not (path.exists() and path.stat().st_size):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGUSR2)
