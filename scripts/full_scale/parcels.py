"""Parcels: any bytes, cut into pieces of a limited size with checksums, and put together again.

A piece is one file: a line that says what it is, a line of JSON (which parcel, which piece of how many,
checksums of the piece and of the whole), then the bytes. Pieces may arrive in any order and over several
journeys; only a whole parcel is opened, and a damaged piece is named.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from elsedu._common.files import write_bytes

MARK = b"elsedu parcel 1\n"
MIB = 2**20
PIECE = 15 * MIB
HEADER = 4096  # bytes kept free for it in every piece


@dataclass(frozen=True)
class Piece:
    """One file of a parcel. `content` is the whole file."""

    parcel: str
    kind: str
    number: int
    count: int
    whole: str
    content: bytes

    @property
    def file_name(self):
        return f"{self.parcel}.{self.number:02d}-of-{self.count:02d}.part"


def _digest(content):
    return hashlib.sha256(content).hexdigest()


def split(parcel, kind, content, size=PIECE):
    """Cut bytes into a list of Pieces of at most `size` bytes each."""
    room = size - HEADER
    if room < 1:
        raise ValueError(f"pieces of {size} bytes are too small; at least {HEADER + 1} are needed")
    chunks = [content[start:start + room] for start in range(0, len(content), room)] or [b""]
    whole, pieces = _digest(content), []
    for number, chunk in enumerate(chunks, 1):
        note = {"parcel": parcel, "kind": kind, "number": number, "count": len(chunks), "whole": whole,
                "bytes": len(chunk), "piece": _digest(chunk)}
        pieces.append(Piece(parcel, kind, number, len(chunks), whole, MARK + json.dumps(note).encode() + b"\n" + chunk))
    return pieces


def write(pieces, folder):
    """Write pieces into a folder; their paths."""
    paths = [Path(folder) / piece.file_name for piece in pieces]
    for path, piece in zip(paths, pieces):
        write_bytes(path, piece.content)
    return paths


def read(path):
    """(note, bytes) of one piece. ValueError, with its name, if it is damaged or no piece at all."""
    content = Path(path).read_bytes()
    if not content.startswith(MARK):
        raise ValueError(f"{path} is not a piece of a parcel")
    head, _, chunk = content[len(MARK):].partition(b"\n")
    try:
        note = json.loads(head)
        same = note["bytes"] == len(chunk) and note["piece"] == _digest(chunk)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged: its header cannot be read ({error!r})") from error
    if not same:
        raise ValueError(f"{path} is damaged: {len(chunk):,} of {note['bytes']:,} bytes, or other ones; send it again")
    return note, chunk


def arrived(folder):
    """({(parcel, whole): {number: path}}, {(parcel, whole): note}, [what is wrong]) of a folder's pieces."""
    found, notes, wrong = {}, {}, []
    for path in sorted(Path(folder).glob("*.part")) if Path(folder).is_dir() else []:
        try:
            note, _ = read(path)
        except ValueError as error:
            wrong.append(str(error))
            continue
        key = (note["parcel"], note["whole"])
        found.setdefault(key, {})[note["number"]] = path
        notes[key] = note
    return found, notes, wrong


def joined(paths, note):
    """The bytes of a parcel of which all pieces are there: {number: path}. ValueError if they do not fit."""
    content = b"".join(read(paths[number])[1] for number in range(1, note["count"] + 1))
    if _digest(content) != note["whole"]:
        raise ValueError(f"the pieces of {note['parcel']!r} do not make the parcel that was sent")
    return content


def bundle(files):
    """{name: bytes or Path} as one zip; weights and pictures are stored as they are, text is packed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            packed = name.endswith((".json", ".md", ".txt", ".log"))
            entry = zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            archive.writestr(entry, content if isinstance(content, bytes) else Path(content).read_bytes())
    return stream.getvalue()


def unbundle(content, folder, keep=lambda name: True):
    """Write the files of a bundle under `folder`, each whole or not at all; their names.

    Names that lead out of the folder are refused (ValueError) before anything is written.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if keep(name)]
        for name in names:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
                raise ValueError(f"a bundle holds the name {name!r}, which leads out of its folder")
        for name in names:
            write_bytes(Path(folder) / name, archive.read(name))
    return names
