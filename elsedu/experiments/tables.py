"""The book's table: the paper's numbers with ours beneath, rendered from the results, never typed.

Chapter "Prediction". The table is grouped by the rows of the paper: first what the paper found, beneath it
what was measured here, the tier nearest to the paper first. Ours that stand in for a row (digits of 16x16
pixels for the paper's MNIST) say so by their own name, tier and size.
"""

from __future__ import annotations

import html as escape
from pathlib import Path

from elsedu._common import records
from elsedu._common.files import SHIPPED
from elsedu.data import SOURCES
from elsedu.experiments.catalogue import PAPER, TIERS, experiment, names, with_changes
from elsedu.experiments.measurement import METRICS
from elsedu.machines.lineup import LINEUP

FOLDER = SHIPPED / "results"
COLUMNS = (*LINEUP, "nearest", "ceiling")
HEADS = {entry.name: entry.title for entry in LINEUP.values()} | {
    "nearest": "nearest", "ceiling": "ceiling", "above_is": "ELS > IS"}
STYLE = "text-align:left;padding:.4rem .4rem"
INDENT = "\u00a0\u00a0"     # no-break spaces: Markdown and HTML keep them


def stored(folder=None):
    """{file stem: record} of the comparisons in a folder (default: those shipped with the package)."""
    found = {}
    for path in sorted(Path(folder or FOLDER).glob("*.json")):
        record = records.read_json(path)
        if isinstance(record, dict) and "agreement" in record.get("measured", {}):
            records.check_result(record, path)
            found[path.stem] = record
    return found


def rows(folder=None, steps=150, metric="pearson_r", missing=True):
    """The table as a list of dicts, one an experiment and tier, grouped by the paper's rows.

    Each has "name", "tier", "size" ("16x16"), "images" (training images), "changes" (to the declared settings),
    "seeds", "device", "training" (what is known of it), "paper_row" (name of the row of the paper that it stands
    beside, or None), the median and interval of every column that was measured, {"median", "low", "high",
    "undefined"} under its name, "above_is" {"share", "low", "high"}, and "paper" {"els", "ls", "is", "above_is"}
    or None; the paper has no other metric than r.

    Order: what has no counterpart in the paper, then the paper's rows as it prints them; within a row full,
    laptop, embedded. missing: also rows of the paper that nobody has measured yet (their "seeds" is None).
    """
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}; known: {', '.join(METRICS)}")
    table = []
    for record in stored(folder).values():
        if str(steps) not in record["measured"]["agreement"]:
            continue
        agreement = record["measured"]["agreement"][str(steps)]
        provenance = record["provenance"]
        name = provenance["experiment"]
        row = {"name": name, "tier": provenance["tier"],
               "size": "x".join(map(str, provenance["data"]["shape"][1:])), "images": provenance["data"]["images"],
               "changes": provenance.get("changes") or {}, "seeds": record["measured"]["seeds"],
               "device": provenance["device"], "training": provenance.get("training"), "paper_row": _paper_row(name)}
        row["paper"] = _paper(row["paper_row"], steps) if metric == "pearson_r" else None
        for column in COLUMNS:
            if column in agreement:
                row[column] = agreement[column][metric]
        row["above_is"] = agreement.get("els", {}).get("above_is")
        table.append(row)
    if missing and metric == "pearson_r":
        seen = {row["paper_row"] for row in table}
        table += [{"name": name, "tier": "paper", "size": "32x32", "images": None, "changes": {}, "seeds": None,
                   "device": None, "training": None, "paper_row": name, "paper": _paper(name, steps)}
                  for name in PAPER if name not in seen]
    known, papers = names(), list(PAPER)

    def place(row):
        group = -1 if row["paper_row"] is None else papers.index(row["paper_row"])
        tier = -TIERS.index(row["tier"]) if row["tier"] in TIERS else 1
        changed = sorted(f"{key}{value}" for key, value in row["changes"].items())
        return group, tier, known.index(row["name"]) if row["name"] in known else len(known), changed

    return sorted(table, key=place)


def _paper_row(name):
    return name if name in PAPER else experiment(name).paper_row if name in names() else None


def _paper(row, steps):
    return PAPER.get(row, {}).get(str(steps))


def _number(entry, intervals):
    if entry is None:
        return ""
    value = entry.get("median", entry.get("share"))
    if value is None:
        return "not defined"
    text = f"{value:.3f}" + (f" [{entry['low']:.3f}, {entry['high']:.3f}]" if intervals else "")
    return text + (f" ({entry['undefined']} undefined)" if entry.get("undefined") else "")


def _tier(row):
    changed = "".join(f", {key.replace('_', ' ')} {value}" for key, value in sorted(row["changes"].items()))
    return f"{row['tier']}, {row['size']}{changed}"


def cells(table, columns=None, intervals=True):
    """(heads, lines): the table as text; a row of the paper, and ours of every tier indented beneath it.

    columns: which of COLUMNS and "above_is" to show (default: all that hold something, and the machine that
    ran it). intervals: also the 95 % intervals of our numbers; the paper gives none.
    """
    shown = [*COLUMNS, "above_is"] if columns is None else list(columns)
    for column in shown:
        if column not in HEADS:
            raise ValueError(f"unknown column {column!r}; known: {', '.join(HEADS)}")
    if columns is None:
        always = ("els", "ls", "is", "above_is")
        shown = [c for c in shown if c in always or any(row.get(c) for row in table)]
    lines, group = [], None
    for row in table:
        if row["paper"] and row["paper_row"] != group:
            group = row["paper_row"]
            paper = [f"{row['paper'][c]:.2f}" if c in row["paper"] else "" for c in shown]
            lines.append([group, "paper, 32x32", "100", *paper, ""])
        if row["seeds"] is not None:
            lines.append([(INDENT if row["paper"] else "") + row["name"], _tier(row), str(row["seeds"]),
                          *[_number(row.get(c), intervals) for c in shown], row["device"]])
    heads = ["experiment", "tier and size", "seeds", *[HEADS[c] for c in shown], "machine"]
    return (heads, lines) if columns is None else (heads[:-1], [line[:-1] for line in lines])


def markdown(table, columns=None, intervals=True):
    """The table in Markdown; columns and intervals as in `cells`."""
    heads, lines = cells(table, columns, intervals)

    def entry(text):  # a record may have come from elsewhere: Markdown passes HTML on, and | ends a cell
        return str(text).replace("<", "&lt;").replace("|", "&#124;").replace("\n", " ")

    rows_ = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(map(entry, line)) + " |" for line in rows_) + "\n"


# How a reader calls the parts of a row's name.
_DATA = {"digits": "digits 8×8", "mnist16": "MNIST 16×16", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST",
         "cifar10": "CIFAR-10", "celeba": "CelebA"}
_NETWORK = {"resnet": "ResNet", "unet": "UNet"}
_BORDER = {"zero": "zero border", "circular": "torus", "attention": "attention"}


def called(name):
    """How a reader calls an experiment: "mnist16-unet-zero" is "MNIST 16×16, UNet, zero border".

    Blanks before the name stay; a text that is no experiment's name comes back as it is.
    """
    bare = name.strip("\u00a0 ")
    data, _, rest = bare.partition("-")
    network, _, border = rest.partition("-")
    if data not in _DATA or network not in _NETWORK or border not in _BORDER:
        return name
    return name.replace(bare, f"{_DATA[data]}, {_NETWORK[network]}, {_BORDER[border]}")


def html(table, columns=None, intervals=True):
    """The table in HTML, for a notebook's output: experiments by the names that readers use.

    columns and intervals as in `cells`, but by default without the machine that ran it, ES, and ELS on a torus,
    which few readers look for. Wide tables scroll.
    """
    if columns is None:
        always = ("els", "ls", "is", "above_is")
        shown = [c for c in (*COLUMNS, "above_is") if c in always or any(row.get(c) for row in table)]
        columns = [c for c in shown if c not in ("es", "els_circular")]
    heads, lines = cells(table, columns, intervals)
    return grid(heads, [[called(line[0]), *line[1:]] for line in lines])


def grid(heads, lines):
    """Any table of text in HTML: heads, a list of str; lines, lists of as many. Wide tables scroll.

    An interval, "0.956 [0.948, 0.963]", goes onto a line of its own.
    """

    def entry(text):
        value, interval, rest = escape.escape(str(text)).partition(" [")
        return f'{value}<br><small style="white-space:nowrap;font-size:.82em">[{rest}</small>' if interval else value

    def head_style(column):
        """Long texts get lines of some 16 letters, not one line a word."""
        letters = max(len(str(text).partition(" [")[0]) for text in column)
        return f"{STYLE};min-width:{min(7.0, 0.5 * letters):.2g}em"

    def line(entries, tag, styles):
        return "<tr>" + "".join(f'<{tag} style="{style}">{entry(text)}</{tag}>'
                                for text, style in zip(entries, styles)) + "</tr>"

    top = line(heads, "th", [head_style(column) for column in zip(heads, *lines)])
    body = "".join(line(entries, "td", [STYLE] * len(heads)) for entries in lines)
    # the class "dataframe" keeps the dark theme from laying a light ground under it
    return ('<div class="pst-scrollable-table-container"><table class="table dataframe">'
            f"<thead>{top}</thead><tbody>{body}</tbody></table></div>")


def plain(table, columns=None, intervals=True):
    """The table as aligned text, for a terminal; columns and intervals as in `cells`."""
    heads, lines = cells(table, columns, intervals)
    widths = [max(len(line[k]) for line in (heads, *lines)) for k in range(len(heads))]
    return "\n".join("  ".join(entry.ljust(width) for entry, width in zip(line, widths)).rstrip()
                     for line in (heads, *lines))


def costs(tier, folder=None):
    """(heads, lines): every experiment of a tier with its command and the minutes it took, where it was run.

    A run with changed settings has a line of its own. Minutes of training, of both calibrations, and of drawing and
    comparing, on the machine that is named; "" where nothing was measured. ValueError for an unknown tier.
    """
    heads = ["command", "images", "training steps", "seeds", "train", "calibrate", "compare", "machine"]
    runs, lines = [record["provenance"] for record in stored(folder).values()], []
    entries = [with_changes(experiment(run["experiment"], run["tier"]), run["changes"]) for run in runs]
    found = {entry.stem: record for entry, record in zip(entries, stored(folder).values())}
    changed = [entry for entry in entries if entry.changes]
    for name in names(tier):
        entry = experiment(name, None if tier == "embedded" else tier)
        lines += [_cost(e, found.get(e.stem))
                  for e in (entry, *(c for c in changed if (c.name, c.tier) == (name, tier)))]
    return heads, lines


def _cost(entry, record):
    settings, options = entry.recipe.settings, entry.recipe.data_options
    tier = "" if entry.tier == "embedded" else f" --tier {entry.tier}"
    flags = {"epochs": "--epochs", "n_images": "--limit-images", "width": "--width"}
    changes = "".join(f" {flags[key]} {value}" for key, value in sorted(entry.changes.items()))
    count = options.get("limit") or SOURCES[entry.recipe.data].images
    seeds = entry.seeds if record is None else record["measured"]["seeds"]
    changes += f" --seeds {seeds}" if changes else ""
    line = [f"elsedu reproduce {entry.name}{tier}{changes}", f"{count:,}", f"{settings.steps:,}", str(seeds)]
    if record is None:
        return [*line, "", "", "", ""]
    known = record["provenance"]
    minutes = [(known.get("training") or {}).get("cpu_minutes"),
               _sum(calibration.get("minutes") for calibration in (known.get("calibration") or {}).values()),
               known.get("minutes")]
    return [*line, *("" if m is None else f"{m:.1f}" for m in minutes), known["device"]]


def _sum(numbers):
    numbers = [n for n in numbers if n is not None]
    return sum(numbers) if numbers else None


def studies(folder=None):
    """(heads, lines): every other result with its command and its minutes."""
    lines = []
    for path in sorted(Path(folder or FOLDER).glob("*.json")):
        record = records.read_json(path)
        if "agreement" in record.get("measured", {}):
            continue
        command, minutes = (record.get("provenance", {}).get(key) for key in ("command", "minutes"))
        if command is None:
            raise ValueError(f"{path.name} is no comparison, and does not say which command made it")
        lines.append([path.name, command,
                      "" if minutes is None else f"{minutes:.1f}", record["provenance"].get("device", "")])
    return ["file", "command", "minutes", "machine"], lines
