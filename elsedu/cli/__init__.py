"""The commands of `elsedu`, one module each; `app` lists them.

A command is a plain function whose typed arguments become options (typer reads them). It calls the
library, prints what it did, and lets the library's errors pass: `elsedu.cli.app.main` turns them into one
line. Heavy imports (torch) belong inside the function, so that `elsedu --help` answers at once.
"""

from elsedu.cli.app import build, main

__all__ = ["build", "main"]
