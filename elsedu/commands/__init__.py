"""The commands of `elsedu`, one module each; elsedu/cli.py lists them.

A command is a plain function whose typed arguments become options (typer reads them). It calls the
library, prints what it did, and lets the library's errors pass: `elsedu.cli.main` turns them into one
line. Heavy imports (torch) belong inside the function, so that `elsedu --help` answers at once.
"""
