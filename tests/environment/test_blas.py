"""Choice of the BLAS kernel: order, fall-back, memory, and a real check of Caffe's own BLAS."""
from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from layerwise import blas, blas_check
from layerwise.errors import InputError, LayerwiseError

INTEL = blas.Processor("GenuineIntel", "new", blas.AVX512 | {"avx2", "fma", "avx", "sse4_2"})
AMD = blas.Processor("AuthenticAMD", "new", blas.AVX512 | {"avx2", "fma", "avx", "sse4_2"})
Check = Callable[[Optional[str], int], Mapping[str, Any]]


@pytest.fixture()
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str | None]]:
    """A machine with OpenBLAS whose checks answer as told; gives the kernels checked."""
    library = tmp_path / "libopenblas.so"
    library.write_bytes(b"a library")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    monkeypatch.setattr(blas, "read_processor", lambda: INTEL)

    def make(check: Check, openblas: str | None = "0.3.13") -> list[str | None]:
        asked: list[str | None] = []

        def ask(verb: str, kernel: str | None, threads: int) -> Mapping[str, Any]:
            if verb == "where":
                return {"file": str(library), "openblas": openblas}
            asked.append(kernel)
            return check(kernel, threads)

        monkeypatch.setattr(blas, "_ask", ask)
        return asked

    return make


def right(kernel: str | None, threads: int) -> Mapping[str, Any]:
    """An answer of a kernel that computes rightly."""
    return {"error": 0.3, "kernel": kernel or "Prescott", "gflops": 50.04}


@pytest.mark.parametrize("processor, expected", [
    (INTEL, ("SkylakeX", "Haswell", "Sandybridge", "Nehalem")),
    (AMD, ("Zen", "Haswell", "Sandybridge", "Nehalem")),
    (blas.Processor("GenuineIntel", "", frozenset({"avx512f", "avx2", "fma", "avx"})),
     ("Haswell", "Sandybridge")),     # AVX-512 without the extensions that the kernels use
    (blas.Processor("GenuineIntel", "", frozenset({"sse4_2"})), ("Nehalem",)),
    (blas.Processor("", "", frozenset({"asimd"})), ()),
])
def test_candidates_follow_the_flags(processor: blas.Processor,
                                     expected: tuple[str, ...]) -> None:
    assert blas.candidates(processor) == expected


def test_processor_is_the_first_one(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: One\n"
                       "flags\t\t: fpu avx\n\nprocessor\t: 1\nmodel name\t: Two\nflags\t\t: fpu\n")
    assert blas.read_processor(cpuinfo) == blas.Processor("GenuineIntel", "One",
                                                          frozenset({"fpu", "avx"}))
    assert blas.read_processor(tmp_path / "none") == blas.Processor("", "", frozenset())


def test_fastest_right_kernel_is_taken(machine: Callable[..., Any]) -> None:
    asked = machine(right)
    assert blas.choose(2) == blas.BlasChoice("SkylakeX", 2, 50.0, True, "OpenBLAS 0.3.13")
    assert asked == ["SkylakeX"]


@pytest.mark.parametrize("answer, reason", [
    ({"error": 1.5, "kernel": "SkylakeX", "gflops": 9.0}, "wrong results"),
    ({"error": None, "kernel": "SkylakeX", "gflops": 9.0}, "wrong results"),
    ({"died": "exit code -4, no message", "lasting": True}, "crashed (exit code -4"),
    ({"error": 0.1, "kernel": "Prescott", "gflops": 9.0}, "took Prescott"),
])
def test_falls_back_until_one_is_right(machine: Callable[..., Any], answer: dict[str, Any],
                                       reason: str) -> None:
    asked = machine(lambda kernel, threads:
                    answer if kernel == "SkylakeX" else right(kernel, threads))
    choice = blas.choose(1)
    assert (choice.kernel, asked) == ("Haswell", ["SkylakeX", "Haswell"])
    assert len(choice.rejected) == 1
    assert choice.rejected[0].startswith("SkylakeX: ") and reason in choice.rejected[0]


def test_the_librarys_own_choice_comes_last(machine: Callable[..., Any]) -> None:
    asked = machine(lambda kernel, threads:
                    {"died": "x", "lasting": True} if kernel else right(kernel, threads))
    assert blas.choose(1).kernel is None
    assert asked == ["SkylakeX", "Haswell", "Sandybridge", "Nehalem", None]


def test_no_right_kernel_is_an_error(machine: Callable[..., Any]) -> None:
    machine(lambda kernel, threads: {"died": "illegal instruction", "lasting": True})
    with pytest.raises(LayerwiseError, match="computes wrongly .*own choice: crashed"):
        blas.choose(1)


def test_the_users_kernel_is_respected_and_checked(machine: Callable[..., Any],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Sandybridge")
    asked = machine(right)
    assert (blas.choose(1).kernel, asked) == ("Sandybridge", ["Sandybridge"])

    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nosuch")
    machine(lambda kernel, threads: {**right(kernel, threads), "kernel": "Prescott"})
    with pytest.raises(InputError, match="OPENBLAS_CORETYPE=Nosuch: not in this library"):
        blas.choose(1)


def test_the_verdict_is_remembered_per_library_and_threads(
        machine: Callable[..., Any], tmp_path: Path) -> None:
    asked = machine(right)
    first = blas.choose(1)
    assert blas.choose(1) == first and asked == ["SkylakeX"]
    blas.choose(1, afresh=True)
    assert len(asked) == 2
    blas.choose(2)
    assert len(asked) == 3
    (tmp_path / "libopenblas.so").write_bytes(b"another library")
    blas.choose(1)
    assert len(asked) == 4


@pytest.mark.parametrize("fault, second", [
    ("kill -KILL $$", "SkylakeX"),         # for want of memory
    ("exec sleep 60", "SkylakeX"),         # on a machine that is overloaded
    ("echo MemoryError >&2; exit 1", "SkylakeX"),
    ("kill -ILL $$", "Haswell"),
    ("kill -SEGV $$", "Haswell"),
    ('''echo '{"error": 9.0, "kernel": "SkylakeX", "gflops": 9.0}'; exit''', "Haswell"),
], ids=["killed", "too slow", "no memory", "illegal instruction", "segmentation fault", "wrong"])
def test_only_a_rejection_that_is_the_kernels_own_is_remembered(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, second: str) -> None:
    library, broken, python = (tmp_path / name for name in ("libopenblas.so", "broken", "python"))
    library.write_bytes(b"a library")
    broken.touch()
    python.write_text(f"""#!/bin/sh
if [ "$3" = where ]; then echo '{{"file": "{library}", "openblas": "0.3.13"}}'; exit; fi
ulimit -c 0
if [ "$OPENBLAS_CORETYPE" = SkylakeX ] && [ -e "{broken}" ]; then {fault}; fi
echo '{{"error": 0.3, "kernel": "'$OPENBLAS_CORETYPE'", "gflops": 50.0}}'
""")
    python.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    monkeypatch.setattr(blas, "read_processor", lambda: INTEL)
    monkeypatch.setattr(blas, "CHECK_TIMEOUT_S", 5)
    monkeypatch.setattr(sys, "executable", str(python))
    first = blas.choose(1)
    assert first.kernel == "Haswell" and len(first.rejected) == 1
    broken.unlink()
    assert [blas.choose(1).kernel for _ in range(2)] == [second, second]


def test_a_killed_check_does_not_replace_the_verdict(machine: Callable[..., Any]) -> None:
    machine(right)
    first = blas.choose(1)
    machine(lambda kernel, threads: {"died": "killed", "lasting": False}
            if kernel == "SkylakeX" else right(kernel, threads))
    assert blas.choose(1, afresh=True).kernel == "Haswell"
    assert blas.choose(1) == first


@pytest.mark.parametrize("contents", ["", "{}", '{"kernel": "SkylakeX", "surprise": 1}', "[1]"])
def test_a_spoilt_memory_is_checked_again(machine: Callable[..., Any], tmp_path: Path,
                                          contents: str) -> None:
    asked = machine(right)
    blas.choose(1)
    (remembered,) = (tmp_path / "cache" / "layerwise").iterdir()
    remembered.write_text(contents)
    assert blas.choose(1).kernel == "SkylakeX" and len(asked) == 2
    assert json.loads(remembered.read_text())["kernel"] == "SkylakeX"


def test_an_unwritable_cache_is_no_obstacle(machine: Callable[..., Any], tmp_path: Path) -> None:
    machine(right)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert blas.choose(1).kernel == "SkylakeX"


def test_another_blas_is_left_alone(machine: Callable[..., Any]) -> None:
    asked = machine(lambda kernel, threads: {"error": 0.1, "kernel": None, "gflops": 9.0},
                    openblas=None)
    choice = blas.choose(3)
    assert asked == [None]
    assert choice.kernel is None and choice.checked and choice.library.endswith("libopenblas.so")
    assert "OPENBLAS_CORETYPE" not in blas.environment_for(choice)


def test_threads_have_to_be_positive() -> None:
    with pytest.raises(InputError, match="0 BLAS threads"):
        blas.choose(0)


def test_environment_names_kernel_and_threads() -> None:
    choice = blas.BlasChoice("Haswell", 3, 50.0, True, "OpenBLAS 0.3.13")
    assert blas.environment_for(choice) == {
        "OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3"}


def test_a_dead_child_is_an_answer() -> None:
    assert "cannot dance" in blas._ask("dance", None, 1)["died"]


def real_library() -> ctypes.CDLL:
    """Caffe's own BLAS."""
    library = blas_check.load_blas()
    assert library is not None, "no Caffe: the tests run through environment/run"
    return library


def test_the_real_blas_is_found_and_right() -> None:
    library = real_library()
    found = blas_check.where(library)
    assert found["openblas"] and Path(found["file"]).is_file()
    answer = blas_check.check(library)
    assert 0 < answer["error"] <= 1
    assert answer["kernel"] and answer["gflops"] > 0


class Spoilt(ctypes.CDLL):
    """The real BLAS, one function of which gives its results to `spoil` before returning."""

    def __init__(self, name: str, spoil: Callable[..., Any]) -> None:
        super().__init__(str(blas_check.caffe_library()))
        self.spoilt, self.spoil = name, spoil

    def __getattr__(self, name: str) -> Any:
        function = super().__getattr__(name)
        if name != self.spoilt:
            return function

        def call(*arguments: Any) -> Any:
            return self.spoil(function(*arguments), *arguments)

        setattr(self, name, call)
        return call


def floats(pointer: Any, count: int) -> np.ndarray:
    """The float32 array behind a pointer."""
    return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (count,))


def test_one_wrong_element_of_a_product_is_seen() -> None:
    def spoil(result: Any, *arguments: Any) -> Any:
        m, columns = arguments[3], arguments[13]
        floats(arguments[12], m * columns)[(m - 1) * columns] += 1.0   # last row, first column
        return result

    assert blas_check.check(Spoilt("cblas_sgemm", spoil))["error"] > 1


def test_a_write_beyond_the_product_is_seen() -> None:
    def spoil(result: Any, *arguments: Any) -> Any:
        n = arguments[4]
        floats(arguments[12], n + 1)[n] = 0.0
        return result

    assert blas_check.check(Spoilt("cblas_sgemm", spoil))["error"] is None


def test_half_precision_is_seen() -> None:
    def spoil(result: Any, *arguments: Any) -> Any:
        m, n, columns = arguments[3], arguments[4], arguments[13]
        c = floats(arguments[12], m * columns).reshape(m, columns)[:, :n]
        c[:] = c.astype(np.float16)
        return result

    assert blas_check.check(Spoilt("cblas_sgemm", spoil))["error"] > 1


def test_a_wrong_matrix_vector_product_is_seen() -> None:
    def spoil(result: Any, *arguments: Any) -> Any:
        floats(arguments[10], 1)[0] *= 1.01
        return result

    assert blas_check.check(Spoilt("cblas_sgemv", spoil))["error"] > 1
