"""`elsedu data list|fetch|verify`: which image sets there are, fetching the official files, checking them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit

from elsedu.cli.options import Root

OFFICIAL = "mnist, fashion_mnist, cifar10, celeba"


def list_sets():
    """List the image sets, where they come from, and whether they are here."""
    from elsedu.data import SOURCES

    rows = [("name", "images", "size", "splits", "where")]
    for name, source in SOURCES.items():
        size = "x".join(map(str, source.shape[1:])) + (" colour" if source.shape[0] == 3 else " gray")
        rows.append((name, f"{source.images:,}", size, ", ".join(source.splits), _where(name, source)))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)), row[4], sep="  ")
    print("\nsources")
    for name, source in SOURCES.items():
        print(f"  {name}: {source.credit}")


def fetch_sets(
    names: Annotated[list[str], Argument(help="mnist, fashion_mnist or cifar10; one or several.")],
):
    """Download official files into the cache, and compare them with their published checksums."""
    from elsedu.data import fetch
    from elsedu.data.download import check_fetchable

    for name in names:
        check_fetchable(name)  # all names, before the first download
    for name in names:
        print(f"{name}: complete and verified in {fetch(name)}")
    if os.environ.get("ELSEDU_DATA"):
        print(
            f"note: ELSEDU_DATA={os.environ['ELSEDU_DATA']} is set; elsedu reads from there, not from the cache"
        )


def verify_sets(
    names: Annotated[list[str] | None, Argument(help=f"Any of {OFFICIAL}. Default: all.")] = None,
    root: Root = None,
):
    """Compare the official files on this machine with the published MD5s, file by file.

    Exit status: 0 if no file differs, 1 if one does, 2 if there is nothing to compare.
    """
    from elsedu.data import verify

    checks = verify(names or None, root)
    for check in checks:
        published = f", published {check.expected}" if check.state == "differs" else ""
        print(f"{check.state:<21}  {check.name:<13}  {check.path}  md5 {check.found}{published}")
    counts = {state: sum(check.state == state for check in checks) for state in ("ok", "differs")}
    rest = len(checks) - sum(counts.values())
    print(f"{counts['ok']} ok, {counts['differs']} differ, {rest} without a published checksum")
    if counts["differs"]:
        print("A file that differs is damaged, or was made from another copy of the same pixels.")
        raise Exit(1)


def _where(name, source) -> str:
    from elsedu.data.download import download_folder
    from elsedu.data.loading import bases, find

    if source.embedded:
        return "embedded"
    root = os.environ.get("ELSEDU_DATA")
    if root:
        found = find(name, "train", bases(Path(root).expanduser(), name))
        place = found[0] if isinstance(found, list) else found
        return f"local: {place}" if found else f"not in ELSEDU_DATA={root}"
    if name == "celeba":
        return "ask for it (non-commercial research), then name its folder with ELSEDU_DATA"
    if find(name, "train", [download_folder(name)]):
        return f"downloaded: {download_folder(name)}"
    return f"downloaded when first loaded, or by `elsedu data fetch {name}`"
