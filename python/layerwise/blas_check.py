"""The child process that checks the BLAS of Caffe: `python3 -m layerwise.blas_check where|check`.

OpenBLAS picks its kernel when it is loaded, so every kernel needs a process of its own, which may
also crash. The functions are called as Caffe calls them, in the library that Caffe is linked to,
and compared with float64 sums made without any BLAS. The answer is one JSON object on stdout.
"""
from __future__ import annotations

import ctypes
import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112   # cblas.h
SAMPLE = 12            # rows and columns of a product that are compared; the first and last always
TIMED_SECONDS = 0.25


class Product(NamedTuple):
    """C[m,n] = op(A)[m,k] op(B)[k,n] + beta C."""

    m: int
    n: int
    k: int
    a: int
    b: int
    beta: float


# What Caffe computes for layers of Table I (conv1 forward, conv2 forward, conv3 weight gradient,
# conv4 data gradient, a slice of fc6 forward and its weight gradient, fc8 forward, a bias) ...
ALEXNET = (
    Product(96, 3025, 363, PLAIN, PLAIN, 0),
    Product(128, 729, 1200, PLAIN, PLAIN, 0),
    Product(384, 2304, 169, PLAIN, TRANSPOSED, 1),
    Product(1728, 169, 192, TRANSPOSED, PLAIN, 0),
    Product(32, 1024, 2304, PLAIN, TRANSPOSED, 0),
    Product(1024, 2304, 32, TRANSPOSED, PLAIN, 1),
    Product(32, 2, 4096, PLAIN, TRANSPOSED, 0),
    Product(96, 3025, 1, PLAIN, PLAIN, 1),
)
# ... and sizes that leave a remainder in every blocking of a kernel.
ODD = tuple(Product(m, n, k, a, b, beta)
            for m, n, k in ((1, 1, 1), (3, 5, 7), (17, 33, 65), (63, 31, 129), (127, 129, 131))
            for a in (PLAIN, TRANSPOSED) for b in (PLAIN, TRANSPOSED) for beta in (0, 1))
TIMED = ALEXNET[1]


def caffe_library() -> Path | None:
    """The compiled part of pycaffe, found without importing it."""
    spec = importlib.util.find_spec("caffe")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("_caffe*.so")):
            return path
    return None


def load_blas() -> ctypes.CDLL | None:
    """A handle whose symbols resolve as they do in Caffe; None when there is no Caffe."""
    path = caffe_library()
    return ctypes.CDLL(str(path)) if path else None


def where(library: ctypes.CDLL | None) -> dict[str, Any]:
    """File of the BLAS, and its version when it is OpenBLAS."""
    if library is None or not hasattr(library, "cblas_sgemm"):
        return {"file": None, "openblas": None}
    if not hasattr(library, "openblas_get_config"):
        return {"file": _file_of(library.cblas_sgemm), "openblas": None}
    words = _text(library, "openblas_get_config").split()   # "OpenBLAS 0.3.13 DYNAMIC_ARCH ..."
    return {"file": _file_of(library.openblas_get_config),
            "openblas": words[1] if words[0] == "OpenBLAS" else "of unknown version"}


def check(library: ctypes.CDLL) -> dict[str, Any]:
    """Largest error as a multiple of the rounding bound (right: at most 1), kernel and speed."""
    rng = np.random.default_rng(1)
    errors = [*(_product_error(library, product, rng) for product in (*ODD, *ALEXNET)),
              *_vector_errors(library, rng)]
    return {"error": float(np.max(errors)) if np.all(np.isfinite(errors)) else None,
            "kernel": (_text(library, "openblas_get_corename")
                       if hasattr(library, "openblas_get_corename") else None),
            "gflops": _gflops(library, rng)}


def _text(library: ctypes.CDLL, function: str) -> str:
    call = getattr(library, function)
    call.restype, call.argtypes = ctypes.c_char_p, ()
    return str(call().decode())


def _file_of(function: Any) -> str | None:
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if first <= address < last:
            return line.split(maxsplit=5)[5]
    return None


def _pointer(array: np.ndarray) -> Any:
    return array.ctypes.data_as(ctypes.c_void_p)


def _random(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def _sgemm(library: ctypes.CDLL, p: Product, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    library.cblas_sgemm(
        ROW_MAJOR, p.a, p.b, p.m, p.n, p.k, ctypes.c_float(1), _pointer(a), a.shape[1],
        _pointer(b), b.shape[1], ctypes.c_float(p.beta), _pointer(c), c.shape[1])


def _product_error(library: ctypes.CDLL, p: Product, rng: np.random.Generator) -> float:
    a = _random(rng, *((p.m, p.k) if p.a == PLAIN else (p.k, p.m)))
    b = _random(rng, *((p.k, p.n) if p.b == PLAIN else (p.n, p.k)))
    before = _random(rng, p.m, p.n + 3)   # three columns that the product must leave alone
    c = before.copy()
    _sgemm(library, p, a, b, c)
    if not np.array_equal(c[:, p.n:], before[:, p.n:]):
        return float("inf")
    op_a, op_b = (a if p.a == PLAIN else a.T), (b if p.b == PLAIN else b.T)
    rows, columns = _sampled(rng, p.m), _sampled(rng, p.n)
    return max(
        _error(c[rows, :p.n], op_a[rows], op_b, p.beta * before[rows, :p.n]),
        _error(c[:, columns], op_a, op_b[:, columns], p.beta * before[:, columns]))


def _sampled(rng: np.random.Generator, size: int) -> np.ndarray:
    return np.unique(np.r_[0, size - 1, rng.integers(0, size, SAMPLE)])


def _error(found: np.ndarray, a: np.ndarray, b: np.ndarray, added: np.ndarray) -> float:
    """Largest |found - (a b + added)| over the bound that any order of summation keeps to."""
    a, b, added = a.astype(np.float64), b.astype(np.float64), added.astype(np.float64)
    exact = np.einsum("ik,kj->ij", a, b, optimize=False) + added
    bound = np.einsum("ik,kj->ij", abs(a), abs(b), optimize=False) + abs(added)
    bound *= (a.shape[1] + 2) * np.finfo(np.float32).eps
    return float(np.max(abs(found - exact) / bound))


def _vector_errors(library: ctypes.CDLL, rng: np.random.Generator) -> Iterator[float]:
    """gemv (bias gradients), dot and asum (norms), axpy and scal (the solver's update)."""
    one = ctypes.c_float(1)
    for m, n in ((96, 3025), (33, 65), (4096, 32)):
        a, x, y = _random(rng, m, n), _random(rng, n), _random(rng, m)
        for op, op_a, source, target in ((PLAIN, a, x, y), (TRANSPOSED, a.T, y, x)):
            found = target.copy()
            library.cblas_sgemv(ROW_MAJOR, op, m, n, one, _pointer(a), n, _pointer(source), 1,
                                one, _pointer(found), 1)
            yield _error(found[:, None], op_a, source[:, None], target[:, None])

    size = 100_003
    x, y = _random(rng, size), _random(rng, size)
    none = np.zeros((1, 1), np.float32)
    library.cblas_sdot.restype = library.cblas_sasum.restype = ctypes.c_float
    dot = library.cblas_sdot(size, _pointer(x), 1, _pointer(y), 1)
    yield _error(np.array([[dot]]), x[None], y[:, None], none)
    total = library.cblas_sasum(size, _pointer(x), 1)
    yield _error(np.array([[total]]), abs(x)[None], np.ones((size, 1)), none)
    moved = y.copy()
    library.cblas_saxpy(size, ctypes.c_float(-0.7), _pointer(x), 1, _pointer(moved), 1)
    yield _error(moved[:, None], x[:, None], np.float32([[-0.7]]), y[:, None])
    library.cblas_sscal(size, ctypes.c_float(0.3), _pointer(moved), 1)
    yield _error(moved[:, None] / np.float32(0.3), x[:, None], np.float32([[-0.7]]), y[:, None])


def _gflops(library: ctypes.CDLL, rng: np.random.Generator) -> float:
    a, b = _random(rng, TIMED.m, TIMED.k), _random(rng, TIMED.k, TIMED.n)
    c = np.zeros((TIMED.m, TIMED.n), np.float32)
    best, begin = float("inf"), time.perf_counter()
    while time.perf_counter() - begin < TIMED_SECONDS:
        start = time.perf_counter()
        _sgemm(library, TIMED, a, b, c)
        best = min(best, time.perf_counter() - start)
    return 2e-9 * TIMED.m * TIMED.n * TIMED.k / best


def main(verb: str) -> None:
    """Print the answer of `where` or `check`."""
    library = load_blas()
    if verb == "where":
        print(json.dumps(where(library)))
    elif verb == "check" and library is not None:
        print(json.dumps(check(library)))
    else:
        sys.exit(f"blas_check: cannot {verb}; is Caffe here?")


if __name__ == "__main__":
    main(sys.argv[1])
