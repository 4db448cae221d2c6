"""The paper's claims as data, each with what would have to be measured to decide it.

A claim is one or more contrasts that must all hold. A contrast is a signed sum of systems'
sensitivities at an operating point (for boundaries: of mean errors, negated, so that more is better
in both); it is written (plus systems, minus systems), each system (init, percent).

kind      the contrast must be
higher    above 0
equal     within +-margin of 0
not lower above -margin
sooner    (convergence) plus reaches its own plateau in AUC in fewer iterations than minus its own

rule      of the operating points, it must be so
mean      of the mean over them
all, most, any   at each, at more than half, at one or more: where the paper says so
"""
from __future__ import annotations

from dataclasses import dataclass

SystemKey = tuple[str, int]
SENSITIVITY_MARGIN = 0.05   # what "performs on par" may hide
SENSITIVITY_FLOOR = 4 * SENSITIVITY_MARGIN  # below it, being on par within the margin says nothing
CHANCE_MARGIN = 0.10        # how far above chance a system must be for its fall to be measured
ERROR_MARGIN_UM = 5.0       # a fifth of the paper's smallest mean error

FINE_TUNED = ("fc8", "fc7", "fc6", "conv5", "conv4", "conv3", "conv2", "conv1")
SCRATCH = "scratch-gaussian"


@dataclass(frozen=True)
class Contrast:
    """Sum over `plus` minus the sum over `minus`, both of the same length."""

    plus: tuple[SystemKey, ...]
    minus: tuple[SystemKey, ...]


@dataclass(frozen=True)
class Claim:
    """One claim; `points` empty means those of the paper's table (Task.operating_points).

    falls: the claim is about what less data costs, and cannot be evaluated with a system that is
    at chance with all of it: it has nothing to lose. converged: the claim is about converged
    networks, and cannot be evaluated while one may still improve or is near chance.
    """

    name: str
    task: str
    section: str
    text: str
    kind: str
    contrasts: tuple[Contrast, ...]
    points: tuple[float, ...] = ()
    rule: str = "mean"
    falls: bool = False
    converged: bool = False


def _over(better: str, worse: str, fraction: int = 100) -> Contrast:
    return Contrast(((better, fraction),), ((worse, fraction),))


def _all_over(better: tuple[str, ...], worse: tuple[str, ...]) -> tuple[Contrast, ...]:
    return tuple(_over(high, low) for high in better for low in worse)


def _drop(init: str, fraction: int) -> Contrast:
    """100% against less data."""
    return Contrast(((init, 100),), ((init, fraction),))


def _gap_growth(fraction: int) -> Contrast:
    """How much more conv1 leads at `fraction` percent of the data than at 100%."""
    return Contrast((("conv1", fraction), (SCRATCH, 100)), ((SCRATCH, fraction), ("conv1", 100)))


_LOW_FP = (0.001, 0.01)
_A, _B, _C, _D = "VI-A", "VI-B", "VI-C", "VI-D"

CLAIMS = (
    Claim("polyp-handcrafted", "polyp", _A, "every CNN outperforms the handcrafted approach",
          "higher", _all_over((*FINE_TUNED, SCRATCH), ("handcrafted",))),
    Claim("polyp-only-fc8", "polyp", _A, "only fc8 is the lowest of the fine-tuned networks",
          "higher", _all_over(FINE_TUNED[1:], ("fc8",))),
    Claim("polyp-fc7", "polyp", _A, "fc7-fc8 is more sensitive than only fc8 at nearly all points",
          "higher", _all_over(("fc7",), ("fc8",)), rule="most"),
    Claim("polyp-moderate", "polyp", _A, "conv5, conv4 and conv3 outperform fc7-fc8 at most points",
          "higher", _all_over(("conv5", "conv4", "conv3"), ("fc7",)), rule="most"),
    Claim("polyp-deep", "polyp", _A, "conv1 and conv2 outperform conv5, conv4 and conv3, "
          "particularly at low false-positive rates", "higher",
          _all_over(("conv1", "conv2"), ("conv5", "conv4", "conv3")), _LOW_FP),
    Claim("polyp-late-conv", "polyp", _A, "fine-tuning the last few convolutional layers (conv4) "
          "outperforms scratch at low false-positive rates", "higher",
          _all_over(("conv4",), (SCRATCH,)), _LOW_FP),
    Claim("polyp-gap-50", "polyp", _A, "the lead of conv1 over scratch grows at 50% of the data",
          "higher", (_gap_growth(50),), falls=True),
    Claim("polyp-gap-25", "polyp", _A, "the lead of conv1 over scratch grows at 25% of the data",
          "higher", (_gap_growth(25),), falls=True),
    Claim("pe-fc7", "pe", _B, "fc7-fc8 is more sensitive than only fc8 at most points",
          "higher", _all_over(("fc7",), ("fc8",)), rule="most"),
    Claim("pe-deep-fc7", "pe", _B, "conv1 is more sensitive than fc7-fc8 at the majority of points",
          "higher", _all_over(("conv1",), ("fc7",)), rule="most"),
    Claim("pe-deep-fc6", "pe", _B, "conv1 is more sensitive than fc6-fc8 at 3 FP/volume", "higher",
          _all_over(("conv1",), ("fc6",)), (3.0,)),
    Claim("pe-handcrafted", "pe", _B, "conv1 and the handcrafted approach do not differ", "equal",
          _all_over(("conv1",), ("handcrafted",))),
    Claim("pe-scratch", "pe", _B, "conv1 performs on a par with scratch", "equal",
          _all_over(("conv1",), (SCRATCH,))),
    Claim("pe-50", "pe", _B, "conv1 outperforms scratch at 50% of the data at all points",
          "higher", (_over("conv1", SCRATCH, 50),), rule="all"),
    Claim("pe-25", "pe", _B, "conv1 outperforms scratch at 25% of the data at most points",
          "higher", (_over("conv1", SCRATCH, 25),), rule="most"),
    Claim("frames-handcrafted", "frames", _C, "every CNN outperforms the handcrafted approach at "
          "at least one point", "higher", _all_over((*FINE_TUNED, SCRATCH), ("handcrafted",)),
          rule="any"),
    Claim("frames-moderate-shallow", "frames", _C, "conv4 and conv5 outperform only fc8", "higher",
          _all_over(("conv4", "conv5"), ("fc8",))),
    Claim("frames-moderate-deep", "frames", _C, "conv4 and conv5 are superior to conv1 at 10% and "
          "15% false positives", "higher", _all_over(("conv4", "conv5"), ("conv1",)), (0.10, 0.15),
          rule="all"),
    Claim("frames-scratch-shallow", "frames", _C, "scratch outperforms only fc8", "higher",
          _all_over((SCRATCH,), ("fc8",))),
    Claim("frames-moderate-scratch", "frames", _C, "conv5 outperforms scratch", "higher",
          _all_over(("conv5",), (SCRATCH,))),
    Claim("frames-10", "frames", _C, "10% of the data costs neither conv1 nor scratch much",
          "equal", (_drop("conv1", 10), _drop(SCRATCH, 10)), falls=True),
    Claim("frames-less", "frames", _C, "5% and 1% of the data hurt scratch more than conv1",
          "higher", (_gap_growth(5), _gap_growth(1)), falls=True),
    Claim("cimt-only-fc8", "cimt", _D, "only fc8 is comparable to the handcrafted approach",
          "equal", _all_over(("fc8",), ("handcrafted",))),
    Claim("cimt-fc7", "cimt", _D, "fc7-fc8 has a smaller error than only fc8", "higher",
          _all_over(("fc7",), ("fc8",))),
    Claim("cimt-fc6", "cimt", _D, "fc6-fc8 has a smaller error than fc7-fc8", "higher",
          _all_over(("fc6",), ("fc7",))),
    Claim("cimt-deep-fc6", "cimt", _D, "conv1 has a smaller error than fc6-fc8", "higher",
          _all_over(("conv1",), ("fc6",))),
    Claim("cimt-flat", "cimt", _D, "the error is flat from conv5 on", "equal",
          _all_over(("conv4", "conv3", "conv2", "conv1"), ("conv5",))),
    Claim("cimt-scratch", "cimt", _D, "conv1 has a smaller error than scratch", "higher",
          _all_over(("conv1",), (SCRATCH,))),
    *(Claim(f"{task}-never-worse", task, "VIII", "conv1 outperforms scratch or performs as well",
            "not lower", _all_over(("conv1",), (SCRATCH,)))
      for task in ("polyp", "pe", "frames", "cimt")),
    *(Claim(f"{task}-sooner", task, "VII", "fine-tuning converges sooner than training from "
            "scratch", "sooner", _all_over(("conv1",), (SCRATCH, "scratch-xavier", "scratch-msra")),
            converged=True)
      for task in ("polyp", "pe", "frames", "cimt")),
    *(Claim(f"{task}-initialisers", task, "VII", "after convergence the initialiser of scratch "
            "makes no difference", "equal",
            _all_over(("scratch-xavier", "scratch-msra"), (SCRATCH,)), converged=True)
      for task in ("polyp", "frames", "cimt")),
    Claim("pe-initialisers", "pe", "VII", "for PE, Xavier and MSRA gain over Gaussian "
          "initialisation", "higher", _all_over(("scratch-xavier", "scratch-msra"), (SCRATCH,)),
          converged=True),
)
