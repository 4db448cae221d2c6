"""What the samples mean: times multiplied out, ratios to plain Caffe, limits, and the bars."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layerwise import prefix
from layerwise.bench import limits
from layerwise.bench.samples import Spread, inverse, ratio, scaled, spread, total
from layerwise.bench.scale import SCALES, Scale
from layerwise.depths import depth_named

Results = Mapping[str, Any]
SWEEP_BAR, EPOCH_BAR, BUILD_BAR = 4.0, 50.0, 1500.0
EPOCH_DEPTHS = ("fc8", "fc7")


@dataclass(frozen=True)
class DepthRow:
    """One configuration: seconds of the whole machine per iteration, and what they amount to.

    `tail` is above stored activations, None where none are stored. The limits are least times.
    """

    name: str
    plain: Spread
    whole: Spread
    tail: Spread | None
    whole_limit: float | None
    tail_limit: float | None

    @property
    def gain(self) -> Spread:
        """Plain Caffe's time over ours with all layers computed."""
        return ratio(self.plain, self.whole)

    @property
    def tail_gain(self) -> Spread | None:
        """Plain Caffe's time over ours above stored activations: every epoch after the first."""
        return ratio(self.plain, self.tail) if self.tail else None


@dataclass(frozen=True)
class Bar:
    """A requirement; `passed` is None while its parts are not measured."""

    title: str
    needed: float
    measured: Spread | None

    @property
    def passed(self) -> bool | None:
        """By the median."""
        return None if self.measured is None else self.measured.middle >= self.needed


def scale_of(results: Results) -> Scale:
    """The sizes that the results were measured at."""
    return SCALES[results["scale"]]


def section(results: Results, name: str) -> Mapping[str, Any] | None:
    """The samples of a part, None unless it is complete."""
    found = results["sections"].get(name, {})
    return found["samples"] if found.get("complete") else None


def machine_limits(results: Results) -> tuple[float, float] | None:
    """GFLOP/s of all cores with the harness's kernel, each by itself, and GB/s of the memory."""
    measured = section(results, "limits")
    if measured is None:
        return None
    cores = results["machine"]["cores"]
    return (cores * spread(measured["ours"]["gflops"]).middle,
            spread(measured["gigabytes_per_second"]).middle)


def depth_rows(results: Results) -> list[DepthRow]:
    """Of all configurations measured, in the order of the sweep."""
    measured, speeds = section(results, "depths"), machine_limits(results)
    rows = []
    for name, one in (measured or {}).items():
        depth = depth_named(name)
        least = [None if speeds is None else limits.seconds(
            depth, scale_of(results).batch_size, *speeds, blob=blob)
            for blob in (None, prefix.boundary(depth))]
        tail = spread(one["tail"]) if "tail" in one else None
        rows.append(DepthRow(name, spread(one["plain"]), spread(one["whole"]), tail, least[0],
                             least[1] if tail else None))
    return rows


def plain_sweep(results: Results) -> dict[str, Spread] | None:
    """Seconds of each configuration with plain Caffe: measured (--full), or multiplied out.

    Iterations, the test phases over the validation set, and one scoring of the test set. Not
    charged: process starts, snapshots, and writing anything.
    """
    swept, scoring, measured = (section(results, name) for name in ("sweep", "scoring", "depths"))
    if swept and swept.get("plain_seconds"):
        return {name: spread([seconds]) for name, seconds in swept["plain_seconds"].items()}
    if swept is None or scoring is None or measured is None:
        return None
    scored = scaled(spread(scoring["plain"]), swept["test"])
    phases = 1 + swept["iterations"] // swept["evaluate_every"]
    batches = phases * swept["validation-100"] / scale_of(results).test_batch
    return {name: total([scaled(spread(one["plain"]), swept["iterations"]),
                         scaled(spread(one["plain_test_batch"]), batches), scored])
            for name, one in measured.items()}


def sweep_gain(results: Results) -> Spread | None:
    """Plain Caffe's time for the whole sweep over ours."""
    swept, plain = section(results, "sweep"), plain_sweep(results)
    if swept is None or plain is None:
        return None
    return ratio(total(list(plain.values())), spread(swept["seconds"]))


def builds(results: Results) -> dict[str, Spread]:
    """Patches per second of each way to build an LMDB."""
    measured = section(results, "lmdb") or {}
    return {name: inverse(spread([one["seconds"] for one in measured[name]]))
            for name in ("cores", "one", "single") if name in measured}


def comparisons(results: Results) -> dict[str, Spread]:
    """Ratios above one where ours is faster than plain, by what is compared."""
    found = {}
    for row in depth_rows(results):
        found[f"{row.name}, all layers"] = row.gain
        if row.tail_gain:
            found[f"{row.name}, above stored activations"] = row.tail_gain
    scored = section(results, "scoring")
    if scored:
        found["scoring"] = ratio(spread(scored["plain"]), spread(scored["ours"]))
    rates = builds(results)
    for name, title in (("one", "LMDB against one process"),
                        ("single", "LMDB against a transaction per patch")):
        if rates:
            found[title] = ratio(rates["cores"], rates[name])
    gain = sweep_gain(results)
    return {**found, "sweep": gain} if gain else found


def bars(results: Results) -> list[Bar]:
    """All requirements."""
    tails = {row.name: row.tail_gain for row in depth_rows(results)}
    found, rates = comparisons(results), builds(results)
    slowest = min(found, key=lambda name: found[name].middle, default="nothing measured")
    return [
        Bar("whole sweep, times as fast as plain Caffe", SWEEP_BAR, sweep_gain(results)),
        *(Bar(f"{name}: every epoch after the first, times as fast as plain Caffe",
              EPOCH_BAR, tails.get(name)) for name in EPOCH_DEPTHS),
        Bar(f"LMDB, patches/s on {results['machine']['cores']} cores", BUILD_BAR,
            rates.get("cores")),
        Bar(f"nothing slower than plain; the least gain: {slowest}", 1.0, found.get(slowest))]
