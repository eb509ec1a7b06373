"""What travels: from home to the machine the image sets and what was begun; back home all that is new."""

from __future__ import annotations

import json
from pathlib import Path

from elsedu._common.files import write_bytes, write_text
from full_scale import parcels
from full_scale.plan import set_of

PRIVATE = ("celeba",)  # weights trained on these images stay where they are


def files_to_carry(work, homeward=True):
    """[name] of the files of a work folder that matter, the most important first.

    homeward : results with weights and pictures; otherwise only what is needed to go on. (Weights in half
    precision take the place of the others, where there are any.)
    """
    names = ["state.json"]
    names += _names(work, "kernels", "*")
    names += _names(work, "rows", "*.plan.json")
    begun = [row for row in work.rows if work.plan(row) is not None]
    for row in (row for row in begun if work.done(row)):
        result, stem = work.result(row), work.entry(row).stem
        names.append(_name(work, result))
        names += [_name(work, path) for path in sorted((work.folder / "rows" / stem).glob(f"{stem}.*.json"))]
        if homeward:
            names += [_name(work, result.with_suffix(".npz"))]
            if set_of(row) not in PRIVATE:
                names += [_name(work, work.weights(row)), _name(work, work.weights(row).with_suffix(".md"))]
    for row in (row for row in begun if not work.done(row)):
        stem = work.entry(row).stem
        names += [_name(work, path) for path in sorted((work.folder / "rows" / stem).glob(f"{stem}.*.json"))]
        weights = work.weights(row)
        names += [_name(work, weights), _name(work, weights.with_suffix(".md"))] if weights.exists() else \
            [_name(work, path) for path in sorted(work.checkpoint(row).glob("*.safetensors"))]
        names += _names(work, f"rows/{stem}/pieces", "**/*")
    if homeward:
        names.append("log.txt")
    return [name for name in dict.fromkeys(names) if (work.folder / name).is_file()]


def _name(work, path):
    return path.relative_to(work.folder).as_posix()


def _names(work, folder, pattern):
    return [_name(work, path) for path in sorted((work.folder / folder).glob(pattern)) if path.is_file()]


def load(work, limit, *, homeward=True, since=None, exact=False):
    """({name: content} of at most `limit` bytes in order of importance, [names left out]).

    since : {name: [size, time]} of what was sent before and has not changed since; not sent again
    exact : checkpoints with all digits; otherwise with the optimiser's moments in bfloat16
    """
    chosen, left, room = {}, [], limit - 64 * 1024
    for name in files_to_carry(work, homeward):
        path = work.folder / name
        if since is not None and since.get(name) == _stamp(path) and name != "state.json":
            continue
        half = path.with_suffix(f".half{path.suffix}")
        content = (half if homeward and half.exists() else path).read_bytes()
        if name.endswith("checkpoint.safetensors") and not exact:
            content = _rounded(path.parent)
        if len(content) + 256 > room:
            left.append(name)
            continue
        chosen[name], room = content, room - len(content) - 256
    return chosen, left


def _stamp(path):
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def _rounded(folder):
    from elsedu.training import checkpoint

    return checkpoint.content(checkpoint.rounded(checkpoint.load(folder)))


def send_home(work, out, *, pieces=8, size=parcels.PIECE, limit=60 * parcels.MIB, everything=False, exact=False):
    """Write what is new into `out` as pieces: (paths, [names left out]); they are remembered as sent."""
    memory = work.folder / "sent.json"
    since = json.loads(memory.read_text()) if memory.exists() and not everything else {}
    room = min(limit, (pieces - 1) * (size - parcels.HEADER))  # one file is for reading
    chosen, left = load(work, room, since=since, exact=exact)
    parts = parcels.split(f"home-{work.state['call']:04d}", "carry", parcels.bundle(chosen), size)
    paths = parcels.write(parts, out)
    write_text(Path(out) / "status.txt", "\n".join([*work.describe(), *(f"left out: {name}" for name in left)]) + "\n")
    stamps = {**since, **{name: _stamp(work.folder / name) for name in chosen}}
    write_text(memory, json.dumps(stamps))
    return paths, left


def take(work, content, force=False):
    """Unbundle what was carried, if it is newer than what is here; the names, [] if it is not."""
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        theirs = json.loads(archive.read("state.json"))
    if not force and work.state["call"] >= theirs["call"] > 0 and (work.folder / "state.json").exists():
        return []
    # the state comes last: if writing stops half-way, the next attempt is not taken for an old one
    names = parcels.unbundle(content, work.folder, lambda name: name != "state.json")
    return names + parcels.unbundle(content, work.folder, lambda name: name == "state.json")


def receive(folder, place, say=print):
    """Move pieces from a folder into an inbox; {parcel: (kind, content)} of those that are whole now.

    Pieces that came earlier wait in the inbox. Damaged ones are named and left where they are.
    """
    inbox = Path(place) / "inbox"
    found, notes, wrong = parcels.arrived(folder)
    for line in wrong:
        say(f"WARNING: {line}")
    for paths in found.values():
        for path in paths.values():
            write_bytes(inbox / path.name, path.read_bytes())
    found, notes, _ = parcels.arrived(inbox)
    whole = {}
    for key, paths in found.items():
        note = notes[key]
        missing = sorted(set(range(1, note["count"] + 1)) - set(paths))
        if missing:
            say(f"{note['parcel']}: waiting for piece {', '.join(map(str, missing))} of {note['count']}")
            continue
        whole[note["parcel"]] = (note["kind"], parcels.joined(paths, note), list(paths.values()))
    return whole


def journeys(pieces, limit):
    """Share pieces among journeys of at most `limit` bytes each, in order."""
    loads, used = [[]], 0
    for piece in pieces:
        if loads[-1] and used + len(piece.content) > limit:
            loads.append([])
            used = 0
        loads[-1].append(piece)
        used += len(piece.content)
    return loads


def pack(work, out, *, limit=40 * parcels.MIB, size=parcels.PIECE, keep=None, exact=False, say=print):
    """Pieces for all journeys to the machine, in folders out/1, out/2, ...: what was begun, then the image sets.

    limit : bytes a journey; keep : folder where packed image sets are kept for the next time
    """
    from full_scale import packs
    from full_scale.plan import declared

    pieces = []
    if (work.folder / "state.json").exists():
        chosen, _ = load(work, 8 * limit, homeward=False, exact=exact)
        pieces += parcels.split(f"begun-{work.state['call']:04d}", "carry", parcels.bundle(chosen), size)
    for name in dict.fromkeys(set_of(row) for row in work.rows if not work.done(row)):
        row = next(row for row in work.rows if set_of(row) == name)
        kept = None if keep is None else Path(keep) / f"{name}.pack"
        if kept is not None and kept.exists():
            content = kept.read_bytes()
        else:
            say(f"packing {name}")
            content = packs.pack(declared(row, work.state["rehearse"]).recipe)
            if kept is not None:
                write_bytes(kept, content)
        pieces += parcels.split(f"set-{name}", "set", content, size)
        say(f"{name}: {len(content) / parcels.MIB:.1f} MiB")
    paths = []
    for k, part in enumerate(journeys(pieces, limit), 1):
        paths += parcels.write(part, Path(out) / str(k))
        say(f"journey {k}: {len(part)} pieces, {sum(len(p.content) for p in part) / parcels.MIB:.1f} MiB")
    return paths
