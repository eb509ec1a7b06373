"""The book's table: the paper's numbers beside ours, rendered from the results, never typed (chapter "Prediction")."""

from __future__ import annotations

import html as escape
from pathlib import Path

from elsedu import records
from elsedu.comparison.measurement import METRICS
from elsedu.experiments import PAPER, experiment, names

FOLDER = Path(__file__).parent / "results"
COLUMNS = ("els", "els_circular", "ls", "is", "es", "wiener", "nearest", "ceiling")
HEADS = {"els": "ELS", "els_circular": "ELS (torus)", "ls": "LS", "is": "IS", "es": "ES", "wiener": "Wiener",
         "nearest": "nearest", "ceiling": "ceiling", "above_is": "ELS > IS"}


def stored(folder=None):
    """{file stem: record} of the comparisons in a folder (default: those shipped with the package)."""
    found = {}
    for path in sorted(Path(folder or FOLDER).glob("*.json")):
        record = records.read_json(path)
        if isinstance(record, dict) and "agreement" in record.get("measured", {}):
            found[path.stem] = record
    return found


def rows(folder=None, steps=150, metric="pearson_r", missing=True):
    """The table as a list of dicts, one an experiment and tier.

    Each has "name", "tier", "seeds", "device", "training" (what is known of it), the median and interval of every
    column that was measured, {"median", "low", "high", "undefined"} under its name, "above_is" {"share",
    "low", "high"}, and "paper" {"els", "ls", "is", "above_is"} or None; the paper has no other metric than r.
    missing: also rows of the paper that nobody has measured yet (their "seeds" is None).
    """
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}; known: {', '.join(METRICS)}")
    table, seen = [], set()
    for stem, record in stored(folder).items():
        name, _, tier = stem.partition(".")
        if str(steps) not in record["measured"]["agreement"]:
            continue
        agreement = record["measured"]["agreement"][str(steps)]
        provenance = record["provenance"]
        row = {"name": name, "tier": provenance.get("tier") or tier or "embedded",
               "seeds": record["measured"]["seeds"], "device": provenance["device"],
               "training": provenance.get("training"), "paper": _paper(name, steps) if metric == "pearson_r" else None}
        for column in COLUMNS:
            if column in agreement:
                row[column] = agreement[column][metric]
        row["above_is"] = agreement.get("els", {}).get("above_is")
        table.append(row)
        seen.add(name)
    if missing and metric == "pearson_r":
        table += [{"name": name, "tier": "paper", "seeds": None, "device": None, "training": None,
                   "paper": _paper(name, steps)} for name in PAPER if name not in seen]
    order = {name: k for k, name in enumerate(names())}
    return sorted(table, key=lambda row: (order.get(row["name"], len(order)), row["tier"]))


def _paper(name, steps):
    row = name if name in PAPER else experiment(name).paper_row if name in names() else None
    return PAPER.get(row, {}).get(str(steps))


def _number(entry):
    if entry is None:
        return ""
    value = entry.get("median", entry.get("share"))
    if value is None:
        return "not defined"
    text = f"{value:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]"
    return text + (f" ({entry['undefined']} undefined)" if entry.get("undefined") else "")


def cells(table):
    """(heads, lines): the table as text; the paper's row stands under ours."""
    shown = [column for column in (*COLUMNS, "above_is") if any(row.get(column) for row in table)
             or column in ("els", "ls", "is", "above_is")]
    lines = []
    for row in table:
        if row["seeds"] is not None:
            lines.append([row["name"], row["tier"], str(row["seeds"]), *[_number(row.get(c)) for c in shown],
                          row["device"]])
        if row["paper"]:
            paper = [f"{row['paper'][c]:.2f}" if c in row["paper"] else "" for c in shown]
            label = row["name"] if row["name"] in PAPER else experiment(row["name"]).paper_row
            lines.append([label, "paper, 32x32", "100", *paper, ""])
    return ["experiment", "tier", "seeds", *[HEADS[c] for c in shown], "machine"], lines


def markdown(table):
    """The table in Markdown."""
    heads, lines = cells(table)
    return "\n".join("| " + " | ".join(line) + " |" for line in (heads, ["---"] * len(heads), *lines)) + "\n"


def html(table):
    """The table in HTML, for a notebook's output."""
    heads, lines = cells(table)

    def line(entries, tag):
        return "<tr>" + "".join(f"<{tag}>{escape.escape(e)}</{tag}>" for e in entries) + "</tr>"

    return ("<table><thead>" + line(heads, "th") + "</thead><tbody>"
            + "".join(line(entries, "td") for entries in lines) + "</tbody></table>")


def plain(table):
    """The table as aligned text, for a terminal."""
    heads, lines = cells(table)
    widths = [max(len(line[k]) for line in (heads, *lines)) for k in range(len(heads))]
    return "\n".join("  ".join(entry.ljust(width) for entry, width in zip(line, widths)).rstrip()
                     for line in (heads, *lines))
