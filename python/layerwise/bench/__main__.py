"""`python3 -m layerwise.bench`: measure, write bench.json, and docs/benchmarks.md from it."""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from layerwise.bench.context import Bench
from layerwise.bench.document import render
from layerwise.bench.parts import PARTS, RESUMED
from layerwise.bench.processes import answer, plain_environment, run, worker
from layerwise.bench.scale import FULL, TINY
from layerwise.bench.verdict import bars
from layerwise.contracts import atomic_text
from layerwise.errors import InputError, LayerwiseError
from layerwise.runs import read_json, write_json


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts that are missing, or those named; exit code 1 when one failed."""
    options = _parse(arguments)
    try:
        return measure(options)
    except LayerwiseError as error:
        print(f"layerwise.bench: {error}", file=sys.stderr)
        return error.exit_code


def measure(options: argparse.Namespace) -> int:
    """Every part writes its section when it ends (the long ones also in between)."""
    scale = TINY if options.tiny else FULL
    work = (options.work / scale.name).resolve()
    machine = answer(run(worker("describe", {}), plain_environment(), work / "logs/describe.log"))
    revision = machine.pop("git")
    path = options.out / "bench.json"
    results = _results(path, scale.name, machine)
    failed = False
    names = options.parts or list(PARTS)
    with tqdm(names, unit="part", dynamic_ncols=True) as bar:
        bench = Bench(scale, work, options.full, machine, lambda text: bar.write(
            f"{time.strftime('%H:%M:%S')}  {bar.desc}{text}"))
        for name in bar:
            bar.set_description(name)
            section = results["sections"].setdefault(name, {})
            if options.again:
                section.clear()
            if section.get("complete") and not (options.full and name == "sweep"):
                continue
            if name not in RESUMED:
                section.clear()
            section["git"] = revision
            failed |= not _measure_part(name, bench, section, path, results, options.docs)
    _write(path, results, options.docs)
    return 1 if failed else 0


def _measure_part(name: str, bench: Bench, section: dict[str, Any], path: Path,
                  results: dict[str, Any], docs: Path) -> bool:
    """Measure one part into its section; whether that went well."""
    begin, before = time.monotonic(), section.get("minutes", 0.0)
    section.pop("skipped", None)
    section["complete"] = False
    samples = section.setdefault("samples", {})

    def save() -> None:
        section["minutes"] = before + (time.monotonic() - begin) / 60
        _write(path, results, docs)

    try:
        PARTS[name](bench, samples, save)
    except LayerwiseError as error:
        section["skipped"] = str(error)
        bench.say(f"not measured: {error}")
        save()
        return isinstance(error, InputError)
    section["complete"] = True
    save()
    return True


def _results(path: Path, scale: str, machine: dict[str, Any]) -> dict[str, Any]:
    """What was measured before, or nothing; of another machine or size it is not added to."""
    empty = {"scale": scale, "machine": machine, "bars": [], "sections": {}}
    if not path.exists():
        return empty
    found = read_json(path)
    for key in machine:
        if found["machine"].get(key) != machine[key]:
            raise InputError(f"{path}: of another machine ({key} {found['machine'].get(key)}, here "
                             f"{machine[key]}); delete it to measure anew, or choose another --out")
    if found["scale"] != scale:
        raise InputError(f"{path}: holds {found['scale']} results, not {scale} ones; choose "
                         "another --out")
    return found


def _write(path: Path, results: dict[str, Any], docs: Path) -> None:
    """Write the JSON and the document made from it."""
    rounded = _rounded(results)
    rounded["bars"] = _rounded([
        {"title": bar.title, "needed": bar.needed, "passed": bar.passed,
         "measured": bar.measured and vars(bar.measured)} for bar in bars(rounded)])
    write_json(path, rounded)
    with atomic_text(docs) as handle:
        handle.write(render(json.loads(path.read_text(encoding="utf-8"))))


def _rounded(value: Any) -> Any:
    """Six significant digits: clocks are no better."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("layerwise.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART",
                        help=f"what to measure; default: all that is missing of {', '.join(PARTS)}")
    parser.add_argument("--again", action="store_true", help="measure it even if it is there")
    parser.add_argument("--full", action="store_true",
                        help="run plain Caffe's sweep to the end instead of multiplying out")
    parser.add_argument("--tiny", action="store_true",
                        help="rehearse every step with sizes that mean nothing; needs an --out")
    parser.add_argument("--out", type=Path, help="folder of bench.json; default: results/bench")
    parser.add_argument("--docs", type=Path,
                        help="the document; default: docs/benchmarks.md, with --out beside it")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"),
                        help="folder of data, runs and logs (default: runs/bench)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    if options.tiny and options.out is None:
        parser.error("--tiny needs an --out: its numbers are not results")
    options.docs = options.docs or (options.out / "benchmarks.md" if options.out
                                    else Path("docs/benchmarks.md"))
    options.out = options.out or Path("results/bench")
    return options


if __name__ == "__main__":
    sys.exit(main())
