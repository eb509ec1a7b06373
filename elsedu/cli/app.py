"""The command line: `elsedu sample`, `elsedu data list`, ... (also `python -m elsedu`).

The commands are plain functions in elsedu/cli; `build` names them all. To add one, write its
module there and add a line to `build`. Errors that the library raises are printed as one line,
`error: ...`, and the exit status is 2, as for a wrong option.
"""

from __future__ import annotations

import os
import sys

NEEDS_TYPER = 'the command line needs typer: python -m pip install "elsedu[cli]" (only `doctor` works without)'


def build():
    """The typer application with all commands."""
    import typer

    from elsedu.cli import calibrate, compare, data, doctor, reproduce, sample, train

    options = {"no_args_is_help": True, "add_completion": False, "rich_markup_mode": None}
    app = typer.Typer(
        help="The analytic theory of creativity in convolutional diffusion models, run.",
        pretty_exceptions_enable=False,
        **options,
    )
    app.command("sample")(sample.sample)
    app.command("calibrate")(calibrate.calibrate)
    app.command("compare")(compare.compare)
    app.command("reproduce")(reproduce.reproduce)
    app.command("train")(train.train)
    app.command("doctor")(doctor.doctor)

    sets = typer.Typer(help="Image sets: list, fetch, verify.", **options)
    sets.command("list")(data.list_sets)
    sets.command("fetch")(data.fetch_sets)
    sets.command("verify")(data.verify_sets)
    app.add_typer(sets, name="data")
    return app


def main(arguments=None):
    """Run the command line on `arguments` (default: those of the process) and exit.

    Exit status: 0 done; 1 the answer is no (`data verify` found a difference); 2 wrong use or input.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        import typer  # noqa: F401
    except ImportError:
        if given == ["doctor"]:  # what one runs when something is wrong
            from elsedu.cli.doctor import doctor

            sys.exit(doctor())
        asked = not given or given[0] in ("--help", "-h")
        print(NEEDS_TYPER if asked else f"error: {NEEDS_TYPER}", file=sys.stdout if asked else sys.stderr)
        sys.exit(0 if asked else 2)
    try:
        build()(args=arguments, prog_name="elsedu")
    except (ValueError, TypeError, OSError, ImportError, FloatingPointError) as error:
        # What the library says about wrong input, a missing file, an unwritable folder. Anything else
        # is a defect of elsedu and keeps its traceback.
        _stop(" ".join(str(error).split()) or type(error).__name__)
    except MemoryError as error:
        _stop(f"memory is not enough ({str(error) or 'MemoryError'}): take a smaller size, limit or batch")
    except RuntimeError as error:
        if "memory" not in str(error):  # what PyTorch raises where Python would raise MemoryError
            raise
        _stop(f"memory is not enough: {str(error).splitlines()[0]}; take a smaller size, limit or batch")


def _stop(message):
    print(f"error: {_who()}{message}", file=sys.stderr, flush=True)
    sys.exit(2)


def _who():
    """Which process speaks, if torchrun started several."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    return f"process {os.environ.get('RANK', 0)} of {world}: " if world > 1 else ""
