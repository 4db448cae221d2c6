"""A sweep on a real Slurm: jobs that train, fail, are stopped, lost, queued again and found again.

Started by tests/slurm/run, outside of the place where Caffe is; every sweep goes by the command a
user types. Networks are whole, trainings are a few iterations of the mini profile.
"""
from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    shutil.which("sbatch") is None or "LAYERWISE_SLURM_WORK" not in os.environ,
    reason="there is no Slurm in the place where Caffe is; tests/slurm/run brings both together")

PROJECT = Path(__file__).resolve().parents[2]
WAIT_S = 900
LONG = ("--iterations", "600", "--evaluate-every", "200")


class Sweep:
    """One command line in a process of its own; `output` is all that it has printed."""

    def __init__(self, runs: Path, depths: str, *options: str, **environment: str) -> None:
        work = Path(os.environ["LAYERWISE_SLURM_WORK"])
        self.log = runs.with_suffix(f".{time.time_ns()}.log")
        command = [str(PROJECT / "environment" / "run"), "layerwise", "sweep", "polyp", "--profile",
                   "mini", "--depths", depths, "--launcher", "slurm", "--partition", "short",
                   "--time", "30", "--memory-gb", "3", *options]
        print(f"\n$ environment/run {' '.join(command[1:])}", flush=True)
        with self.log.open("wb") as handle:
            self.process = subprocess.Popen(
                command, cwd=work, stdout=handle, stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "LAYERWISE_DATA": str(work / "data"),
                     "LAYERWISE_RUNS": str(runs), **environment})

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def end(self) -> int:
        """Its exit code; what it printed is shown, without the bars and the lists of figures."""
        code = self.process.wait(WAIT_S)
        shown = [line for line in self.output.splitlines()
                 if line and "%|" not in line and "/figures/" not in line]
        print("\n".join(shown) + f"\nexit code {code}", flush=True)
        return code


def slurm(*words: str) -> list[str]:
    return subprocess.run(words, text=True, capture_output=True, check=True).stdout.split("\n")[:-1]


def jobs() -> dict[str, str]:
    """States of all jobs that Slurm knows, by id."""
    return dict(line.split() for line in slurm("squeue", "-hr", "--states=all", "-o", "%i %T"))


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.5)


def folder(runs: Path, init: str) -> Path:
    return runs / "polyp" / "phantom-mini" / init / "100" / "1"


def iterations(runs: Path, init: str) -> int:
    """The last iteration in a run's log."""
    try:
        with (folder(runs, init) / "log.csv").open(newline="") as handle:
            return int([row["iteration"] for row in csv.DictReader(handle)][-1])
    except (OSError, IndexError, ValueError):
        return -1


@pytest.fixture()
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A runs folder of its own in the work folder; what is still queued at the end is cancelled."""
    work = Path(os.environ["LAYERWISE_SLURM_WORK"])
    path = work / f"runs-{time.time_ns()}"
    yield path
    subprocess.run(["scancel", "--user=root"], check=True)
    wait_until(lambda: set(jobs().values()) <= {"CANCELLED", "COMPLETED", "FAILED"})
    shutil.rmtree(path, ignore_errors=True)


def test_a_failed_run_is_reported_and_alone_submitted_again(runs: Path) -> None:
    """fc7 cannot make its folder; fc8 and conv5 train on stored activations, conv1 does not."""
    obstacle = runs / "polyp" / "phantom-mini" / "fc7"
    obstacle.parent.mkdir(parents=True)
    obstacle.write_text("in the way")
    options = ("fc8,fc7,conv5,conv1", "--iterations", "10", "--evaluate-every", "5",
               "--max-parallel", "2", "--slurm-option", "comment=a-test")
    first = Sweep(runs, *options)
    assert first.end() == 1
    assert re.search(r"submitted 4 runs as Slurm job \d+; logs and outcomes in ", first.output)
    table = dict(re.findall(r"^(\w+) 100% seed 1: (.*)$", first.output, re.M))
    assert {init for init, end in table.items() if end == "scored"} == {"fc8", "conv5", "conv1"}
    assert table["fc7"].startswith("FAILED: ") and "cannot be made" in table["fc7"]
    for init, blob in (("fc8", "fc6"), ("conv5", "conv4"), ("conv1", None)):
        assert (folder(runs, init) / "scores.csv").exists()
        result = json.loads((folder(runs, init) / "result.json").read_text())
        assert (result["iterations"], result["stored_prefix"]) == (10, blob)
    assert (runs / "figures" / "polyp" / "phantom-mini" / "report.html").exists()
    array = max((number for number in jobs() if "_" in number), key=lambda n: int(n.split("_")[0]))
    assert "Comment=a-test" in "\n".join(slurm("scontrol", "show", "job", array))

    obstacle.unlink()
    scored = (folder(runs, "conv1") / "scores.csv").stat()
    second = Sweep(runs, *options)
    assert second.end() == 0
    assert "submitted 1 runs as Slurm job" in second.output
    assert (folder(runs, "conv1") / "scores.csv").stat() == scored
    assert (folder(runs, "fc7") / "scores.csv").exists()

    known = set(jobs())
    third = Sweep(runs, *options)
    assert third.end() == 0
    assert "submitted" not in third.output and set(jobs()) == known


def test_ctrl_c_cancels_the_jobs_and_the_run_goes_on_later(runs: Path) -> None:
    sweep = Sweep(runs, "fc8", *LONG)
    wait_until(lambda: iterations(runs, "fc8") >= 5)
    sweep.process.send_signal(signal.SIGINT)
    assert sweep.end() == 130
    assert "jobs cancelled; the same command resumes" in sweep.output
    wait_until(lambda: "RUNNING" not in jobs().values() and "COMPLETING" not in jobs().values())
    assert "PENDING" not in jobs().values()
    saved = json.loads((folder(runs, "fc8") / "state.json").read_text())["iteration"]
    assert saved >= 5 and not (folder(runs, "fc8") / "result.json").exists()
    again = Sweep(runs, "fc8", *LONG)
    assert again.end() == 0
    assert iterations(runs, "fc8") == 600


def test_jobs_outlive_the_launcher_and_their_time_limit(runs: Path) -> None:
    """The launcher is killed, its job told that its time is up; the same command finds it again."""
    sweep = Sweep(runs, "fc8", *LONG)
    wait_until(lambda: iterations(runs, "fc8") >= 5)
    running = next(number for number, state in jobs().items() if state == "RUNNING")
    os.killpg(sweep.process.pid, signal.SIGKILL)
    sweep.process.wait()
    print(f"launcher killed; job {running} {jobs()[running]}")
    slurm("scancel", "--signal=USR2", running)
    wait_until(lambda: jobs()[running] != "RUNNING")
    print(f"job {running} told by USR2 that its time is up: {jobs()[running]}")
    again = Sweep(runs, "fc8", *LONG)
    assert again.end() == 0
    assert "1 of 1 runs are in the queue already" in again.output
    assert "submitted" not in again.output
    assert any("Restarts=1" in line for line in slurm("scontrol", "show", "job", running))
    assert iterations(runs, "fc8") == 600 and (folder(runs, "fc8") / "scores.csv").exists()


def test_frozen_layers_that_take_longer_than_a_job_are_computed_by_the_runs(runs: Path) -> None:
    """The job that stores them is told that its time is up: with 4 minutes it always nearly is."""
    sweep = Sweep(runs, "fc8", "--iterations", "2", "--time", "4",
                  LAYERWISE_DATA=str(runs.with_suffix(".data")))
    wait_until(lambda: list(runs.glob("slurm/*/features.begun.json")))
    storing = next(number for number, state in jobs().items() if state == "RUNNING")
    slurm("scancel", "--signal=USR2", storing)
    assert sweep.end() == 0
    assert re.search(r"frozen layers are not stored, each run computes them: storing activations "
                     r"\(sets done: \d+\): nothing was saved in all of a job's time", sweep.output)
    result = json.loads((folder(runs, "fc8") / "result.json").read_text())
    assert (result["iterations"], result["stored_prefix"]) == (2, None)


def test_a_container_is_entered_for_every_step(runs: Path, tmp_path: Path) -> None:
    """Apptainer is stood in for by a script that notes its options and enters the root instead."""
    runtime, called = runs.parent / "bin" / "apptainer", runs.parent / "called"
    runtime.parent.mkdir()
    runtime.write_text(f"""#!/bin/bash
echo "$@" >>{called}
shift
while [ "$1" = --bind ]; do shift 2; done
test "$1" = image.sif || exit 9
shift
exec {PROJECT}/environment/run "$@"
""")
    runtime.chmod(0o755)
    sweep = Sweep(runs, "fc8", "--iterations", "2", "--container", "image.sif",
                  PATH=f"{runtime.parent}:{os.environ['PATH']}")
    assert sweep.end() == 0
    assert (folder(runs, "fc8") / "scores.csv").exists()
    calls = called.read_text().splitlines()
    assert all(call.startswith("exec --bind ") for call in calls)
    assert [next(word for word in ("layerwise sweep", "layerwise.job", "layerwise figures")
                 if word in call) for call in calls][::len(calls) - 1] == [
        "layerwise sweep", "layerwise figures"]
    assert any("layerwise.job" in call for call in calls)


def test_a_job_that_is_killed_from_outside_is_reported(runs: Path) -> None:
    sweep = Sweep(runs, "scratch", *LONG)
    wait_until(lambda: "RUNNING" in jobs().values())
    slurm("scancel", next(number for number, state in jobs().items() if state == "RUNNING"))
    assert sweep.end() == 1
    assert re.search(r"scratch-gaussian 100% seed 1: FAILED: Slurm job \d+ ended without a word "
                     r"\(CANCELLED\)", sweep.output)


def test_slurms_refusal_is_one_line(runs: Path) -> None:
    sweep = Sweep(runs, "fc8", "--partition", "nowhere")
    assert sweep.end() == 2
    assert sweep.output.splitlines()[-1].startswith("layerwise: Slurm: ")
    assert "invalid partition" in sweep.output.splitlines()[-1]


def test_a_dry_run_submits_nothing(runs: Path) -> None:
    known = set(jobs())
    sweep = Sweep(runs, "fc8,conv1", "--dry-run", "--seconds-per-iteration", "1")
    assert sweep.end() == 0
    assert "2 of 2 runs to do, 2 side by side; nothing is made" in sweep.output
    assert set(jobs()) == known and not runs.exists()
