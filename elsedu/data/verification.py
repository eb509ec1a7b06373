"""Are the official files on this machine those that were published? `elsedu data verify`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from elsedu._common.checks import check_choice
from elsedu.data import download
from elsedu.data.formats import cifar, idx
from elsedu.data.loading import bases


@dataclass(frozen=True)
class FileCheck:
    """One file that `verify` looked at. `expected` is None where no checksum was published."""

    name: str
    path: Path
    found: str
    expected: str | None

    @property
    def state(self) -> str:
        """ "ok", "differs", or "no published checksum"."""
        if self.expected is None:
            return "no published checksum"
        return "ok" if self.found == self.expected else "differs"


def verify(names=None, root=None) -> list[FileCheck]:
    """Compare official files on this machine with the published MD5s, file by file.

    Looks into `root`, or, without it, into ELSEDU_DATA (if set) and the cache of downloads. Files
    that differ need not be damaged: a set converted from another copy has the same pixels and
    other bytes. Plain idx files and the binary batches are listed without a verdict: checksums are
    published for the .gz files and the archives only.

    Parameters
    ----------
    names : list of str, optional
        Official sets; all four by default.
    root : path, optional
        The folder `elsedu.load` is given.

    Raises ValueError for an unknown name and FileNotFoundError if there is no file to compare.
    """
    asked = list(download.CHECKSUMS) if names is None else list(names)
    roots = [Path(r).expanduser() for r in [root or os.environ.get("ELSEDU_DATA")] if r]
    checks, looked = {}, []
    for name in asked:
        check_choice(name, download.CHECKSUMS, "official data set")
        folders = [base for one in roots for base in bases(one, name)]
        folders += [] if root else [download.download_folder(name)]
        looked += folders
        for folder in dict.fromkeys(folder.resolve() for folder in folders):
            for file, expected in {**download.CHECKSUMS[name], **_unpublished(name)}.items():
                if not (folder / file).is_file():
                    continue
                check = FileCheck(name, folder / file, download.md5(folder / file), expected)
                # An idx file in the root itself can belong to either MNIST: report it once.
                if check.path not in checks or check.state == "ok":
                    checks[check.path] = check
    if not checks:
        places = ", ".join(map(str, dict.fromkeys(looked)))
        raise FileNotFoundError(f"no official file of {', '.join(asked)} to verify in {places}")
    return list(checks.values())


def _unpublished(name: str) -> dict[str, None]:
    """Official files that `elsedu.load` reads, but for which no host publishes a checksum."""
    if name == "celeba":
        return {}
    if name == "cifar10":
        return {f"{cifar.BINARY}/{batch}.bin": None for split in cifar.FILES.values() for batch in split}
    return {file: None for split in idx.FILES.values() for file in split}
