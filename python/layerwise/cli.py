"""The command line: each verb first makes what it needs."""
from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layerwise import __version__
from layerwise.command import Group
from layerwise.errors import LayerwiseError
from layerwise.options import (
    DATA,
    FOLDER,
    LAUNCHING,
    ONE_RUN,
    PREPARING,
    RESULTS,
    SEEDS,
    TRAINING,
    Box,
    Integers,
)
from layerwise.standin import standin
from layerwise.trace import trace

if TYPE_CHECKING:
    from layerwise.session import Session, Wanted
    from layerwise.sweep import Outcome


@click.group("layerwise", cls=Group, context_settings={"help_option_names": ["-h", "--help"],
                                          "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """How deep to fine-tune AlexNet on medical images, with BVLC Caffe.

    \b
    layerwise sweep polyp                      everything on the built-in phantom
    layerwise train polyp conv4                one network
    layerwise sweep polyp --images FOLDER      everything on your own frames and masks
    layerwise doctor                           what this machine offers
    """


main.add_command(standin)
main.add_command(trace)


@main.command()
@click.option("--out", type=FOLDER, default=".", show_default=True)
def generate(out: str) -> None:
    """Write prototxt/ and solvers/ for every task and depth at the paper's sizes."""
    from layerwise.generate import generate as write

    click.echo(f"{len(write(Path(out)))} files below {out}")


@main.command()
@click.argument("task")
@PREPARING
def prepare(task: str, **options: Any) -> None:
    """Pack the patches of TASK into LMDBs.

    \b
    layerwise prepare polyp                         the phantom
    layerwise prepare polyp --images my_frames      frames/, masks/ and a CSV with the groups
    """
    from layerwise.session import prepare_data

    click.echo(f"prepared {prepare_data(task, (100,), options)}")


@main.command()
@click.argument("task", default="polyp")
@DATA
@click.option("--weights", type=click.Path(dir_okay=False), help="A local file instead.")
@click.option("--fetch", is_flag=True, help="Download bvlc_alexnet first (233 MB, resumable).")
@click.option("--mirror", multiple=True, help="URL to download from; may be repeated.")
def weights(task: str, data: str, weights: str | None, fetch: bool, mirror: tuple[str, ...]
            ) -> None:
    """Find the source weights and show what TASK's network takes from them.

    \b
    layerwise weights                          bvlc_alexnet in the data folder, else the stand-in
    layerwise weights --fetch                  download bvlc_alexnet into the data folder
    layerwise weights --weights my.caffemodel  check a file
    """
    from layerwise import weights as sources
    from layerwise.fetch import fetch as download
    from layerwise.tasks import task_named

    row = task_named(task)
    if fetch:
        download(Path(data) / sources.BVLC_ALEXNET, sources.BVLC_ALEXNET_SHA1,
                 mirror or sources.BVLC_ALEXNET_URLS)
    source = sources.find_source(Path(weights) if weights else None, Path(data))
    click.echo(f"{source.path}\nsha1 {source.sha1}")
    if source.stand_in:
        click.echo(f"STAND-IN for the paper's bvlc_alexnet: {source.stand_in}")
    net = sources.read_caffemodel(source.path)
    if not row.classes:
        click.echo(f"{row.last_layer} has an output for each of your classes; shown for two")
    for item in sources.transfer_report(net, row.last_layer, len(row.classes) or 2):
        shape = "x".join(map(str, item.shape))
        click.echo(f"{item.action:15s} {item.layer:12s} {('weight', 'bias')[item.blob]:7s}{shape}")


@main.command()
@click.argument("task")
@click.argument("depth")
@ONE_RUN
@TRAINING
@PREPARING
def train(task: str, depth: str, fraction: int, seed: int, **options: Any) -> None:
    """Train one network; `evaluate` scores it too.

    DEPTH is the first tuned layer, fc8, fc7, fc6, conv5 ... conv1, or scratch (scratch-gaussian),
    scratch-xavier, scratch-msra. Ctrl-C finishes the iteration; the same command resumes.

    \b
    layerwise train polyp conv4
    layerwise train polyp scratch --images my_frames --fraction 25
    """
    from layerwise.depths import depth_named
    from layerwise.frozen import tail_of
    from layerwise.launch import train_run
    from layerwise.session import check

    with _session(check(task, [depth_named(depth).name], [fraction], [seed], options)) as session:
        run = session.runs[0]
        folder = train_run(session.setting, run, tail_of(session.setting, run), session.children,
                           session.on_event)
    click.echo(_summary(folder))


@main.command()
@click.argument("task")
@click.argument("depth")
@ONE_RUN
@TRAINING
@PREPARING
def evaluate(task: str, depth: str, fraction: int, seed: int, **options: Any) -> None:
    """Score the test set with one network or `handcrafted`, training it first if need be.

    \b
    layerwise evaluate polyp conv4 --seed 2
    layerwise evaluate pe handcrafted
    """
    from layerwise.handcrafted import HANDCRAFTED
    from layerwise.runs import BOUNDARY, SCORES
    from layerwise.session import check
    from layerwise.sweep import score_run
    from layerwise.tasks import task_named

    with _session(check(task, [depth], [fraction], [seed], options)) as session:
        folder = score_run(session.setting, session.runs[0], session.children, session.on_event)
    if depth != HANDCRAFTED:
        click.echo(_summary(folder))
    click.echo(str(folder / (BOUNDARY if task_named(task).by_region else SCORES)))


@main.command()
@click.argument("task")
@click.option("--depths", help="Comma-separated; default: fc8 ... conv1, scratch and "
              "handcrafted where the task has it.")
@click.option("--fractions", type=Integers(1, 100), default="100", show_default=True,
              help="Percent of the training data (groups; pe: emboli; frames: frames), "
                   "comma-separated.")
@SEEDS
@TRAINING
@PREPARING
@LAUNCHING
def sweep(task: str, depths: str | None, fractions: list[int], seeds: list[int], dry_run: bool,
          seconds_per_iteration: float | None, launcher: str, **options: Any) -> None:
    """Train and score TASK at every depth and from scratch, and draw the figures.

    Ctrl-C finishes the iterations under way; the same command resumes. Finished runs stay.

    \b
    layerwise sweep polyp
    layerwise sweep polyp --fractions 100,50,25 --seeds 1,2,3
    layerwise sweep polyp --profile paper --dry-run
    layerwise sweep polyp --launcher slurm --partition gpu --gpus 1 --time 12:00:00
    """
    from layerwise import launcher as slurm
    from layerwise.session import check, system_names
    from layerwise.sweep import sweep as run_all

    names = system_names(depths.split(",") if depths is not None else None, task)
    options = slurm.settled(options, launcher)
    if launcher == "slurm" and not slurm.is_inside():
        outcomes, folder, python = slurm.launch(sys.argv[1:], options)
        _report(outcomes, lambda: slurm.draw(folder, python))
        return
    wanted = check(task, names, fractions, seeds, options, trains_here=launcher == "local")
    if dry_run:
        from layerwise.forecast import print_plan

        print_plan(wanted, seconds_per_iteration,
                   None if launcher == "local" else options["max_parallel"] or 1_000_000)
    elif launcher == "slurm":
        slurm.hand_over(wanted)
    else:
        with _session(wanted) as session:
            outcomes = run_all(session.setting, session.runs, session.jobs, session.children,
                               session.on_event)
        _report(outcomes, lambda: _write_results((str(session.setting.folder),),
                                                 session.setting.runs / "figures"))


@main.command()
@click.argument("task")
@click.option("--fractions", type=Integers(1, 100),
              help="Percent of the training data, for the learning curve; default: the task's; "
                   "100 = no curve.")
@SEEDS
@TRAINING
@PREPARING
def recommend(task: str, fractions: list[int] | None, seeds: list[int], **options: Any) -> None:
    """Find how deep to fine-tune TASK, training no more networks than that takes.

    Begins with fc8 and goes deeper while the AUC on the validation set rises significantly; ends
    when two further layers bring nothing. Runs that are there already are used.

    \b
    layerwise recommend own --images my_images/manifest.csv
    layerwise recommend polyp --seeds 1,2,3
    """
    from layerwise import recommend as advisor
    from layerwise.analysis import advice
    from layerwise.session import check
    from layerwise.tasks import task_named

    curve = fractions or [round(100 * part) for part in task_named(task).fractions]
    wanted = check(task, advisor.FINE_TUNED, sorted({100, *curve}), seeds, options)
    found = advisor.recommend(wanted)
    for line in advice.lines(found):
        click.echo(line)
    _list(advice.write(found, Path(options["runs"])))


@main.command()
@click.argument("run", type=click.Path())
@click.option("--out", type=FOLDER, required=True, help="Folder to write to.")
def export(run: str, out: str) -> None:
    """Write the trained network of a RUN's folder, or the recommended one, for use elsewhere.

    \b
    layerwise export runs/own/my_images-quick --out my_model             the recommended depth
    layerwise export runs/own/my_images-quick/conv4/100/1 --out my_model
    """
    from layerwise.export import export as write

    click.echo(str(write(Path(run), Path(out))))


@main.command()
@click.argument("model", type=click.Path())
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE...")
@click.option("--box", metavar="X,Y,W,H", type=Box(),
              help="Region of each image, in pixels; default: all of it.")
@click.option("--out", type=click.Path(dir_okay=False), help="CSV to write; default: print it.")
def predict(model: str, images: tuple[str, ...], box: tuple[float, ...] | None, out: str | None
            ) -> None:
    """Probabilities of IMAGES by an exported MODEL's folder, as CSV.

    Images that cannot be used are named, the others done, and the exit code is then 2.

    \b
    layerwise predict my_model new/*.png --out predictions.csv
    """
    from layerwise import blas
    from layerwise.child import Children
    from layerwise.errors import InputError
    from layerwise.export import read_model
    from layerwise.predict import predict as score
    from layerwise.predict import write_predictions

    bad: list[InputError] = []
    known = read_model(Path(model))
    write_predictions(known, score(Path(model), known, [Path(image) for image in images], box,
                                   blas.environment_for(blas.choose(1)), bad.append, Children()),
                      Path(out) if out else None)
    for error in bad:
        click.echo(f"layerwise: {error}", err=True)
    if bad:
        sys.exit(InputError.exit_code)


@main.command()
@RESULTS
def figures(folders: tuple[str, ...], out: str, method: str) -> None:
    """Redraw figures, tables, claims and report from finished runs (default: results/).

    \b
    layerwise figures                          the committed results, into figures/
    layerwise figures runs --out runs/figures  your own
    """
    _write_results(folders, Path(out), method)


@main.command()
@RESULTS
def report(folders: tuple[str, ...], out: str, method: str) -> None:
    """Write one self-contained HTML page per data set from finished runs (default: results/).

    \b
    layerwise report runs --out runs/figures   runs/figures/polyp/phantom-quick/report.html
    """
    from layerwise.analysis.report import write_report

    _list(write_report(_roots(folders), Path(out), method))


@main.command()
@click.argument("folders", nargs=-1, type=FOLDER)
@click.option("--out", type=FOLDER, default="figures", show_default=True,
              help="Folder to write to; files go to OUT/<task>/<dataset>/.")
def claims(folders: tuple[str, ...], out: str) -> None:
    """Decide the paper's claims from finished runs (default: results/).

    \b
    layerwise claims runs --out runs/figures   claims.md and claims.json per data set
    """
    from layerwise.analysis.claims import write_claims

    written = write_claims(_roots(folders), Path(out))
    _list(written)
    if not written:
        click.echo("no claims: the paper makes none about images of your own")


@main.command()
@DATA
def doctor(data: str) -> None:
    """Say what this machine offers: Caffe, BLAS kernel, speed, memory, weights, tasks."""
    from layerwise.doctor import report

    for name, value in report(Path(data)):
        click.echo(f"{name:18s} {value}")


def _session(wanted: Wanted) -> Session:
    """What is wanted, made where it is missing, and ready to run on this machine."""
    from layerwise.session import Session, make

    return Session(*make(wanted), wanted.jobs)


def _report(outcomes: Sequence[Outcome], draw: Callable[[], None]) -> None:
    """Print how the runs ended and draw what there is; exit code 1 when one failed."""
    from layerwise.plan import title_of

    for outcome in outcomes:
        click.echo(f"{title_of(outcome.run)}: "
                   f"{'FAILED: ' + outcome.error if outcome.error else 'scored'}")
    if any(not outcome.error for outcome in outcomes):
        draw()
    if any(outcome.error for outcome in outcomes):
        sys.exit(LayerwiseError.exit_code)


def _roots(folders: tuple[str, ...]) -> list[Path]:
    return [Path(folder) for folder in folders or ("results",)]


def _list(paths: list[Path]) -> None:
    for path in paths:
        click.echo(str(path))


def _write_results(folders: tuple[str, ...], out: Path, method: str = "bootstrap") -> None:
    from layerwise.analysis.claims import write_claims
    from layerwise.analysis.figures import draw_figures
    from layerwise.analysis.report import write_report
    from layerwise.analysis.tables import write_tables

    roots = _roots(folders)
    _list(draw_figures(roots, out, method))
    _list(write_tables(roots, out, method))
    _list(write_claims(roots, out))
    _list(write_report(roots, out, method))


def _summary(folder: Path) -> str:
    from layerwise.runs import RESULT, read_json

    result = read_json(folder / RESULT)
    return (f"{folder}: validation AUC {result['best_auc']:.4f} at iteration "
            f"{result['best_iteration']}, ended by {result['ended_by']} "
            f"after {result['iterations']}")


if __name__ == "__main__":
    main()
