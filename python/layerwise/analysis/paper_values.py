"""What the paper prints, as data: Fig. 9 and the supplement's Tables S1-S4.

The paper prints no sensitivity and no AUC for the detection and frame tasks, only curves and which
pairs differ. Systems are named by initialisation, as everywhere here. The text copy of Tables S1-S3
drops empty cells; a row in which the remaining cells could stand in other columns is not `certain`.
"""
from __future__ import annotations

from dataclasses import dataclass

from layerwise.analysis.systems import TEN_SYSTEMS

# Fig. 9: (mean, standard deviation) of the error in micrometres over 132 test regions.
FIG9_UM: dict[str, dict[str, tuple[float, float]]] = {
    "lumen_intima": dict(zip(TEN_SYSTEMS, (
        (100.97, 132.64), (34.67, 14.77), (27.87, 11.83), (25.32, 11.02), (25.01, 9.94),
        (24.37, 10.79), (24.71, 10.25), (24.74, 11.42), (28.11, 13.79), (98.17, 16.57)))),
    "media_adventitia": dict(zip(TEN_SYSTEMS, (
        (103.26, 58.48), (43.93, 21.79), (34.63, 14.49), (31.94, 13.13), (30.55, 11.97),
        (31.80, 11.98), (31.74, 12.37), (31.21, 12.56), (33.45, 16.17), (106.62, 21.00)))),
}


@dataclass(frozen=True)
class PaperCell:
    """One cell of Tables S1-S3: operating points at which the paper's error bars do not overlap."""

    points: tuple[float, ...]
    certain: bool


_BOTH, _HIGH, _LOW, _NONE = (0.001, 0.01), (0.01,), (0.001,), ()
_PE = (1.0, 2.0, 3.0, 4.0, 5.0)

# Rows from FT:fc7-fc8 down, cells from FT:only fc8 rightwards; missing cells at the end are empty.
_Row = tuple[str, bool, tuple[tuple[float, ...], ...]]
_S1: tuple[_Row, ...] = (
    ("fc7", True, (_BOTH,)),
    ("fc6", False, (_BOTH, _NONE)),
    ("conv5", True, (_BOTH, _BOTH, _BOTH)),
    ("conv4", False, (_BOTH, _BOTH, _BOTH, _NONE)),
    ("conv3", False, (_BOTH, _BOTH, _BOTH, _LOW, _NONE)),
    ("conv2", True, (_BOTH,) * 6),
    ("conv1", False, (*(_BOTH,) * 6, _NONE)),
    ("scratch-gaussian", True, (_BOTH, _HIGH, _BOTH, _BOTH, _BOTH, _LOW, _LOW, _BOTH)),
    ("handcrafted", True, (_BOTH,) * 9),
)
_S2: tuple[_Row, ...] = (
    ("fc7", True, ((2.0, 3.0, 4.0, 5.0),)),
    ("fc6", False, (_PE,)),
    ("conv5", False, (_PE, (1.0, 2.0))),
    ("conv4", False, (_PE, (1.0, 2.0, 3.0))),
    ("conv3", False, (_PE, (1.0, 2.0, 3.0, 5.0), (1.0,))),
    ("conv2", False, (_PE, _PE)),
    ("conv1", True, (_PE, _PE, (3.0,))),
    ("scratch-gaussian", False, (_PE, (1.0, 2.0, 3.0))),
    ("handcrafted", False, (_PE, (1.0, 2.0, 3.0, 5.0))),
)
_TWO, _ALL = (0.10, 0.15), (0.10, 0.15, 0.20)
_S3: tuple[_Row, ...] = (
    ("fc7", True, ((0.10,),)),
    ("fc6", False, ((0.10,),)),
    *((init, False, (_TWO,)) for init in ("conv5", "conv4", "conv3", "conv2", "conv1")),
    ("scratch-gaussian", False, ((0.10,), _NONE, _NONE, _TWO, _TWO, (0.15,))),
    ("handcrafted", True, ((0.20,), *(_ALL,) * 7, (0.15, 0.20))),
)


def _cells(rows: tuple[_Row, ...]) -> dict[tuple[str, str], PaperCell]:
    return {(row, column): PaperCell(cells[i] if i < len(cells) else _NONE, certain)
            for row, certain, cells in rows
            for i, column in enumerate(TEN_SYSTEMS[:TEN_SYSTEMS.index(row)])}


SIGNIFICANT: dict[str, dict[tuple[str, str], PaperCell]] = {
    "polyp": _cells(_S1), "pe": _cells(_S2), "frames": _cells(_S3)}

# The operating points that Tables S1-S3 speak of.
PRINTED_POINTS = {"polyp": _BOTH, "pe": _PE, "frames": _ALL}

# Table S4: p values as printed, by row, columns from FT:only fc8 rightwards.
_S4 = {
    "lumen_intima": """<.0001
        <.0001 <.0001
        <.0001 <.0001 <.001
        <.0001 <.0001 <.0001 .5808
        <.0001 <.0001 <.0001 .0638 .0758
        <.0001 <.0001 <.0001 .2501 .3570 .2284
        <.0001 <.0001 <.0001 .4183 .5491 .4650 .9530
        <.0001 <.0001 .7829 <.05 <.0001 <.0001 <.0001 <.0001
        .8148 <.0001 <.0001 <.0001 <.0001 <.0001 <.0001 <.0001 <.0001""",
    "media_adventitia": """<.0001
        <.0001 <.0001
        <.0001 <.0001 <.05
        <.0001 <.0001 <.0001 <.05
        <.0001 <.0001 <.05 .7904 <.05
        <.0001 <.0001 <.05 .7160 <.05 .8854
        <.0001 <.0001 <.001 .2474 .2456 .2915 .2313
        <.0001 <.0001 .3954 .2106 <.05 .1369 .0981 <.05
        .5109 <.0001 <.0001 <.0001 <.0001 <.0001 <.0001 <.0001 <.0001""",
}
S4_P: dict[str, dict[tuple[str, str], str]] = {
    interface: {(row, column): value
                for row, line in zip(TEN_SYSTEMS[1:], text.splitlines())
                for column, value in zip(TEN_SYSTEMS, line.split())}
    for interface, text in _S4.items()}
