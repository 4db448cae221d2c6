"""Caffe's solver of a run, with the networks that feed it and that judge it."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from layerwise.runs import TAIL_FROZEN, TAIL_SOLVER


class Trainer:
    """The solver of a run folder, and the frozen part of its tail in a network of its own, if any.

    Attributes:
        solver: caffe.SGDSolver.
    """

    def __init__(self, folder: Path, source: Path | None, tail: bool, resumed: bool) -> None:
        """Fill the networks from the source weights, unless a saved state will fill the tuned part.

        A tail is filled from the whole network, which draws the same random numbers as if it were
        trained itself; the tail draws none. So both start alike and drop the same units.
        """
        import caffe

        self._frozen: Any = None
        if not tail:
            self.solver = caffe.SGDSolver(str(folder / "solver.prototxt"))
            if source is not None and not resumed:
                self.solver.net.copy_from(str(source))
            return
        self.solver = caffe.SGDSolver(str(folder / TAIL_SOLVER))
        if not resumed:
            whole = caffe.SGDSolver(str(folder / "solver.prototxt"))
            whole.net.copy_from(str(source))
            for name, blobs in self.solver.net.params.items():
                for blob, filled in zip(blobs, whole.net.params[name]):
                    blob.data[...] = filled.data
        if (folder / TAIL_FROZEN).exists():
            self._frozen = caffe.Net(str(folder / TAIL_FROZEN), caffe.TRAIN, weights=str(source))
            self._fed = self._frozen.blobs.keys() & self.solver.net.blobs.keys()

    def step(self) -> float:
        """One iteration; its loss."""
        if self._frozen is not None:
            self._frozen.forward()
            for name in self._fed:
                self.solver.net.blobs[name].data[...] = self._frozen.blobs[name].data
        self.solver.step(1)
        return float(self.solver.net.blobs["loss"].data)

    def skip_batch(self) -> None:
        """Read one batch and forget it."""
        feeding = self.solver.net if self._frozen is None else self._frozen
        feeding.forward(end="data")

    def judge(self, deploy: Path) -> Any:
        """A TEST network of this prototxt that shares the trained weights."""
        import caffe

        net = caffe.Net(str(deploy), caffe.TEST)
        for part in (self._frozen, self.solver.net):
            if part is not None:
                net.share_with(part)
        return net
