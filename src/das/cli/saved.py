"""`das save`, `das restore`, `das verify`, `das audit`: finished work elsewhere and back, and what it rests on."""

import time
from pathlib import Path
from typing import Annotated

import typer

from das.cli.common import PARAMS, StudyFiles, from_here

app = typer.Typer()
Remote = Annotated[str | None, typer.Option("--remote", "-r", help="Name of DVC's remote; by default its default one.")]


@app.command()
def save(study_files: StudyFiles = PARAMS, remote: Remote = None):
    """Save the study's finished work in DVC's remote (docs/dvc.md). Exit status 1 if a result cannot stand.

    Writes dvc.lock, or docs/results/saved/STUDY.dvc for a study of further files: commit it with git.

    Example: das save --study params.yaml --study config/rivals.yaml
    """
    from das.study import load_study
    from das.study.saved import save

    kept, unfinished = save(load_study(study_files), remote)
    if unfinished:
        print(f"not finished, so not saved: {', '.join(unfinished)}")
    print(f"{kept}: names what was saved; `git add {kept}` and commit it")


@app.command()
def restore(
    wanted: Annotated[
        list[Path] | None, typer.Argument(callback=from_here, help="Files or folders of results; by default all.")
    ] = None,
    study_files: StudyFiles = PARAMS,
    remote: Remote = None,
    replace: Annotated[bool, typer.Option("--replace", help="Let what is there and differs give way.")] = False,
):
    """Restore the study's results from DVC's remote, where their places are empty, and check each of them. Exit status
    1 if something was saved that was not restored; each is named.

    Example: das restore results/checkpoints/quickstart/fashion_mnist/resnet8/das/seed0.pt
    """
    from das.study import load_study
    from das.study.saved import restore

    done = restore(load_study(study_files), wanted or [], remote, replace)
    print("\n".join([*done.refused, f"{done.files} files restored, {done.there} results were there already"]))
    raise typer.Exit(1 if done.refused else 0)


@app.command()
def verify(
    wanted: Annotated[
        list[Path] | None, typer.Argument(callback=from_here, help="Numbers or folders of them; by default the study.")
    ] = None,
    study_files: StudyFiles = PARAMS,
    again: Annotated[bool, typer.Option("--again", help="Evaluate the weights: the same scores to the digit?")] = False,
    remake: Annotated[bool, typer.Option("--remake", help="Search and train beside it: the same bytes?")] = False,
    one: Annotated[bool, typer.Option("--one", help="Of the numbers that are here one alone, by chance.")] = False,
):
    """Say of each result what it rests on: hashes traced, in milliseconds; with --again and --remake more
    (docs/verify.md). Exit status 1 if anything is at fault; each is named.

    Example: das verify results/numbers/quickstart/fashion_mnist/resnet8/das/seed0.json --again
    """
    from das.study import load_study
    from das.study.verify import by_chance, chosen, trace

    start, study = time.perf_counter(), load_study(study_files)
    if one:
        wanted = [by_chance(study, wanted or [])]
    traced = trace(study, wanted or [])
    for result in traced:
        print(f"{result.path}: {'; '.join([result.fault or str(result.tier), *result.notes])}")
    faults = sum(result.fault is not None for result in traced)
    took = time.perf_counter() - start
    print(f"{len(traced)} results traced in {took:.2f} s ({1000 * took / len(traced):.1f} ms each), {faults} at fault")
    if again or remake:
        from das import verification

        sound = {result.path for result in traced if not result.fault}
        runs = [run for run in chosen(study, wanted or []) if run.main in sound]
        asked = [*([verification.again] if again else []), *([verification.remake] if remake else [])]
        for outcome in (outcome for verified in asked for outcome in verified(study, runs)):
            print(
                f"{outcome.run.main}: {outcome.tier or 'fault'}: {outcome.said} ({outcome.seconds:.1f} s)", flush=True
            )
            faults += outcome.tier is None
    raise typer.Exit(1 if faults else 0)


@app.command()
def audit(study_files: StudyFiles = PARAMS):
    """List what of the study is there and cannot stand, by which input, and what making it again would cost. Exit
    status 1 if anything is.

    Example: das audit --study params.yaml --study config/rivals.yaml
    """
    from das.study import load_study
    from das.study.remaking import stale

    found = stale(load_study(study_files))
    for result in found:
        cost = "not known" if result.seconds is None else f"{result.seconds:.0f} s"
        print(f"{result.path}: {result.why} ({cost})")
    known = sum(result.seconds or 0 for result in found)
    print(f"{len(found)} stale; making them again takes {known:.0f} s, as recorded, one after the other")
    raise typer.Exit(1 if found else 0)
