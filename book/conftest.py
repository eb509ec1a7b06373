"""Let the notebook kernels that nbval starts import ``elsedu`` from this checkout, without progress bars."""

import os
import pathlib

ROOT = str(pathlib.Path(__file__).parents[1].resolve())
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
os.environ["ELSEDU_PROGRESS"] = "0"
