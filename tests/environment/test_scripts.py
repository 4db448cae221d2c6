"""The scripts of environment/, with files and tools made up for each case."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RELEASE_FILE = Path("debian/dists/bullseye/InRelease")


def run(command: list[str | Path], env: dict[str, str] | None = None,
        cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end with `env` added to the environment."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          cwd=cwd, timeout=60, env={**os.environ, **(env or {})})


def write_tool(folder: Path, name: str, script: str) -> None:
    """An executable shell script in `folder`."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


# ---- find-mirror ----

MIRRORS = {
    "old style": ({"sources.list": """
        # deb http://commented.example/debian bookworm main
        deb-src http://source.example/debian bookworm main
        deb http://near.example/debian bookworm main contrib
        deb http://near.example/debian-security bookworm-security main
        """}, "http://near.example/debian"),
    "options and trailing slash": ({"sources.list": (
        "deb [ arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] "
        "https://near.example/debian/ trixie main # ours\n")}, "https://near.example/debian/"),
    "deb822": ({"sources.list.d/debian.sources": """\
Types: deb deb-src
# http://snapshot.example/archive/debian/20250520T000000Z
URIs: http://near.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://near.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""}, "http://near.example/debian"),
    "deb822 with continued lines": ({"sources.list.d/a.sources": """\
Types: deb
URIs:
 http://near.example/debian
Suites:
 bookworm-updates
 bookworm
Components: main
 contrib
"""}, "http://near.example/debian"),
    "deb822 switched off, then on": ({"sources.list.d/a.sources": """\
Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://on.example/debian
Suites: bookworm
Components: main
"""}, "http://on.example/debian"),
    "third parties first": ({
        "sources.list.d/a.list": "deb [signed-by=/etc/k.gpg] https://h.example bookworm main\n"
                                 "deb https://c.example/chrome/deb/ stable main\n"
                                 "deb https://d.example/linux/debian bookworm stable\n"
                                 "deb cdrom:[Debian 12]/ bookworm main\n",
        "sources.list.d/b.sources": "Types: deb\nURIs: https://n.example/debian\nSuites: bookworm\n"
                                    "Components: main\nSigned-By:\n -----BEGIN PGP-----\n .\n x\n",
        "sources.list.d/z.sources": "Types: deb\nURIs: http://near.example/debian\n"
                                    "Suites: stable\nComponents: main\n",
    }, "http://near.example/debian"),
    "only third parties": ({"sources.list": "deb https://c.example/chrome/deb/ stable main\n"
                                            "deb http://u.example/ubuntu jammy main\n"}, None),
    "a company's proxy": ({"sources.list": "deb http://proxy.example/deb-remote bookworm main\n"},
                          "http://proxy.example/deb-remote"),
    "a snapshot": ({"sources.list":
                    "deb http://s.example/archive/debian/20250520T000000Z bookworm main\n"},
                   "http://s.example/archive/debian/20250520T000000Z"),
    "nothing": ({}, None),
}


@pytest.mark.parametrize("files, expected", MIRRORS.values(), ids=MIRRORS)
def test_mirror_is_read_from_apts_sources(project: Path, tmp_path: Path, files: dict[str, str],
                                          expected: str | None) -> None:
    (tmp_path / "sources.list.d").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = run([project / "environment/find-mirror", tmp_path])
    assert (found.stdout.strip() or None, found.returncode) == (expected, 0 if expected else 1)
    assert found.stderr == ""


def test_mirror_of_a_cloud_image_is_in_a_list(project: Path, tmp_path: Path) -> None:
    (tmp_path / "mirrors").write_text("# mirrors\nhttps://cloud.example/debian\nhttp://b.example\n")
    (tmp_path / "sources.list").write_text(f"deb mirror+file:{tmp_path}/mirrors bookworm main\n")
    found = run([project / "environment/find-mirror", tmp_path])
    assert found.stdout == "https://cloud.example/debian\n"


# ---- build-root ----

@pytest.fixture()
def builder(project: Path, tmp_path: Path) -> Path:
    """A copy of environment/ beside a mirror and tools of our own, which build a root of one file.

    `id` says that we are root, whoever runs the tests.
    """
    copy = tmp_path / "project/environment"
    shutil.copytree(project / "environment", copy)
    (tmp_path / RELEASE_FILE).parent.mkdir(parents=True)
    (tmp_path / RELEASE_FILE).write_text("Suite: bullseye\n")
    (tmp_path / "keys.gpg").write_text("keys")
    tools = tmp_path / "tools"
    write_tool(tools, "id", "echo 0")
    # mmdebstrap OPTIONS... SUITE TARGET MIRROR; its output must not end up in our stdout
    write_tool(tools, "mmdebstrap", f"""
        echo building; echo "$@" >>{tmp_path}/calls
        while [ $# -gt 3 ]; do shift; done
        mkdir "$2/etc" && echo "$1 $3" >"$2/etc/built" """)
    return copy / "build-root"


def build(builder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run build-root with the made-up tools, mirror, keys and an empty cache folder."""
    base = builder.parent.parent.parent
    return run([builder, *arguments], {
        "PATH": f"{base}/tools:{os.environ['PATH']}", "XDG_CACHE_HOME": f"{base}/cache",
        "MIRROR": f"file://{base}/debian", **env})


def keys(builder: Path) -> list[str]:
    """The option that names the made-up keys."""
    return ["--keyring", str(builder.parent.parent.parent / "keys.gpg")]


def calls(builder: Path) -> list[str]:
    """The command lines of mmdebstrap so far."""
    path = builder.parent.parent.parent / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_builds_once_and_is_reused(builder: Path, tmp_path: Path) -> None:
    first = build(builder, *keys(builder))
    root = Path(first.stdout.strip())
    assert first.returncode == 0 and first.stdout.count("\n") == 1, first.stderr
    assert (root / "etc/built").read_text() == f"bullseye file://{tmp_path}/debian\n"
    assert "about 70 s and 1.2 GB" in first.stderr
    assert f"mirror file://{tmp_path}/debian" in (root / "etc/layerwise-root").read_text()
    assert sorted(path.name for path in root.parent.iterdir()) == ["build.lock", root.name]

    again = build(builder, *keys(builder))
    assert (again.stdout, again.stderr, len(calls(builder))) == (first.stdout, "", 1)


def test_every_package_of_the_list_is_asked_for(builder: Path) -> None:
    (builder.parent / "packages.txt").write_text("# first\nb a  # two on a line\n\nc\n")
    assert build(builder, *keys(builder)).returncode == 0
    assert "--include=a,b,c " in calls(builder)[0]


def test_name_depends_on_the_packages_alone(builder: Path) -> None:
    packages = builder.parent / "packages.txt"
    before = build(builder, "--path").stdout
    text = packages.read_text()
    packages.write_text("# another comment\n" + "\n".join(reversed(text.splitlines())) + "\n\n")
    assert build(builder, "--path", MIRROR="http://other.example").stdout == before
    packages.write_text(text + "one-more\n")
    assert build(builder, "--path").stdout != before
    assert calls(builder) == []


def test_nothing_half_built_is_kept(builder: Path, tmp_path: Path) -> None:
    write_tool(tmp_path / "tools", "mmdebstrap",
               'while [ $# -gt 3 ]; do shift; done; mkdir "$2/usr"; echo E: disk full >&2; exit 25')
    failed = build(builder, *keys(builder))
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "E: disk full" in failed.stderr and "nothing of it was kept" in failed.stderr
    assert [path.name for path in (tmp_path / "cache/layerwise").iterdir()] == ["build.lock"]


def test_what_a_killed_build_left_is_swept_away(builder: Path) -> None:
    root = Path(build(builder, "--path").stdout.strip())
    for left in (root, root.with_name(f"{root.name}.partial")):
        (left / "usr").mkdir(parents=True)
    assert build(builder, *keys(builder)).returncode == 0
    assert (root / "etc/built").is_file() and not (root / "usr").exists()


def test_a_second_build_waits_for_the_first(builder: Path, tmp_path: Path) -> None:
    lock = tmp_path / "cache/layerwise/build.lock"
    lock.parent.mkdir(parents=True)
    with subprocess.Popen(["flock", lock, "sh", "-c", "echo held; sleep 1"], text=True,
                          stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        second = build(builder, *keys(builder))
        assert holder.wait() == 0
    assert second.returncode == 0 and "another build is under way" in second.stderr


def test_mirror_without_bullseye(builder: Path, tmp_path: Path) -> None:
    (tmp_path / RELEASE_FILE).unlink()
    failed = build(builder, *keys(builder))
    assert failed.returncode == 1 and calls(builder) == []
    last = failed.stderr.splitlines()[-1]
    assert f"mirror file://{tmp_path}/debian does not give bullseye" in last
    assert "archive" in last and "--mirror URL" in last


def test_no_mirror_at_all(builder: Path) -> None:
    write_tool(builder.parent, "find-mirror", "exit 1")
    failed = build(builder, *keys(builder), MIRROR="")
    assert failed.returncode == 1
    assert "name one that carries bullseye with --mirror URL" in failed.stderr


def test_the_machines_own_mirror_is_the_default(builder: Path, tmp_path: Path) -> None:
    write_tool(builder.parent, "find-mirror", f"echo file://{tmp_path}/debian/")
    assert build(builder, *keys(builder), MIRROR="").returncode == 0
    assert calls(builder)[0].endswith(f" file://{tmp_path}/debian")


def test_full_disk(builder: Path, tmp_path: Path) -> None:
    write_tool(tmp_path / "tools", "df", 'echo header; echo /dev/x 100 90 10 90% /')
    failed = build(builder, *keys(builder))
    assert failed.returncode == 1 and calls(builder) == []
    assert "has 10 MB free and the build needs 1600 MB" in failed.stderr


def test_missing_keys(builder: Path) -> None:
    write_tool(builder.parent.parent.parent / "tools", "apt-get", "exit 1")
    failed = build(builder, "--keyring", "/nonexistent.gpg")
    assert failed.returncode == 1 and calls(builder) == []
    assert "apt-get could not install debian-archive-keyring" in failed.stderr


@pytest.mark.parametrize("arguments, message", [
    (["--fast"], "unknown option --fast"),
    (["--mirror"], "--mirror needs a value"),
])
def test_strict_options(builder: Path, arguments: list[str], message: str) -> None:
    failed = build(builder, *arguments)
    assert failed.returncode == 1 and message in failed.stderr


def test_an_ordinary_user_gets_a_tar_unpacked(builder: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    write_tool(tools, "id", "echo 1000")
    write_tool(tools, "newuidmap", "exit 0")
    write_tool(tools, "mmdebstrap", f"""
        echo "$@" >>{tmp_path}/calls
        mkdir {tmp_path}/tree {tmp_path}/tree/dev {tmp_path}/tree/etc
        tar -C {tmp_path}/tree -c .""")
    built = build(builder, *keys(builder))
    assert built.returncode == 0, built.stderr
    assert "--mode=unshare --format=tar" in calls(builder)[0]
    root = Path(built.stdout.strip())
    assert (root / "etc/layerwise-root").is_file() and not (root / "dev").exists()


def test_no_tool_says_which_ways_are_open(builder: Path, tmp_path: Path) -> None:
    """An ordinary user without mmdebstrap: Docker is named as open exactly when it is there."""
    tools = tmp_path / "tools"
    shutil.rmtree(tools)
    tools.mkdir()
    for name in ("bash", "sh", "dirname", "sed", "tr", "sort", "sha256sum", "cut", "uname", "mkdir",
                 "flock", "df", "awk", "stat", "cat", "apt-get"):
        (tools / name).symlink_to(shutil.which(name) or "/nonexistent")
    write_tool(tools, "id", "echo 1000")
    # Not even /usr/sbin, which build-root adds to the path.
    text = builder.read_text().replace("PATH=$PATH:/usr/sbin:/sbin", "")
    builder.write_text(text)
    closed = build(builder, PATH=str(tools))
    assert closed.returncode == 1
    assert "mmdebstrap is not installed" in closed.stderr
    assert "Docker: closed" in closed.stderr
    assert "as yourself: open after 'sudo apt-get install mmdebstrap uidmap'" in closed.stderr

    write_tool(tools, "docker", "exit 0")
    assert "Docker: open" in build(builder, PATH=str(tools)).stderr


# ---- run ----

def test_command_runs_as_it_is_where_caffe_is(project: Path, tmp_path: Path) -> None:
    inside = run([project / "environment/run", "sh", "-c", 'echo "$PWD $MPLBACKEND $PYTHONPATH"; '
                  "exit 7"], {"PYTHONPATH": "/mine"}, cwd=tmp_path)
    assert inside.returncode == 7
    assert inside.stdout == f"{tmp_path} Agg {project}/python:{project}:/mine\n"


def test_layerwise_is_the_command_line(project: Path) -> None:
    told = run([project / "environment/run", "layerwise", "--version"])
    assert told.returncode == 0 and "0.1.0" in told.stdout


@pytest.fixture()
def bare(project: Path, tmp_path: Path) -> dict[str, str]:
    """A machine whose python3 has no caffe and whose kernel allows no mounts."""
    write_tool(tmp_path / "tools", "python3", "exit 1")
    write_tool(tmp_path / "tools", "unshare", "exit 1")
    return {"PATH": f"{tmp_path}/tools:{os.environ['PATH']}"}


def test_no_mounts_says_which_ways_are_open(project: Path, bare: dict[str, str]) -> None:
    failed = run([project / "environment/run", "true"], bare)
    assert failed.returncode == 1
    assert "neither mounts nor user namespaces" in failed.stderr
    assert "Docker: " in failed.stderr and "Your own Caffe: open" in failed.stderr


def test_the_root_is_entered_with_the_command_unchanged(
        project: Path, bare: dict[str, str], tmp_path: Path) -> None:
    """The words reach the inner half one by one, with the root that build-root names."""
    copy = tmp_path / "project/environment"
    shutil.copytree(project / "environment", copy)
    write_tool(copy, "build-root", "echo '/a root'")
    write_tool(copy, "enter", 'for word; do echo "<$word>"; done; '
               'echo "$PYTHONPATH $PYTHONNOUSERSITE ${LD_LIBRARY_PATH-unset}"')
    write_tool(tmp_path / "tools", "unshare",
               'while [ "${1#--}" != "$1" ] || [ "$1" = private ]; do shift; done\n'
               '[ "$1" = sh ] && exit 0\nexec "$@"')
    entered = run([copy / "run", "echo", "two words", ""],
                  {**bare, "LD_LIBRARY_PATH": "/host", "PYTHONPATH": "/host"}, cwd=tmp_path)
    uid, gid = os.getuid(), os.getgid()
    assert entered.stdout.splitlines() == [
        "</a root>", f"<{copy.parent}>", f"<{tmp_path}>", f"<{uid}>", f"<{gid}>", "<echo>",
        "<two words>", "<>", f"{copy.parent}/python:{copy.parent} 1 unset"]


# ---- install-packages ----

@pytest.mark.parametrize("has_caffe", [False, True])
def test_a_caffe_that_is_there_is_not_replaced(project: Path, tmp_path: Path,
                                               has_caffe: bool) -> None:
    tools = tmp_path / "tools"
    write_tool(tools, "python3", f"exit {0 if has_caffe else 1}")
    write_tool(tools, "apt-get", f'echo "$@" >>{tmp_path}/calls')
    done = run([project / "environment/install-packages"],
               {"PATH": f"{tools}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
    (install,) = [line.split() for line in (tmp_path / "calls").read_text().splitlines()
                  if " install " in line]
    assert {"python3-numpy", "python3-pytest"} <= set(install)
    caffes = {"caffe", "python3-caffe", "libopenblas0-pthread"}
    assert caffes & set(install) == (set() if has_caffe else caffes)


def test_mirror_option_replaces_debians_addresses(project: Path, tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text("URIs: http://gone.example/debian\n")
    (tmp_path / "sources.list.d/own.list").write_text("deb http://own.example x main\n")
    write_tool(tmp_path / "tools", "apt-get", "exit 100")
    failed = run([project / "environment/install-packages"], {
        "PATH": f"{tmp_path}/tools:{os.environ['PATH']}", "APT_FOLDER": str(tmp_path),
        "MIRROR": "http://archive.example/debian"})
    assert failed.returncode == 1 and "MIRROR=URL" in failed.stderr
    assert (tmp_path / "sources.list").read_text().startswith("deb http://archive.example/debian ")
    assert [path.name for path in (tmp_path / "sources.list.d").iterdir()] == ["own.list"]
