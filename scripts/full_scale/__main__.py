"""Full scale: the rows of the paper's table that are still missing, on a lent GPU without a network.

    python scripts/full_scale pack                      at home: image sets and what was begun, in pieces
    python scripts/full_scale run --minutes 9           there: unpack, go on, leave what is new in --out
    python scripts/full_scale collect FOLDER --publish  at home: put it together, publish finished rows
    python scripts/full_scale status                    what is done and what is missing

`pack` writes folders build/full_scale/parcels/1, 2, ...; each is one journey. `run` takes the pieces in
--parcels, decides what comes next from what is in --work, and stops in time: first the kernels, right and
how fast; then MNIST, Fashion-MNIST, CIFAR-10, CelebA. It may be killed at any moment; called again it goes on.
On a machine that was given back in between, `pack` at home sends along what was begun.
`--rehearse` does all of it in miniature on the CPU.
"""

import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from full_scale.plan import ROWS, Work  # noqa: E402

BASE = Path("build/full_scale")


def parser():
    """The command line."""
    top = argparse.ArgumentParser(prog="full_scale", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True)

    def command(name, what):
        one = commands.add_parser(name, help=what)
        one.add_argument("--work", type=Path, default=BASE / "work", help="folder with everything that was done")
        one.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, help="some rows only")
        return one

    pack = command("pack", "make the pieces that travel to the machine")
    pack.add_argument("--out", type=Path, default=BASE / "parcels")
    pack.add_argument("--limit", type=float, default=40, help="MiB a journey")
    pack.add_argument("--keep", type=Path, default=BASE / "packs", help="packed image sets, for the next time")
    run = command("run", "work for some minutes")
    run.add_argument("--parcels", type=Path, default=BASE / "parcels")
    run.add_argument("--out", type=Path, default=BASE / "out", help="where the pieces that travel home are left")
    run.add_argument("--minutes", type=float, default=9)
    run.add_argument("--total", type=float, help="minutes of all calls together, for the lengths of training (27)")
    run.add_argument("--seeds", type=int, help="test seeds a row (100)")
    run.add_argument("--files", type=int, default=8, help="at most so many files in --out")
    run.add_argument("--out-limit", type=float, default=60, help="MiB in --out")
    run.add_argument("--everything", action="store_true", help="send home also what was sent before")
    run.add_argument("--no-kernels", action="store_true", help="leave the kernels untested")
    collect = command("collect", "put the pieces that came home together")
    collect.add_argument("folder", type=Path)
    collect.add_argument("--publish", action="store_true", help="copy finished rows into the package")
    collect.add_argument("--into", type=Path, help="publish into another folder")
    collect.add_argument("--force", action="store_true", help="also if it is older than what is here")
    command("status", "say what is done and what is missing")
    for one in (pack, run):
        one.add_argument("--rehearse", action="store_true", help="in miniature, on the CPU")
        one.add_argument("--size", type=float, default=15, help="MiB a piece")
        one.add_argument("--exact", action="store_true", help="checkpoints travel with all their digits")
    return top


def main(arguments=None):
    """Run one command; the exit status."""
    given = parser().parse_args(arguments)
    try:
        from full_scale import commands

        return getattr(commands, given.command)(given, Work(given.work, given.rows)) or 0
    except (OSError, ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
