"""Choice of the BLAS kernel: by the processor's flags, verified, remembered.

Debian 11's OpenBLAS 0.3.13 is older than many processors; on one it does not know it falls back to
kernels several times slower than those it has. OPENBLAS_CORETYPE overrides its choice, and the
flags say which kernels can run. Because a forced kernel is on nobody's list of tested
combinations, each is first compared with float64 in a child process (`layerwise.blas_check`).
"""
from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from layerwise.cache import path_of, remember
from layerwise.contracts import json_or_empty
from layerwise.errors import InputError, LayerwiseError

CHECK = 2                  # raise it when what is checked or how it is judged changes
CHECK_TIMEOUT_S = 120
CRASHES = (signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGABRT)
AVX512 = frozenset({"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"})

# Kernels of OpenBLAS 0.3.13, fastest first: flags they need, and the vendor they are for. AVX-512
# kernels are for Intel only: measured on an AMD EPYC of family 25, Zen's AVX2 kernel is faster.
KERNELS: tuple[tuple[str, frozenset[str], Optional[str]], ...] = (
    ("SkylakeX", AVX512, "GenuineIntel"),
    ("Zen", frozenset({"avx2", "fma"}), "AuthenticAMD"),
    ("Haswell", frozenset({"avx2", "fma"}), None),
    ("Sandybridge", frozenset({"avx"}), None),
    ("Nehalem", frozenset({"sse4_2"}), None),
)


@dataclass(frozen=True)
class Processor:
    """What /proc/cpuinfo says of the first processor; empty on other systems."""

    vendor: str
    model: str
    flags: frozenset[str]


@dataclass(frozen=True)
class BlasChoice:
    """The BLAS that Caffe will run with.

    `kernel` is a value for OPENBLAS_CORETYPE, or None when the library is left to choose;
    `checked` says that its results were found right; `gflops` is the speed of one AlexNet-sized
    sgemm with `threads` threads; `rejected` names the kernels that were tried before it, and why.
    """

    kernel: Optional[str]
    threads: int
    gflops: Optional[float]
    checked: bool
    library: str
    rejected: tuple[str, ...] = ()


def choose(threads: int, afresh: bool = False) -> BlasChoice:
    """The fastest kernel that computes rightly on this machine with `threads` threads.

    Takes some seconds once; the verdict is kept in the user's cache for this processor, library
    file and number of threads, and made again when `afresh`. It is not kept when a faster kernel's
    check ended through no fault of the kernel: it took too long, or was killed for want of memory.
    OPENBLAS_CORETYPE, when set, is the only candidate.

    Raises:
        InputError: `threads` < 1, or the kernel in OPENBLAS_CORETYPE is missing or wrong.
        LayerwiseError: no kernel computes rightly.
    """
    if threads < 1:
        raise InputError(f"{threads} BLAS threads; at least 1 is needed")
    library = _ask("where", None, threads)
    if library.get("file") is None:
        return BlasChoice(None, threads, None, False, library.get("died", "no Caffe found"))
    wanted = os.environ.get("OPENBLAS_CORETYPE") or None
    processor = read_processor()
    remembered = _cache_file(library, processor, wanted, threads)
    choice = None if afresh else _read_choice(remembered)
    if choice is None:
        choice, lasting = _search(library, candidates(processor), wanted, threads)
        if lasting:
            remember(remembered, asdict(choice))
    return choice


def environment_for(choice: BlasChoice) -> dict[str, str]:
    """Variables for the environment of a process that is to load Caffe with this choice."""
    threads = str(choice.threads)
    variables = {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads,
                 "MKL_NUM_THREADS": threads}
    if choice.kernel is not None:
        variables["OPENBLAS_CORETYPE"] = choice.kernel
    return variables


def read_processor(path: Path = Path("/proc/cpuinfo")) -> Processor:
    """The first processor of a cpuinfo file; empty fields where there is none."""
    fields: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return Processor(fields.get("vendor_id", ""), fields.get("model name", ""),
                     frozenset(fields.get("flags", fields.get("Features", "")).split()))


def candidates(processor: Processor) -> tuple[str, ...]:
    """Kernels whose flags the processor has, fastest first."""
    return tuple(name for name, flags, vendor in KERNELS
                 if flags <= processor.flags and vendor in (None, processor.vendor))


def _search(library: Mapping[str, Any], names: tuple[str, ...], wanted: str | None,
            threads: int) -> tuple[BlasChoice, bool]:
    """The first right one of `wanted` alone, or of `names` and then the library's own choice.

    The second value says whether the kernels themselves are why those before it were rejected.
    """
    openblas = library["openblas"]
    title = f"OpenBLAS {openblas}" if openblas else str(library["file"])
    kernels: tuple[str | None, ...] = (None,)
    if openblas:
        kernels = (wanted,) if wanted else (*names, None)
    rejected: list[str] = []
    lasting = True
    for kernel in kernels:
        answer = _ask("check", kernel, threads)
        fault = _fault(kernel, answer)
        if fault is None:
            return BlasChoice(kernel, threads, round(float(answer["gflops"]), 1), True, title,
                              tuple(rejected)), lasting
        lasting = lasting and answer.get("lasting", True)
        rejected.append(f"{kernel or 'its own choice'}: {fault}")
    if wanted:
        raise InputError(f"OPENBLAS_CORETYPE={rejected[0]}; unset it to let layerwise choose")
    raise LayerwiseError(f"{title} computes wrongly on this processor ({'; '.join(rejected)}); "
                         "Caffe needs another BLAS")


def _fault(kernel: str | None, answer: Mapping[str, Any]) -> str | None:
    """What is wrong with a checked kernel; None when nothing is."""
    if "died" in answer:
        return f"crashed ({answer['died']})"
    if kernel is not None and str(answer["kernel"]).lower() != kernel.lower():
        return f"not in this library, which took {answer['kernel']}"
    if answer["error"] is None or not answer["error"] <= 1:
        return f"wrong results (error {answer['error']} of the rounding bound)"
    return None


def _ask(verb: str, kernel: str | None, threads: int) -> Mapping[str, Any]:
    """The answer of layerwise.blas_check in an environment of its own.

    Or {"died": why, "lasting": whether it would die again, for the kernel has crashed}.
    """
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    environment.update(environment_for(BlasChoice(kernel, threads, None, False, "")))
    package = str(Path(__file__).resolve().parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(
        [package, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        child = subprocess.run([sys.executable, "-m", "layerwise.blas_check", verb],
                               env=environment, capture_output=True, text=True,
                               timeout=CHECK_TIMEOUT_S)
        if child.returncode == 0:
            answer: Mapping[str, Any] = json.loads(child.stdout)
            return answer
        last = child.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"died": f"exit code {child.returncode}, {last[0]}",
                "lasting": -child.returncode in CRASHES}
    except subprocess.TimeoutExpired:
        return {"died": f"no answer within {CHECK_TIMEOUT_S} s", "lasting": False}
    except ValueError:
        return {"died": "no answer", "lasting": False}


def _cache_file(library: Mapping[str, Any], processor: Processor, wanted: str | None,
                threads: int) -> Path:
    contents = hashlib.sha256(Path(library["file"]).read_bytes()).hexdigest()
    return path_of("blas", [CHECK, processor.vendor, processor.model, sorted(processor.flags),
                            wanted, threads, contents])


def _read_choice(path: Path) -> BlasChoice | None:
    fields = json_or_empty(path)
    try:
        return BlasChoice(**{**fields, "rejected": tuple(fields["rejected"])})
    except (TypeError, KeyError):
        return None   # not there, or of another version: check again
