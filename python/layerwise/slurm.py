"""A sweep on a Slurm cluster: what is unfinished goes to submitit, and is followed to its end.

Two submissions: one job that stores the activations of frozen layers, where that pays, and one
array of a job for each run, which waits for the first however it ends (without stored activations a
run computes them itself). Ids are written down at once, so that a later command finds jobs of an
earlier one that still run, and follows those instead of starting them twice.
"""
from __future__ import annotations

import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Union

from layerwise.child import Interrupted
from layerwise.display import Display, work_done
from layerwise.errors import InputError
from layerwise.handover import FEATURES, HANDOVER, Handover, read_outcome, write_handover
from layerwise.plan import Key, key_of, title_of
from layerwise.runs import Run, is_scored, read_json, write_json
from layerwise.slurm_job import Job
from layerwise.sweep import Outcome

Name = Union[Key, str]             # of a run, or FEATURES
SUBMITTED = "submitted.json"
PACKAGES = Path(__file__).resolve().parents[1]
POLL_S = 5.0
GRACE_S = 30.0         # for an outcome to appear on a shared file system after its job has ended
CANCEL_S = 60.0        # for jobs to stop; Slurm kills them some time after it has told them
RESTARTS = 1000        # a job that meets its time limit saves its state and is queued again
STORED = re.compile(r"^(\d+) of (\d+) patches$", re.MULTILINE)     # of layerwise.job
LIVE = frozenset((     # Slurm's job states that may still lead to an outcome
    "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING",
    "SIGNALING", "STAGE_OUT", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT",
    "RESV_DEL_HOLD"))


@dataclass(frozen=True)
class Requests:
    """What each job asks the cluster for; None leaves it to the cluster."""

    partition: str | None
    minutes: int
    memory_gb: float
    cpus: int
    gpus: int
    max_parallel: int | None
    extra: Mapping[str, str]         # further options of sbatch

    def parameters(self) -> dict[str, Any]:
        """As submitit names them."""
        chosen: dict[str, Any] = {
            "timeout_min": self.minutes, "mem_gb": self.memory_gb, "cpus_per_task": self.cpus,
            # Since Slurm 22.05 srun no longer takes this from the job.
            "slurm_srun_args": [f"--cpus-per-task={self.cpus}"],
            "slurm_setup": [f"export PYTHONPATH={shlex.quote(str(PACKAGES))}"
                            "${PYTHONPATH:+:$PYTHONPATH}"],
            "slurm_array_parallelism": self.max_parallel or 10_000,
            "slurm_additional_parameters": dict(self.extra)}
        if self.partition:
            chosen["slurm_partition"] = self.partition
        if self.gpus:
            chosen["gpus_per_node"] = self.gpus
        return chosen


@dataclass(frozen=True)
class Submitted:
    """One job in the queue: `folder` and `name` are those of its outcome."""

    id: str
    folder: Path
    name: str

    @property
    def log(self) -> Path:
        """What it writes to standard error; `.out` has its standard output."""
        return self.folder / "submitit" / f"{self.id}_0_log.err"

    def outcome(self) -> str | None:
        """Its error, "" when it ended well, None when it has not said."""
        return read_outcome(self.folder, self.name)


class Cluster:
    """Slurm's commands, and submitit on top of them."""

    def __init__(self, requests: Requests) -> None:
        """Raises InputError when submitit is not installed."""
        try:
            import submitit
        except ImportError:
            raise InputError("submitit is not installed: install layerwise[slurm], or start by "
                             "`environment/run layerwise`, which keeps one of its own") from None
        self._submitit, self._requests = submitit, requests

    def submit(self, folder: Path, title: str, commands: Sequence[Sequence[str]],
               after: str | None) -> list[str]:
        """Put commands into the queue, several as an array; their ids.

        Args:
            folder: for submitit's scripts and logs.
            after: id of a job that has to have ended before.

        Raises InputError when Slurm refuses.
        """
        try:
            executor = self._submitit.AutoExecutor(folder, cluster="slurm",
                                                   slurm_max_num_timeout=RESTARTS)
            executor.update_parameters(**self._requests.parameters(), name=title)
            if after:
                executor.update_parameters(slurm_dependency=f"afterany:{after}")
            jobs = executor.submit_array([Job(command) for command in commands])
        except RuntimeError as error:
            raise InputError(f"Slurm: {' '.join(str(error).split())}") from None
        return [job.job_id for job in jobs]

    def states(self, ids: Sequence[str]) -> dict[str, str] | None:
        """State of those jobs that Slurm still knows; None when it does not answer."""
        done = _call(["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T",
                      f"--jobs={','.join(ids)}"])
        if done.returncode != 0 and "Invalid job id" not in done.stderr:
            return None
        rows = (line.strip().split("|") for line in done.stdout.splitlines())
        return {row[0]: row[1] for row in rows if len(row) == 2}

    def cancel(self, ids: Sequence[str]) -> None:
        """Take jobs out of the queue, or stop them."""
        _call(["scancel", *ids])


def _call(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        raise InputError(f"{words[0]}: no such command; is this a machine of a Slurm cluster?"
                         ) from None


def sweep_on_slurm(handover: Handover, requests: Requests, python: Sequence[str]) -> list[Outcome]:
    """Train and score all runs that are not, as jobs; a failed one does not stop the others.

    Args:
        python: words that start Python where Caffe is, on a node.

    Raises:
        InputError: Slurm is not here, or refuses.
        Interrupted: on Ctrl-C or SIGTERM, once the jobs are cancelled.
    """
    cluster, stopping = Cluster(requests), threading.Event()
    previous = {number: signal.signal(number, lambda *_: stopping.set())
                for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        errors = _follow(cluster, handover, _queue(cluster, handover, python), stopping)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return [Outcome(run, errors.get(key_of(run), "")) for run in handover.runs]


def _queue(cluster: Cluster, handover: Handover, python: Sequence[str]
           ) -> dict[Name, Submitted]:
    """The jobs of all unfinished runs, those of earlier commands or new ones; FEATURES if any."""
    root = handover.setting.runs / "slurm"
    places = [place for place, run in enumerate(handover.runs)
              if not is_scored(run.folder(handover.setting.runs))]
    queued = _still_queued(cluster, root, [handover.runs[place] for place in places],
                           handover.setting.runs)
    if queued:
        print(f"{len(queued)} of {len(places)} runs are in the queue already")
    places = [place for place in places if key_of(handover.runs[place]) not in queued]
    if not places:
        return queued
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=root))
    write_handover(folder / HANDOVER, handover)
    title = f"{handover.setting.task.name}-{handover.setting.prepared.name}"

    def submit(names: Sequence[str], after: str | None = None) -> list[Submitted]:
        commands = [[*python, "-m", "layerwise.job", str(folder), name] for name in names]
        ids = cluster.submit(folder / "submitit", title, commands, after)
        return [Submitted(number, folder, name) for number, name in zip(ids, names)]

    after = None
    if handover.storing:
        queued[FEATURES] = submit([FEATURES])[0]
        after = queued[FEATURES].id
    new = submit([str(place) for place in places], after)
    queued.update(zip((key_of(handover.runs[place]) for place in places), new))
    write_json(folder / SUBMITTED, {
        str(handover.runs[place].folder(handover.setting.runs)): [job.id, job.name]
        for place, job in zip(places, new)})
    print(f"submitted {len(new)} runs as Slurm job {new[0].id.partition('_')[0]}; logs and "
          f"outcomes in {folder}")
    return queued


def _still_queued(cluster: Cluster, root: Path, runs: Sequence[Run], runs_root: Path
                  ) -> dict[Name, Submitted]:
    """The jobs of earlier commands that may still finish some of these runs."""
    found: dict[Name, Submitted] = {}
    for path in sorted(root.glob(f"*/{SUBMITTED}")):
        content = read_json(path)
        for run in runs:
            entry = content.get(str(run.folder(runs_root)))
            if entry:
                found[key_of(run)] = Submitted(entry[0], path.parent, entry[1])
    states = cluster.states([job.id for job in found.values()]) if found else {}
    if states is None:
        raise InputError("Slurm does not answer; jobs of an earlier command may still run")
    return {key: job for key, job in found.items() if states.get(job.id) in LIVE}


def _follow(cluster: Cluster, handover: Handover, queued: Mapping[Name, Submitted],
            stopping: threading.Event) -> dict[Key, str]:
    """Errors of the runs, "" where there is none, when all jobs have ended."""
    root = handover.setting.runs
    runs = {key_of(run): (run, cost) for run, cost in zip(handover.runs, handover.costs)}
    display = Display(handover.setting.task.name, {
        key: (cost, work_done(run.folder(root), cost))
        for key, (run, cost) in runs.items() if key in queued},
        handover.storing if FEATURES in queued else 0.0, len(queued))
    watch = _Watch(cluster, queued)
    errors: dict[Key, str] = {}
    stored = 0
    try:
        while watch.pending:
            if stopping.is_set():
                _cancel(cluster, [job.id for job in watch.pending.values()])
                raise Interrupted("stopped on request, jobs cancelled; the same command resumes")
            for key, error in watch.look():
                if isinstance(key, str):
                    display.stored_all()
                    if error:
                        print(f"frozen layers are not stored, each run computes them: {error}")
                    continue
                errors[key] = error
                display.on_event(runs[key][0], {"ended": "failed" if error else "scored"})
                display.say(f"{title_of(runs[key][0]):32s} {error or 'scored'}")
            for key, job in watch.pending.items():
                if isinstance(key, str):
                    stored = _show_stored(display, job, stored)
                else:
                    run, cost = runs[key]
                    display.at(key, work_done(run.folder(root), cost))
            display.show(f"{watch.running} running, {len(watch.pending) - watch.running} waiting",
                         watch.running)
            if watch.pending:
                stopping.wait(POLL_S)
    finally:
        display.close()
    return errors


def _show_stored(display: Display, job: Submitted, before: int) -> int:
    """Show how many patches the job of the frozen layers has gone through; their number."""
    try:
        told = STORED.findall((job.log.with_suffix(".out")).read_text(encoding="utf-8"))
    except OSError:
        return before
    done, total = map(int, told[-1]) if told else (before, 1)
    display.stored(done - before, total)
    return done


def _cancel(cluster: Cluster, ids: Sequence[str]) -> None:
    """Cancel jobs and wait until they are gone: they finish their iteration and save."""
    cluster.cancel(ids)
    end = time.monotonic() + CANCEL_S
    while time.monotonic() < end and LIVE.intersection((cluster.states(ids) or {}).values()):
        time.sleep(POLL_S)


class _Watch:
    """Looks after jobs until each has an outcome or is lost."""

    def __init__(self, cluster: Cluster, queued: Mapping[Name, Submitted]) -> None:
        self.pending, self.running = dict(queued), 0
        self._cluster = cluster
        self._gone: dict[Name, float] = {}

    def look(self) -> list[tuple[Name, str]]:
        """The jobs that have ended since the last look, each with its error or ""."""
        states = self._cluster.states([job.id for job in self.pending.values()])
        ended = []
        self.running = 0
        for key, job in self.pending.items():
            error = job.outcome()
            if error is None and states is not None:
                state = states.get(job.id, "")
                self.running += state == "RUNNING"
                error = self._lost(key, job, state)
            if error is not None:
                ended.append((key, error))
        for key, _ in ended:
            del self.pending[key]
        return ended

    def _lost(self, key: Name, job: Submitted, state: str) -> str | None:
        """What is wrong with a job that has ended without an outcome, after a time of grace."""
        if state in LIVE:
            self._gone.pop(key, None)
            return None
        now = time.monotonic()
        if now - self._gone.setdefault(key, now) < GRACE_S:
            return None
        return (f"Slurm job {job.id} ended without a word ({state or 'Slurm has forgotten it'}); "
                f"its log is {job.log}")
