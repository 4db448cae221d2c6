"""One job of a submitted sweep: `python3 -m layerwise.job FOLDER JOB TIMEOUTS`, on a node.

FOLDER is the submission's; JOB `features`, which stores what the runs share, or the number of a
run in handover.json. A run goes through the same function as in a sweep on one machine. TIMEOUTS
says how often the job has used up its time before: it fails when that got it nowhere.
"""
from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from layerwise import blas, features, machine
from layerwise.child import Children, Interrupted
from layerwise.device import check_gpu
from layerwise.errors import LayerwiseError
from layerwise.frozen import store_features
from layerwise.handcrafted import HANDCRAFTED
from layerwise.handover import (
    FEATURES,
    HANDOVER,
    Handover,
    check_progress,
    read_handover,
    write_outcome,
)
from layerwise.kept import parts_of
from layerwise.plan import Setting, environment
from layerwise.runs import STATE, Run, is_trained, read_json
from layerwise.sweep import score_run, told


def main(arguments: Sequence[str]) -> int:
    """Do the job and write its outcome, unless it was stopped: then it can be started again."""
    folder, job, timeouts = Path(arguments[0]), arguments[1], int(arguments[2])
    children = Children()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: children.stop())
    try:
        handover = read_handover(folder / HANDOVER)
        check_progress(folder, job, _stage(handover, job), timeouts)
        setting = _on_this_node(handover.setting)
        if job == FEATURES:
            _store(handover, setting, children)
        else:
            run = replace(handover.runs[int(job)], environment=environment(setting.blas))
            score_run(setting, run, children, _tell)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return stopped.exit_code
    except Exception as error:
        why = told(error, folder / f"{job}.error.log")
        print(why, file=sys.stderr)
        write_outcome(folder, job, why)
        return LayerwiseError.exit_code
    write_outcome(folder, job, "")
    return 0


def _stage(handover: Handover, job: str) -> str:
    """What a job begins with; the same words again when nothing was saved since it last began."""
    setting = handover.setting
    if job == FEATURES:
        stored = features.stored_sets(setting.prepared / "features")
        return f"storing activations (sets done: {stored})"
    run, cost = handover.runs[int(job)], handover.costs[int(job)]
    folder = run.folder(setting.runs)
    if run.init == HANDCRAFTED:
        return "the handcrafted system"
    if is_trained(folder):
        return f"scoring {cost.test_patches} patches (parts done: {parts_of(folder)})"
    state = folder / STATE
    iteration = read_json(state)["iteration"] if state.exists() else 0
    return f"training (iteration {iteration} of {run.iterations})"


def _on_this_node(setting: Setting) -> Setting:
    """The setting with the BLAS kernel of this node's processor."""
    if setting.gpu is not None:
        check_gpu(setting.gpu)
    return replace(setting, blas=blas.environment_for(blas.choose(setting.threads)))


def _store(handover: Handover, setting: Setting, children: Children) -> None:
    done = 0

    def on_event(patches: int, total: int) -> None:
        nonlocal done
        done += patches
        print(f"{done} of {total} patches", flush=True)

    jobs = 1 if setting.gpu is not None else max(1, machine.cores() // setting.threads)
    store_features(setting, handover.runs, jobs, children, on_event)


def _tell(run: Run, event: Mapping[str, Any]) -> None:
    """Events go into the job's log."""
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
