"""Build the book with the cache of executed notebooks (`make preview`).

The cache knows the cells of a notebook but not the package: after a change in elsedu/, ``--fresh`` empties it. With
``--only part1/ideal_score part3/scales`` the book has these chapters alone (and links to others lead nowhere).
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="execute every notebook again")
    parser.add_argument("--only", nargs="+", metavar="CHAPTER", help="build these chapters and the reference alone")
    parser.add_argument("--strict", action="store_true", help="warnings are errors")
    args = parser.parse_args()
    if args.fresh:
        shutil.rmtree(ROOT / "_build/.jupyter_cache", ignore_errors=True)
    if (ROOT / "_build/html/_static").is_file():
        # An interrupted build leaves the logo under this name, and the next one stumbles over it.
        shutil.rmtree(ROOT / "_build/html")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["execute"]["execute_notebooks"] = "cache"
    # Jupyter Book looks for extensions beside the configuration file.
    config["sphinx"]["local_extensions"] = {"elsedu_book": str(ROOT / "book/_ext")}
    settings = ROOT / "_build/preview.yml"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    if args.only:
        known = [c["file"] for part in toc["parts"] for c in part["chapters"]]
        if unknown := [name for name in args.only if f"book/{name}" not in known]:
            there = ", ".join(name[5:] for name in known if "/part" in name)
            parser.error(f"no chapter {', '.join(unknown)}; there are {there}")
        for part in toc["parts"][:-1]:
            part["chapters"] = [c for c in part["chapters"] if c["file"][5:] in args.only]
        toc["parts"] = [part for part in toc["parts"] if part["chapters"]]
    contents = settings.with_name("preview-toc.yml")
    contents.write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(ROOT), "--config", str(settings),
               "--toc", str(contents)]
    return subprocess.run(command + ["-W", "--keep-going"] * args.strict, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
