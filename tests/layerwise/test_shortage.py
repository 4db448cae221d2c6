"""A full disk or too little memory: one clear line, what was there intact, and resumable."""
from __future__ import annotations

import resource
from pathlib import Path

import pytest
from disks import Disk
from killing import Command, at_event, die
from training import TAIL, WHOLE, content, names, nothing, setting

from layerwise import snapshot
from layerwise.child import Children
from layerwise.errors import InputError
from layerwise.runs import is_scored, is_trained, read_json
from layerwise.sweep import sweep

STATE = (("os.rename",), "/state.json")


@pytest.fixture(params=["file limit", "small disk"])
def disk(request, tmp_path) -> Disk:
    return Disk(tmp_path / "disk", request.param == "small disk")


def refusal(action) -> str:
    """The one line that an action ends with, which the command line prints before exit code 2."""
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_full_while_a_snapshot_is_written(narrow, references, disk, in_workers):
    runs = disk.folder / "runs"

    def action() -> None:
        in_workers(lambda arguments: at_event(1, disk.fill, *STATE))
        assert "disk full; free some space" in refusal(lambda: narrow.evaluate(WHOLE, runs))
        folder = narrow.folder(WHOLE, runs)
        assert read_json(folder / "state.json")["iteration"] == 2
        assert "state_iter_4.caffemodel" not in names(folder)
        in_workers(None)
        disk.free()
        assert content(narrow.evaluate(WHOLE, runs)) == content(references[WHOLE])
        assert names(folder) == names(references[WHOLE])
    disk.run(action)


def test_full_while_activations_are_stored(narrow, disk, in_workers):
    wanted = narrow.activations()

    def action() -> None:
        place = narrow.without_activations(disk.folder)
        place.store(["fc8"])
        before = place.activations()
        in_workers(lambda arguments: disk.fill())
        assert "; free some space, then the same command goes on" in refusal(place.store)
        assert place.activations() == before
        in_workers(None)
        disk.free()
        place.store()
        assert place.activations() == {**before, **wanted}
    disk.run(action)


@pytest.mark.parametrize("draw", range(3))
def test_full_within_a_line_of_the_log(narrow, references, tmp_path, in_workers, draw):
    folder = narrow.folder(WHOLE, tmp_path)

    def prepare(arguments: list[str]) -> None:
        def limit() -> None:
            size = (folder / "log.csv").stat().st_size + 7 * draw
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        at_event(1, limit, *STATE)
    in_workers(prepare)
    assert refusal(lambda: narrow.evaluate(WHOLE, tmp_path)) == (
        f"{folder}: File too large; free some space, then the same command goes on")
    in_workers(None)
    assert content(narrow.evaluate(WHOLE, tmp_path)) == content(references[WHOLE])


def test_full_while_scoring(narrow, references, tmp_path, in_workers):
    def prepare(arguments: list[str]) -> None:
        if arguments[0] == "evaluate":
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    in_workers(prepare)
    assert "File too large; free some space" in refusal(lambda: narrow.evaluate(TAIL, tmp_path))
    folder = narrow.folder(TAIL, tmp_path)
    assert is_trained(folder) and not is_scored(folder)
    in_workers(None)
    assert content(narrow.evaluate(TAIL, tmp_path)) == content(references[TAIL])


NET = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1000 } } }
layer { name: "product" type: "InnerProduct" bottom: "data" top: "product"
        inner_product_param { num_output: 90 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "product" bottom: "product" top: "loss" }"""


def test_a_snapshot_cut_short_without_a_word_is_noticed(tmp_path):
    """Caffe leaves less than 1024 bytes beyond a multiple of 8192 to the closing of the file."""
    import caffe

    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 1 lr_policy: "fixed" '
        f'snapshot_prefix: "{tmp_path}/state"')
    solver = caffe.SGDSolver(str(tmp_path / "solver.prototxt"))
    size = snapshot.take(tmp_path, solver, 0).stat().st_size
    assert size % 8192 == 215

    def action() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 100, size - 100))
        snapshot.take(tmp_path, solver, 0)
    code, told = Command(action).end()
    assert (code, told) == (2, f"{tmp_path}/state_iter_0.caffemodel: was cut short, most likely by "
                            "a full disk; free some space, then the same command goes on")
    assert (tmp_path / "state_iter_0.caffemodel").stat().st_size == size - 100


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
def test_any_shorter_file_is_no_snapshot(references, tmp_path, kept):
    model = references[WHOLE] / "best.caffemodel"
    layers = list(snapshot._fields(model)).count(100)
    snapshot.check_whole(model, 100, layers)
    short = tmp_path / "short"
    short.write_bytes(model.read_bytes()[:int(kept * model.stat().st_size)])
    with pytest.raises(InputError, match="cut short"):
        snapshot.check_whole(short, 100, layers)


def starve() -> None:
    """No memory for this process but a megabyte beyond what it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + (1 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


@pytest.mark.parametrize("shortage", [
    lambda: at_event(10, die), starve, lambda: at_event(1, starve, ("os.rename",), "/log.csv")],
    ids=["killed by the system", "before the data are read", "in Caffe"])
def test_a_run_out_of_memory_leaves_the_others_alone(narrow, references, tmp_path, in_workers,
                                                     shortage):
    def prepare(arguments: list[str]) -> None:
        if f"/{WHOLE}/" in arguments[1]:
            shortage()
    in_workers(prepare)
    settings = setting(narrow.data, tmp_path, narrow.weights)
    runs = [narrow.run(depth, tmp_path) for depth in (WHOLE, TAIL)]
    failed, well = sweep(settings, runs, 1, Children(), nothing)
    assert "out of memory; use fewer --jobs, then the same command goes on" in failed.error
    assert "\n" not in failed.error
    assert (failed.run.init, well.run.init, well.error) == (WHOLE, TAIL, "")
    assert content(narrow.folder(TAIL, tmp_path)) == content(references[TAIL])
    in_workers(None)
    assert content(narrow.evaluate(WHOLE, tmp_path)) == content(references[WHOLE])
