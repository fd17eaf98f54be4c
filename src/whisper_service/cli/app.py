"""The commands put together."""

from __future__ import annotations

from typing import Annotated

import typer

from whisper_service import __version__
from whisper_service.cli import bench, demo, doctor, evaluate, models, sweep, transcribe

_EXAMPLES = """\
[bold]Try first[/bold]
whisper-service demo

[bold]Then[/bold]
whisper-service transcribe meeting.mp4 -o meeting.srt
whisper-service transcribe mic --languages en,es
whisper-service doctor

Results go to stdout, everything else to stderr.
Exit codes: 0 done, 1 unexpected, 2 option, 3 audio, 4 model, 5 package, 6 output, 130 Ctrl-C.
"""

app = typer.Typer(
    name="whisper-service",
    help="Live speech to text with Whisper on a plain CPU, also when the speaker changes language.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"whisper-service {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_print_version, is_eager=True, metavar="", help="Print it."
        ),
    ] = False,
) -> None:
    """Options before the command."""


app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.command("transcribe", epilog=transcribe.EXAMPLES)(transcribe.transcribe)
app.add_typer(models.app, name="models")
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("bench", epilog=bench.EXAMPLES)(bench.bench)
app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("sweep", epilog=sweep.EXAMPLES)(sweep.sweep)
