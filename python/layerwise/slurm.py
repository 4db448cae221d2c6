"""A sweep on a Slurm cluster: what is unfinished goes to submitit, and is followed to its end.

Two submissions: one job that stores the activations of frozen layers, where that pays, and one
array of a job for each run, which waits for the first however it ends (without stored activations a
run computes them itself). Ids are written down after each, so that a later command finds jobs of an
earlier one that still run, and follows those instead of starting them twice; jobs and folders that
have a run with other settings are refused.
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
from layerwise.runs import Run, check_same, difference, is_scored, read_json, write_json
from layerwise.slurm_job import Job
from layerwise.sweep import Outcome

Name = Union[Key, str]             # of a run, or the id of a job that stores frozen layers
SUBMITTED = "submitted.json"
PACKAGES = Path(__file__).resolve().parents[1]
POLL_S = 5.0
GRACE_S = 30.0         # for an outcome to appear on a shared file system after its job has ended
CANCEL_S = 60.0        # for jobs to stop; Slurm kills them some time after it has told them
RESTARTS = 1000        # at the time limit; `layerwise.job` fails sooner when it gets nowhere
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

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The runs of its submission, in JSON form."""
        return list(read_json(self.folder / HANDOVER)["runs"])

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
               after: Sequence[str]) -> list[str]:
        """Put commands into the queue, several as an array; their ids.

        Args:
            folder: for submitit's scripts and logs.
            after: ids of jobs that have to have ended before.

        Raises InputError when Slurm refuses.
        """
        try:
            executor = self._submitit.AutoExecutor(folder, cluster="slurm",
                                                   slurm_max_num_timeout=RESTARTS)
            executor.update_parameters(**self._requests.parameters(), name=title)
            if after:
                executor.update_parameters(slurm_dependency=f"afterany:{':'.join(after)}")
            jobs = executor.submit_array([Job(command, 60 * self._requests.minutes)
                                          for command in commands])
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
    """The jobs of all unfinished runs, of earlier commands or new, and those that store for them.

    Raises InputError when a job in the queue or a folder has one of the runs with other settings.
    """
    root = handover.setting.runs
    unfinished = {str(place): run for place, run in enumerate(handover.runs)
                  if not is_scored(run.folder(root))}
    queued = _still_queued(cluster, root, list(unfinished.values()))
    for run in handover.runs:
        check_same(run.folder(root), run)
    new = {name: run for name, run in unfinished.items() if key_of(run) not in queued}
    if len(new) < len(unfinished):
        print(f"{len(unfinished) - len(new)} of {len(unfinished)} runs are in the queue already")
    if new:
        storing = [job for job in queued.values() if job.name == FEATURES]
        queued.update(_submit(cluster, handover, python, new, storing))
    return queued


def _submit(cluster: Cluster, handover: Handover, python: Sequence[str], runs: Mapping[str, Run],
            storing: Sequence[Submitted]) -> dict[Name, Submitted]:
    """New jobs of runs, and one that stores frozen layers for them; none stays when this fails.

    Args:
        runs: by their places in the hand-over, which are the names of their jobs.
        storing: jobs of earlier commands that store; where these do so for all runs, no other does.
    """
    root = handover.setting.runs / "slurm"
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=root))
    write_handover(folder / HANDOVER, handover)
    title = f"{handover.setting.task.name}-{handover.setting.prepared.name}"
    jobs: dict[str, Submitted] = {}            # by FEATURES, or the folder of the run

    def submit(names: Mapping[str, str], after: Sequence[str]) -> None:
        commands = [[*python, "-m", "layerwise.job", str(folder), name] for name in names.values()]
        ids = cluster.submit(folder / "submitit", title, commands, after)
        jobs.update({place: Submitted(number, folder, name)
                     for number, (place, name) in zip(ids, names.items())})
        write_json(folder / SUBMITTED, {place: [job.id, job.name] for place, job in jobs.items()})

    run_names = {str(run.folder(handover.setting.runs)): name for name, run in runs.items()}
    after = [job.id for job in storing]
    stored_for = {key_of(run) for job in storing for run in _shared(job, list(runs.values()))}
    try:
        if handover.storing and not stored_for.issuperset(map(key_of, runs.values())):
            submit({FEATURES: FEATURES}, after)
            after = [jobs[FEATURES].id]
        submit(run_names, after)
    except InputError:
        if jobs:
            cluster.cancel([job.id for job in jobs.values()])
        raise
    first = next(job for place, job in jobs.items() if place in run_names)
    print(f"submitted {len(runs)} runs as Slurm job {first.id.partition('_')[0]}; logs and "
          f"outcomes in {folder}")
    return {key_of(runs[job.name]) if place in run_names else job.id: job
            for place, job in jobs.items()}


def _shared(job: Submitted, runs: Sequence[Run]) -> list[Run]:
    """Those of the runs that a job's submission has too, with the same settings."""
    theirs = {(each["init"], each["fraction"], each["seed"]): each for each in job.runs}
    return [run for run in runs
            if key_of(run) in theirs and not difference(theirs[key_of(run)], run)]


def _still_queued(cluster: Cluster, root: Path, runs: Sequence[Run]) -> dict[Name, Submitted]:
    """The jobs of earlier commands that may still finish some of these runs, or store for them.

    Raises InputError for one that has a run with other settings, and when Slurm does not answer.
    """
    wanted = {str(run.folder(root)): run for run in runs}
    known = [(place, Submitted(number, path.parent, name))
             for path in sorted((root / "slurm").glob(f"*/{SUBMITTED}")) if wanted
             for place, (number, name) in read_json(path).items()
             if place in wanted or place == FEATURES]
    states = cluster.states([job.id for _, job in known]) if known else {}
    if states is None:
        raise InputError("Slurm does not answer; jobs of an earlier command may still run")
    found: dict[Name, Submitted] = {}
    for place, job in known:
        if states.get(job.id) not in LIVE:
            continue
        if place == FEATURES:
            if _shared(job, runs):
                found[job.id] = job
            continue
        told = difference(job.runs[int(job.name)], wanted[place])
        if told:
            raise InputError(
                f"{place}: Slurm job {job.id} of an earlier command makes this run with {told}: "
                f"choose another --runs folder, or stop it (scancel {job.id}) and delete this one")
        found[key_of(wanted[place])] = job
    return found


def _follow(cluster: Cluster, handover: Handover, queued: Mapping[Name, Submitted],
            stopping: threading.Event) -> dict[Key, str]:
    """Errors of the runs, "" where there is none, when all jobs have ended."""
    root = handover.setting.runs
    runs = {key_of(run): (run, cost) for run, cost in zip(handover.runs, handover.costs)}
    display = Display(handover.setting.task.name, {
        key: (cost, work_done(run.folder(root), cost))
        for key, (run, cost) in runs.items() if key in queued},
        handover.storing if any(isinstance(key, str) for key in queued) else 0.0, len(queued))
    watch = _Watch(cluster, queued)
    errors: dict[Key, str] = {}
    stored: dict[Name, int] = {}
    try:
        while watch.pending:
            if stopping.is_set():
                _cancel(cluster, [job.id for job in watch.pending.values()])
                raise Interrupted("stopped on request, jobs cancelled; the same command resumes")
            for key, error in watch.look():
                if isinstance(key, str):
                    if not any(isinstance(left, str) for left in watch.pending):
                        display.stored_all()
                    if error:
                        print(f"frozen layers are not stored, each run computes them: {error}")
                    continue
                errors[key] = error
                display.on_event(runs[key][0], {"ended": "failed" if error else "scored"})
                display.say(f"{title_of(runs[key][0]):32s} {error or 'scored'}")
            for key, job in watch.pending.items():
                if isinstance(key, str):
                    stored[key] = _show_stored(display, job, stored.get(key, 0))
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
