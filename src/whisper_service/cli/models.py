"""``whisper-service models``: what is on this machine, and what can be fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whisper_service.cli import options as opt
from whisper_service.cli.console import Console
from whisper_service.cli.errors import reporting
from whisper_service.errors import ModelFormatError

if TYPE_CHECKING:
    from whisper_service.models.catalog import ModelEntry
    from whisper_service.models.store import LocalModel

EXAMPLES = """\
[bold]Examples[/bold]
whisper-service models fetch base                     [dim]# then it works offline[/dim]
whisper-service models fetch org/name --models-dir /srv/models
whisper-service models export demo ./checkpoint       [dim]# standard Hugging Face folder[/dim]
"""

app = typer.Typer(
    help="List, fetch, verify, remove and export models.",
    epilog=EXAMPLES,
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As for --model.", show_default=False)]


@app.command("list")
def list_models(*, models_dir: opt.ModelsDir = None, verbose: opt.Verbose = 0) -> None:
    """Show the models on this machine, and those that can be fetched by a short name."""
    with reporting(Console(verbosity=verbose)):
        from whisper_service.models.catalog import CATALOG
        from whisper_service.models.store import list_models as find_models

        here = find_models(models_dir=models_dir)
        _print_here(here)
        names = {model.name for model in here}
        _print_known([entry for entry in CATALOG if entry.name not in names])


@app.command("fetch")
def fetch(
    *,
    name: Name,
    models_dir: opt.ModelsDir = None,
    revision: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Branch, tag or commit. Default: the newest."),
    ] = None,
    verbose: opt.Verbose = 0,
    quiet: opt.Quiet = False,
) -> None:
    """Fetch a model, or what is missing of it, and print its folder."""
    console = Console(verbosity=-1 if quiet else verbose)
    with reporting(console):
        from whisper_service.models import store

        with console.progress(f"fetching {name}", unit="B") as advance:
            folder = store.fetch(name, models_dir=models_dir, revision=revision, progress=advance)
        typer.echo(folder)


@app.command("verify")
def verify(*, name: Name, models_dir: opt.ModelsDir = None, verbose: opt.Verbose = 0) -> None:
    """Compare each file with the digest it was published with. Exit code 4 if one differs."""
    with reporting(Console(verbosity=verbose)):
        from whisper_service.models import store

        checks = store.verify(name, models_dir=models_dir)
        for check in checks:
            typer.echo(f"{check.state:<8} {megabytes(check.size):>10}  {check.name}")
        bad = [check.name for check in checks if check.state in {"corrupt", "missing"}]
        if bad:
            error = ModelFormatError(f"the model {name!r} is damaged: {', '.join(bad)}")
            error.add_note(
                f"whisper-service models remove {name} && whisper-service models fetch {name}"
            )
            raise error


@app.command("remove")
def remove(
    *,
    name: Name,
    models_dir: opt.ModelsDir = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")] = False,
    verbose: opt.Verbose = 0,
) -> None:
    """Delete a fetched model from this machine."""
    console = Console(verbosity=verbose)
    with reporting(console):
        from whisper_service.models import store

        folder = store.removable(name, models_dir=models_dir)
        if not yes:
            typer.confirm(f"delete {folder}?", abort=True, err=True)
        freed = store.remove(name, models_dir=models_dir)
        console.note(f"removed {name}, {megabytes(freed)} freed")


@app.command("export")
def export(
    *,
    name: Name,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Made if it is not there.", show_default=False)
    ],
    models_dir: opt.ModelsDir = None,
    verbose: opt.Verbose = 0,
) -> None:
    """Write a model as a standard Hugging Face folder that other Whisper programs load."""
    with reporting(Console(verbosity=verbose)):
        from whisper_service.models.export import export as export_model

        typer.echo(export_model(name, folder, models_dir=models_dir))


def megabytes(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"


def _print_here(models: Sequence[LocalModel]) -> None:
    places = {"package": "embedded", "models_dir": "models dir", "hub_cache": "hub cache"}
    typer.echo("on this machine")
    width = max(len(model.name) for model in models)
    for model in models:
        place = places[model.place]
        typer.echo(f"  {model.name:<{width}}  {megabytes(model.size):>9}  {place}  {model.path}")


def _print_known(entries: Sequence[ModelEntry]) -> None:
    typer.echo("\nto fetch (any org/name on the hub works, too)")
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        languages = "English" if entry.languages == ("en",) else "99 languages"
        tasks = " and ".join(entry.tasks)
        typer.echo(f"  {entry.name:<{width}}  {megabytes(entry.size):>9}  {languages}: {tasks}")
