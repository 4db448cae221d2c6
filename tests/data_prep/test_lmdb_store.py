"""LMDB and index.csv, read back with lmdb itself and by Caffe's own data layer."""
from __future__ import annotations

import hashlib
import shutil
from collections import namedtuple
from pathlib import Path

import lmdb
import numpy as np
import pytest

from data_prep import lmdb_store
from layerwise.contracts import IndexRow, read_index
from layerwise.errors import InputError, LayerwiseError

VALUE_BYTES = 3 * 227 * 227 + 32
Usage = namedtuple("Usage", "total used free")


def patch(seed: int, size: int = 227) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (size, size, 3)).astype(np.uint8)


def rows(count: int) -> list[IndexRow]:
    return [IndexRow(lmdb_store.key_of(i), f"f{i // 2}", "g", f"c{i}", "plain", i % 2)
            for i in range(count)]


def values(count: int) -> list[bytes]:
    return [lmdb_store.datum_bytes(patch(i), i % 2) for i in range(count)]


def build(folder: Path, count: int, value_bytes: int = VALUE_BYTES) -> str:
    folder.mkdir()
    return lmdb_store.write_set(folder, rows(count), values(count), value_bytes)


def test_keys_and_datums(tmp_path: Path) -> None:
    from caffe.proto import caffe_pb2

    content = build(tmp_path / "set", 5)
    assert content == hashlib.sha256(b"".join(values(5))).hexdigest()
    assert read_index(tmp_path / "set" / "index.csv") == rows(5)
    with lmdb.open(str(tmp_path / "set" / "lmdb"), readonly=True, lock=False) as store, \
            store.begin() as transaction:
        stored = list(transaction.cursor())
    assert [bytes(key) for key, _ in stored] == [b"0000000%d" % i for i in range(5)]
    for number, (_, value) in enumerate(stored):
        datum = caffe_pb2.Datum.FromString(bytes(value))
        assert (datum.channels, datum.height, datum.width) == (3, 227, 227)
        assert (datum.label, datum.encoded) == (number % 2, False)
        pixels = np.frombuffer(datum.data, np.uint8).reshape(3, 227, 227)
        assert (pixels == patch(number).transpose(2, 0, 1)).all()


def test_caffe_reads_what_was_written(tmp_path: Path) -> None:
    import caffe

    build(tmp_path / "set", 4)
    net_file = tmp_path / "net.prototxt"
    net_file.write_text(f'''layer {{ name: "data" type: "Data" top: "data" top: "label"
        data_param {{ source: "{tmp_path / "set" / "lmdb"}" backend: LMDB batch_size: 4 }} }}''')
    net = caffe.Net(str(net_file), caffe.TEST)
    net.forward()
    expected = np.stack([patch(i).transpose(2, 0, 1) for i in range(4)])
    assert (net.blobs["data"].data == expected).all()
    assert net.blobs["label"].data.tolist() == [0, 1, 0, 1]


def test_two_builds_have_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        build(tmp_path / name, 300)  # more than one transaction
        files.append((tmp_path / name / "lmdb" / "data.mdb").read_bytes())
        assert [path.name for path in (tmp_path / name / "lmdb").iterdir()] == ["data.mdb"]
    assert hashlib.sha256(files[0]).hexdigest() == hashlib.sha256(files[1]).hexdigest()


def test_the_estimate_is_close(tmp_path: Path) -> None:
    build(tmp_path / "set", 40)
    size = (tmp_path / "set" / "lmdb" / "data.mdb").stat().st_size
    assert size <= lmdb_store.estimated_bytes(40, VALUE_BYTES) < size + (2 << 20)


def test_the_map_grows_and_the_result_is_the_same(tmp_path: Path) -> None:
    content = build(tmp_path / "large", 20)
    assert build(tmp_path / "small", 20, value_bytes=1000) == content
    assert lmdb_store.check_set(tmp_path / "small") == 20


@pytest.mark.parametrize("count", [3, 5, 0])
def test_a_wrong_number_of_values(tmp_path: Path, count: int) -> None:
    with pytest.raises(LayerwiseError, match="patches"):
        lmdb_store.write_set(tmp_path, rows(4), values(count), VALUE_BYTES)


def test_a_repeated_key(tmp_path: Path) -> None:
    twice = [rows(1)[0], rows(1)[0]]
    with pytest.raises(LayerwiseError, match="00000000"):
        lmdb_store.write_set(tmp_path, twice, values(2), VALUE_BYTES)


def test_too_little_room_is_said_before_anything_is_written(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10 ** 9, 10 ** 9, 10 ** 5))
    with pytest.raises(InputError, match=r"disk full, 0\.01 GB needed but 0\.00 GB free"):
        lmdb_store.write_set(tmp_path, rows(50), values(0), VALUE_BYTES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [lmdb.DiskError("no space"), lmdb.Error("Input/output error"),
                                   OSError(28, "No space left on device")])
def test_a_disk_that_fills_up_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        error: Exception) -> None:
    free = iter([10 ** 12, 0])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10 ** 12, 0, next(free)))

    def fail(store: lmdb.Environment, batch: object) -> None:
        raise error
    monkeypatch.setattr(lmdb_store, "_put", fail)
    with pytest.raises(InputError, match=r": disk full, 0\.00 GB needed"):
        lmdb_store.write_set(tmp_path, rows(2), values(2), VALUE_BYTES)


@pytest.mark.parametrize("harm", ["truncate", "garbage", "remove", "longer index", "other key"])
def test_a_damaged_set_is_noticed(tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "set"
    build(folder, 4)
    data = folder / "lmdb" / "data.mdb"
    if harm == "truncate":
        data.write_bytes(data.read_bytes()[:100])
    elif harm == "garbage":
        data.write_bytes(b"no LMDB at all" * 1000)
    elif harm == "remove":
        shutil.rmtree(folder / "lmdb")
    elif harm == "other key":
        index = folder / "index.csv"
        index.write_text(index.read_text().replace("00000003", "00000004"))
    else:
        with (folder / "index.csv").open("a") as handle:
            handle.write("00000004,f,g,c,plain,0\n")
    with pytest.raises(InputError, match="prepare the data again"):
        lmdb_store.check_set(folder)
