"""What every study says about its own making: above all the command that makes it again."""

from __future__ import annotations

import shlex
import time

from elsedu._common import records


def made(study, arguments, start):
    """The common part of a result's provenance.

    Args:
        study: Name of the module in `studies`.
        arguments: Those of the command line, without the folder.
        start: `time.perf_counter()` when the work began.
    """
    return {
        "command": shlex.join(["python", "-m", f"studies.{study}", *map(str, arguments)]),
        "versions": records.versions(),
        "device": records.device_name(),
        "commit": records.commit(),
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "processor minutes": round(time.process_time() / 60, 1),
    }
