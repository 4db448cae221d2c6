"""Which code a result depends on."""
from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from data_prep import cutting, seal
from data_prep.code import closure, code_digest
from layerwise.tasks import TASKS


def names(*modules: object) -> set[str]:
    return {module.__name__ for module in closure(*modules)}  # type: ignore[arg-type]


def test_all_that_is_imported_counts() -> None:
    assert names(seal) == {"data_prep.seal"}
    assert {"data_prep.cutting", "data_prep.lmdb_store", "data_prep.parallel", "data_prep.recipe",
            "data_prep"} <= names(cutting) | {"data_prep"}


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_a_tasks_own_code_counts_and_the_pipeline_does_not(task) -> None:
    recipe = import_module(task.preparer).RECIPE
    own = names(*recipe.code)
    functions = (recipe.read, recipe.files, recipe.inspect, recipe.detect, recipe.views.cut)
    assert {function.__module__ for function in functions} <= own
    assert "data_prep.prepare" not in own
    assert recipe.phantom.write.__module__ in names(*recipe.phantom.code)


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_no_task_depends_on_the_code_of_another(task) -> None:
    recipe = import_module(task.preparer).RECIPE
    used = names(*recipe.code, *(recipe.phantom.code if recipe.phantom else ()))
    packages = {other.preparer.rsplit(".", 1)[0] for other in TASKS.values()}
    assert {package for package in packages if any(name.startswith(package) for name in used)} \
        == {task.preparer.rsplit(".", 1)[0]}


def test_the_digest_changes_with_what_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                  ) -> None:
    """A module that is imported by one that is imported."""
    package = tmp_path / "data_prep_example"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from data_prep_example import b\n")
    (package / "b.py").write_text("from data_prep_example.c import value\n")
    (package / "c.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("data_prep.code.PACKAGE", "data_prep_example")
    module = import_module("data_prep_example.a")
    try:
        assert names(module) == {f"data_prep_example.{name}" for name in "abc"} | \
            {"data_prep_example"}
        before = code_digest(module)
        assert code_digest(module) == before
        (package / "c.py").write_text("value = 2\n")
        assert code_digest(module) != before
    finally:
        for name in [name for name in sys.modules if name.startswith("data_prep_example")]:
            del sys.modules[name]
