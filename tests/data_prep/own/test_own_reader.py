"""Reading your own images: tables, folders, boxes, classes, and one clear line per mistake."""
from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.own.reader import left_out, read_classes, read_images
from layerwise.errors import InputError


def write(folder: Path, text: str, *names: str) -> Path:
    """A table, and an empty file for each name: the reader decodes no image."""
    put(folder, *names)
    (folder / "manifest.csv").write_text(text)
    return folder


def put(folder: Path, *names: str) -> None:
    """An empty file for each name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


FOUR = "path,label,group\na.png,sick,p1\nb.png,well,p2\nc.dcm,well,p3\nsub/d.tif,odd,p3\n"
FOUR_FILES = ("a.png", "b.png", "c.dcm", "sub/d.tif")


def test_a_table_or_its_folder(tmp_path: Path) -> None:
    folder = write(tmp_path, FOUR, *FOUR_FILES)
    images = read_images(folder)
    assert images == read_images(folder / "manifest.csv")
    assert [(one.case, one.group, one.split, one.regions) for one in images] == [
        ("a", "p1", "", ((2, None),)), ("b", "p2", "", ((0, None),)),
        ("c", "p3", "", ((0, None),)), ("sub/d", "p3", "", ((1, None),))]


@pytest.mark.parametrize("negative, classes", [
    ("", ("well", "odd", "sick")), ("sick", ("sick", "odd", "well"))])
def test_the_negative_class_is_named_or_the_most_frequent(
        tmp_path: Path, negative: str, classes: tuple[str, ...]) -> None:
    assert read_classes(write(tmp_path, FOUR, *FOUR_FILES), negative) == classes


def test_of_equally_frequent_classes_the_first_by_name_is_negative(tmp_path: Path) -> None:
    text = "image,label,group\na.png,z,1\nb.png,m,2\n"
    assert read_classes(write(tmp_path, text, "a.png", "b.png")) == ("m", "z")


def test_boxes_make_several_regions_of_an_image(tmp_path: Path) -> None:
    text = ("path,label,group,x,y,w,h\na.png,n,1,0,0,5,5\na.png,t,1,2.5,3,4,4\n"
            "b.png,n,2,,,,\n")
    first, second = read_images(write(tmp_path, text, "a.png", "b.png"))
    assert first.regions == ((0, (0.0, 0.0, 5.0, 5.0)), (1, (2.5, 3.0, 4.0, 4.0)))
    assert second.regions == ((0, None),)


def test_a_split_is_kept(tmp_path: Path) -> None:
    text = "path,label,group,split\na.png,n,1,train\nb.png,t,2,test\n"
    assert [one.split for one in read_images(write(tmp_path, text, "a.png", "b.png"))] == [
        "train", "test"]


def test_folders_of_groups(tmp_path: Path) -> None:
    put(tmp_path, "cat/p1/a.png", "cat/p2/a.png", "dog/p3/b.jpg", "dog/p1/c.png", "dog/.x/d.png")
    assert read_classes(tmp_path) == ("cat", "dog")
    assert [(one.case, one.group, one.regions[0][0]) for one in read_images(tmp_path)] == [
        ("cat/p1/a", "p1", 0), ("cat/p2/a", "p2", 0), ("dog/p1/c", "p1", 1), ("dog/p3/b", "p3", 1)]


def test_folders_of_classes_and_a_table_of_groups(tmp_path: Path) -> None:
    put(tmp_path, "cat/a.png", "dog/b.jpg", "dog/c.png")
    (tmp_path / "groups.csv").write_text("frame,patient\na,1\nb.jpg,2\nc,2\n")
    assert [(one.case, one.group, one.regions[0][0]) for one in read_images(tmp_path)] == [
        ("cat/a", "1", 1), ("dog/b", "2", 0), ("dog/c", "2", 0)]


def test_dicom_in_folders_is_known_by_its_content(tmp_path: Path) -> None:
    put(tmp_path, "cat/1.2.840.1", "cat/1.2.840.2", "dog/IM0", "dog/notes.txt")
    for name in ("cat/1.2.840.1", "cat/1.2.840.2", "dog/IM0"):
        (tmp_path / name).write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "groups.csv").write_text("frame,group\n1.2.840.1,1\n1.2.840.2,1\nIM0,2\n")
    assert [(one.case, one.image_path.name) for one in read_images(tmp_path)] == [
        ("cat/1.2.840.1", "1.2.840.1"), ("cat/1.2.840.2", "1.2.840.2"), ("dog/IM0", "IM0")]
    put(tmp_path, "above.png", "cat/deep.heic", "cat/.hidden")
    assert left_out(tmp_path) == [
        tmp_path / "above.png", tmp_path / "cat" / "deep.heic",
        tmp_path / "dog" / "notes.txt"]
    assert left_out(tmp_path / "groups.csv") == []
    (tmp_path / "dog" / "IM0").write_bytes(b"")
    with pytest.raises(InputError, match="dog: no image in it"):
        read_images(tmp_path)


def test_files_without_a_known_suffix_in_a_table(tmp_path: Path) -> None:
    text = "path,label,group\n1.2.840.1,a,1\n1.2.840.2,b,2\n"
    assert [one.case for one in read_images(write(tmp_path, text, "1.2.840.1", "1.2.840.2"))] == [
        "1.2.840.1", "1.2.840.2"]


@pytest.mark.parametrize("text, message", [
    ("path,label\na.png,n\n", "missing column group"),
    ("path,label,group,colour\na.png,n,1,red\n", "unknown column colour"),
    ("path,label,group\n", "lists no images"),
    ("path,label,group\nz.png,n,1\n", "line 2: image 'z.png' is missing"),
    ("path,label,group\na.png,,1\nb.png,n,2\n", "line 2: no label"),
    ("path,label,group\na.png,n,1\nb.png,n,2\n", r"only one class \(n\)"),
    ("path,label,group\na.png,n/t,1\nb.png,n,2\n", "cannot be the name of a class"),
    ("path,label,group\na.png,Fish,1\nb.png,fish ,2\n", "classes 'Fish' and 'fish' differ only"),
    ("path,label,group\na.png,n,1\nb.png,t,1\n", "only one group"),
    ("path,label,group\na.png,n,\nb.png,t,1\n", "has no group"),
    ("path,label,group\na.png,n,1\na.png,t,1\nb.png,t,2\n", "different box"),
    ("path,label,group,x,y,w,h\na.png,n,1,0,0,0,5\nb.png,t,2,,,,\n", "line 2: box"),
    ("path,label,group,x,y,w,h\na.png,n,1,0,0,,\nb.png,t,2,,,,\n", "line 2: box"),
    ("path,label,group,x,y,w,h\na.png,n,1,0,0,5,5\na.png,t,2,1,0,5,5\n", "differ in group"),
    ("path,label,group,split\na.png,n,1,train\nb.png,t,2,\n", "column split must hold both"),
    ("path,label,group,split\na.png,n,1,train\nb.png,t,1,test\n", "two sides|only one group"),
])
def test_mistakes_in_a_table(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_images(write(tmp_path, text, "a.png", "b.png"))


@pytest.mark.parametrize("added, message", [
    (("train/cat/a.png", "val/cat/b.png"), "train: the name of a side of the split"),
    (("Test/cat/a.png", "Training/c.png"), "Test: the name of a side of the split"),
    (("bird/p1/notes.bmp",), "bird/p1: no image in it"),
    (("bird/a.bmp",), "bird: no image in it"),
    (("cat/p1/2020/left/a.png",), "cat/p1/2020/left/a.png: deeper than CLASS/GROUP/image"),
    (("bird/p1/2020/a.png",), "bird/p1/2020/a.png: deeper than"),
    (("Cat/p1/a.png",), "classes 'Cat' and 'cat' differ only in case or blanks"),
    (("dog /p1/a.png",), "classes 'dog' and 'dog ' differ only in case or blanks"),
])
def test_mistakes_in_folders(tmp_path: Path, added: tuple[str, ...], message: str) -> None:
    folder = tmp_path / "data"
    put(folder, "cat/p1/a.png", "dog/p2/b.png")
    assert read_classes(folder) == ("cat", "dog")
    put(folder, *added)
    with pytest.raises(InputError, match=message) as caught:
        read_images(folder)
    assert "\n" not in str(caught.value)


def test_a_single_class_may_be_called_train(tmp_path: Path) -> None:
    put(tmp_path, "bus/p1/a.png", "train/p2/b.png")
    assert read_classes(tmp_path) == ("bus", "train")


def test_a_whole_data_set_one_folder_too_high(tmp_path: Path) -> None:
    put(tmp_path, "data/cat/p1/a.png", "data/dog/p2/b.png", "data/dog/.x/d.png")
    with pytest.raises(InputError, match="a.png: deeper than .* name the folder above"):
        read_images(tmp_path)


def test_other_mistakes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        read_images(tmp_path / "nowhere")
    with pytest.raises(InputError, match="neither manifest.csv nor folders"):
        read_images(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(InputError, match="cat: no image in it"):
        read_images(tmp_path)
    (tmp_path / "cat" / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="nothing says which images belong together"):
        read_images(tmp_path)
    (tmp_path / "cat" / "p1").mkdir()
    (tmp_path / "cat" / "p1" / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="beside folders of groups"):
        read_images(tmp_path)
    with pytest.raises(InputError, match="no image of class 'bird'"):
        read_classes(write(tmp_path / "w", FOUR, *FOUR_FILES), "bird")
