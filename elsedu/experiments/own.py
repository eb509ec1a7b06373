"""Your network against the theory: its windows are calibrated where there are none.

On the command line: `elsedu compare --network MY.py:build --data FOLDER`, which also writes a report to be sent.
"""

from __future__ import annotations

from pathlib import Path

from elsedu._common import records
from elsedu.machines.windows import ScaleSchedule
from elsedu.scales import shipped
from elsedu.scales.calibration import calibrate


def windows_of(network, data, place, *, steps=20, samples=10, say=print):
    """The shipped windows of a network, or those beside `place`, or freshly calibrated ones, {"els", "ls"}.

    Args:
        network: The denoiser.
        data: The ImageSet it was trained on.
        place: Path whose stem the files get: <stem>.els.json and <stem>.ls.json.
        steps, samples: Of the calibration.
        say: Called with a line of text.

    Raises:
        ValueError: If a file beside it belongs to another network or other data.
    """
    place, found, name = Path(place), {}, getattr(network, "name", None)
    if all(name in shipped.calibrated_names(kind) for kind in ("els", "ls")):
        return {kind: shipped.calibrated(name, kind) for kind in ("els", "ls")}
    for kind in ("els", "ls"):
        path = place.with_name(f"{place.stem}.{kind}.json")
        wanted = {"weights_hash": records.weights_hash(network), "data_hash": data.hash, "steps": steps}
        if path.exists():
            found[kind] = ScaleSchedule.load(path)
            other = [key for key, value in wanted.items() if found[kind].info.get(key) != value]
            if other:
                raise ValueError(f"{path} was calibrated under another {', '.join(other)}: move it away to calibrate "
                                 "again, or give --els and --ls")
            continue
        say(f"calibrating the windows of {kind.upper()} on {samples} reverse processes of the network")
        found[kind] = calibrate(network, kind, data, steps=steps, samples=samples)
        found[kind].save(path)
        say(f"{path}: {' '.join(map(str, found[kind].windows))}")
    return found
