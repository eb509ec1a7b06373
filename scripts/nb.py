"""Write a chapter as a plain text file, keep it as a clean notebook.

    python scripts/nb.py build chapter.nb.md CHAPTER.ipynb   text -> notebook without outputs
    python scripts/nb.py text CHAPTER.ipynb                  notebook -> text, on standard output
    python scripts/nb.py refresh CHAPTER.ipynb ...           execute, store the outputs that nbval compares
    python scripts/nb.py check CHAPTER.ipynb ...             the rules that every chapter keeps
    python scripts/nb.py minutes CHAPTER.ipynb ...           how long it takes to read (rule: see `minutes`)

In the text file a cell starts with ``%%% md ID`` or ``%%% code ID``. Lines that begin with ``| `` right
under the marker become metadata: ``| tags: a b``, ``| figure: fig-name``, ``| caption: text`` (continued by
lines that begin with ``|   ``), ``| alt: text`` and ``| width: 80%``.

Tags for the site (book/_ext/elsedu_page; the notebook is the same with and without): ``teach`` leaves a cell's code
open on the page, ``columns`` makes tables of what it prints, ``quiet`` leaves out what it prints.
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path

import nbformat

MARKER = re.compile(r"^%%% (md|code) ([a-z0-9-]+)\s*$")
IGNORE = "nbval-ignore-output"
TEACH = "teach"  # code that stays open on the page; all other code waits behind the page's switch
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
# Colab and JupyterLab hide the code of a solution; in the book it lies in a closed drop-down.
SOLUTION = {"cellView": "form", "jupyter": {"source_hidden": True}}
# The rule of `minutes`: seconds for a word, an equation, a figure, a line of code; minutes for one to three stars.
WORD, EQUATION, FIGURE, LINE = 60 / 200, 15, 10, 4
# The same for a reader who meets it all for the first time, with pen and paper and with the proofs; a formula in the
# line, too. (A student who read the book put an honest chapter at 40 to 60 minutes.)
STUDY_WORD, STUDY_EQUATION, STUDY_FORMULA, STUDY_FIGURE = 60 / 90, 30, 3, 25
STARS = {1: 5, 2: 10, 3: 20}


def parse(text):
    """Split the text form into (kind, id, options, source) tuples."""
    cells, lines = [], None
    for number, line in enumerate(text.splitlines(), 1):
        if match := MARKER.match(line):
            lines = []
            if match[2] in {name for _, name, _ in cells}:
                raise ValueError(f"line {number}: a second cell called {match[2]!r}")
            cells.append((match[1], match[2], lines))
        elif line.startswith("%%% "):
            raise ValueError(f"line {number}: expected '%%% md ID' or '%%% code ID', got {line!r}")
        elif lines is None:
            if line.strip():
                raise ValueError(f"line {number}: text before the first %%% marker: {line!r}")
        else:
            lines.append(line)
    parsed = []
    for kind, name, lines in cells:
        options, key = {}, None
        while kind == "code" and lines and lines[0].startswith("| "):
            line = lines.pop(0)
            if line.startswith("|   ") and key:
                options[key] += " " + line[1:].strip()
            else:
                key, colon, value = line[2:].partition(":")
                if not colon or key not in {"tags", "figure", "caption", "alt", "width"}:
                    raise ValueError(f"cell {name}: unknown option line {line!r}")
                options[key] = value.strip()
        parsed.append((kind, name, options, "\n".join(lines).strip("\n")))
    return parsed


def plain(caption):
    """A caption without markup, for the alternative text of a picture."""
    caption = re.sub(r"\{[a-z:]+\}`([^`<]*?)(?: ?<[^`]*>)?`", r"\1", caption)
    return re.sub(r"[$*_`\\{}]", "", caption)


def build(text):
    """The notebook of a text form: stable ids, no outputs, kernel python3."""
    cells, in_solution = [], False
    for kind, name, options, source in parse(text):
        if kind == "md":
            in_solution = (in_solution or "{solution-start}" in source) and "{solution-end}" not in source
            cells.append(nbformat.v4.new_markdown_cell(source, id=name))
            continue
        metadata = {}
        if tags := options.get("tags", "").split():
            metadata["tags"] = tags
        if in_solution:
            metadata |= SOLUTION
            source = source if source.startswith("# @title") else "# @title Solution\n" + source
        if "caption" in options:
            figure = {"caption": options["caption"], "align": "center"}
            if "figure" in options:
                figure["name"] = options["figure"]
            image = {"alt": options.get("alt", plain(options["caption"])), "align": "center"}
            if "width" in options:
                image["width"] = options["width"]
            metadata["mystnb"] = {"figure": figure, "image": image}
        cells.append(nbformat.v4.new_code_cell(source, id=name, metadata=metadata))
    language = {"name": "python", "mimetype": "text/x-python", "file_extension": ".py"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "language_info": language})


def text(notebook):
    """The text form of a notebook (the inverse of `build`)."""
    parts = []
    for cell in notebook.cells:
        lines = [f"%%% {'md' if cell.cell_type == 'markdown' else 'code'} {cell.id}"]
        if cell.cell_type == "code":
            if cell.metadata.get("tags"):
                lines.append("| tags: " + " ".join(cell.metadata.tags))
            mystnb = cell.metadata.get("mystnb", {})
            figure, image = mystnb.get("figure", {}), mystnb.get("image", {})
            if "name" in figure:
                lines.append("| figure: " + figure["name"])
            if "caption" in figure:
                lines.append("| caption: " + figure["caption"])
                if image.get("alt", plain(figure["caption"])) != plain(figure["caption"]):
                    lines.append("| alt: " + image["alt"])
            if "width" in image:
                lines.append("| width: " + str(image["width"]))
        source = cell.source
        if "cellView" in cell.metadata:
            source = source.removeprefix("# @title Solution\n")
        parts.append("\n".join([*lines, source, ""]))
    return "\n".join(parts)


def merged(outputs):
    """Outputs with the pieces of one stream joined: how a kernel cuts them up depends on its timing."""
    result = []
    for output in outputs:
        last = result[-1] if result else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last.text += output.text
        else:
            result.append(output)
    return result


def clean(notebook):
    """Strip what git must not hold; complain about pictures in cells whose outputs are compared."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        if IGNORE in cell.metadata.get("tags", []):
            cell.outputs, cell.execution_count = [], None
        cell.outputs = merged(cell.outputs)
        for output in cell.outputs:
            output.pop("metadata", None) if output.output_type == "stream" else output.update(metadata={})
            kinds = set(output.get("data", {})) - {"text/plain"}
            if kinds:
                raise ValueError(f"cell {cell.id}: shows {sorted(kinds)}; give it the tag {IGNORE}")
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {
        k: notebook.metadata.language_info[k] for k in ("name", "mimetype", "file_extension")
    }
    return notebook


def refresh(path, timeout=120):
    """Execute a notebook where it lies and store the outputs that nbval compares; return its seconds."""
    from nbclient import NotebookClient

    os.environ["ELSEDU_PROGRESS"] = "0"
    os.environ.pop("ELSEDU_BOOK", None)
    notebook = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    seconds = {}
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=lambda cell, cell_index: seconds.update({cell.id: -time.perf_counter()}),
        on_cell_executed=lambda cell, cell_index, execute_reply: seconds.update(
            {cell.id: seconds[cell.id] + time.perf_counter()}
        ),
    )
    client.execute()
    nbformat.write(clean(notebook), path)
    slowest = sorted(((s, name) for name, s in seconds.items() if s > 0), reverse=True)[:5]
    print(f"{path}: {time.perf_counter() - started:.1f} s in all; slowest cells:")
    for s, name in slowest:
        print(f"  {s:6.1f} s  {name}")


def problems(path):
    """House rules that a notebook breaks, as sentences."""
    notebook = nbformat.read(path, as_version=4)
    found = []
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernelspec must be python3")
    for cell in notebook.cells:
        where = f"cell {cell.id}"
        if cell.cell_type == "markdown":
            if re.search(r"^ *```+\{(?!code)", cell.source, re.M):
                found.append(f"{where}: use ::: fences for directives (Colab shows ``` ones as raw text)")
            if re.search(r"\]\((?!http|#|mailto)[^)]*\.ipynb\)", cell.source):
                found.append(f"{where}: link pages with {{ref}} or {{doc}}")
            continue
        tags = cell.metadata.get("tags", [])
        for line in cell.source.splitlines():
            if len(line) > 79:
                found.append(f"{where}: code line longer than 79 characters: {line[:60]}...")
        if TEACH in tags and {"hide-input", "hide-cell", "remove-input", "remove-cell", "live"} & set(tags):
            found.append(f"{where}: teaches and is hidden")
        if "execution" in cell.metadata:
            found.append(f"{where}: execution times are stored")
        if IGNORE in tags and (cell.outputs or cell.execution_count):
            found.append(f"{where}: outputs that are not compared are stored")
        if IGNORE not in tags and cell.execution_count is None:
            found.append(f"{where}: never refreshed (or tag it {IGNORE})")
        if "plt.show()" in cell.source and IGNORE not in tags:
            found.append(f"{where}: draws, but lacks the tag {IGNORE}")
        if "plt.show()" in cell.source and "def " not in cell.source and "mystnb" not in cell.metadata:
            found.append(f"{where}: a figure without a caption")
        if re.search(r"\bexplore(_images)?\(", cell.source) and IGNORE not in tags:
            found.append(f"{where}: an explorer, but lacks the tag {IGNORE}")
    if notebook.metadata.get("widgets"):
        found.append("widget state is stored")
    return found


def _pieces(source):
    """The lines of a markdown cell by where they belong: main path, drop-downs (optional), exercises."""
    lines = {"main": [], "optional": [], "exercises": []}
    where, outer = "main", []
    for line in source.splitlines():
        if match := re.match(r" *:{3,}\{([\w:-]+)\}", line):
            outer.append(where)
            where = {"exercise": "exercises", "dropdown": "optional"}.get(match[1], where)
        elif re.match(r" *:{3,}\s*$", line) and outer:
            where = outer.pop()
        elif re.match(r" *:class:.*\bdropdown\b", line):
            where = "optional"
        lines[where].append(line)
    return {where: "\n".join(part) for where, part in lines.items()}


def _count(markdown):
    """Words, displayed equations, formulas in the line (each is a word too); fences and options are none."""
    rest, equations = re.subn(r"\$\$.+?\$\$(?: \([^)]*\))?", "", markdown, flags=re.S)
    rest = re.sub(r"^ *(?::{3,}|:[\w-]+:).*$", "", rest, flags=re.M)
    rest, formulas = re.subn(r"\$[^$]+\$", "x", rest)
    rest = re.sub(r"\{[a-z:]+\}`([^`<]*?)(?: ?<[^`]*>)?`", r"\1", rest)
    return sum(bool(re.search(r"\w", word)) for word in rest.split()), equations, formulas


def minutes(notebook):
    """Minutes that a chapter takes: {"main": ..., "optional": ..., "exercises": ..., "study": ...}.

    The main path is all that stands open on the page: 200 words a minute, captions included; 15 s for a displayed
    equation, 10 s for a figure or explorer, 4 s for a line of code that is shown (tag ``teach``). Optional is what
    lies in drop-downs. Solutions, other code and the set-up cell cost nothing. An exercise costs the time to solve
    it, by its stars: 5, 10 or 20 minutes. Study is the main path and the drop-downs at the pace of a first meeting:
    90 words a minute, 30 s for an equation, 25 s for a figure, 3 s for a formula in the line, lines of code as above.

    The main path was tried on five chapters that took a teacher 24, 25, 24, 22 and 19 minutes: by the rule 24, 25,
    25, 22, 21.
    """
    seconds, in_solution = {"main": 0.0, "optional": 0.0, "exercises": 0.0, "study": 0.0}, False

    def read(where, markdown, figures=0):
        words, equations, formulas = _count(markdown)
        seconds[where] += WORD * words + EQUATION * equations + FIGURE * figures
        seconds["study"] += STUDY_WORD * words + STUDY_EQUATION * equations + STUDY_FORMULA * formulas
        seconds["study"] += STUDY_FIGURE * figures

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            in_solution = (in_solution or "{solution-start}" in cell.source) and "{solution-end}" not in cell.source
            if in_solution or "{solution-end}" in cell.source:
                continue
            pieces = _pieces(cell.source)
            for where in ("main", "optional"):
                read(where, pieces[where])
            for stars in re.findall(r"^(★+)", pieces["exercises"], re.M):
                seconds["exercises"] += 60 * STARS[len(stars)]
        elif not in_solution:
            if figure := cell.metadata.get("mystnb", {}).get("figure"):
                read("main", figure.get("caption", ""), figures=1)
            if TEACH in cell.metadata.get("tags", []):
                lines = LINE * sum(bool(line.strip()) for line in cell.source.splitlines())
                seconds["main"] += lines
                seconds["study"] += lines
    return {where: total / 60 for where, total in seconds.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("build")
    one.add_argument("source", type=Path)
    one.add_argument("notebook", type=Path)
    commands.add_parser("text").add_argument("notebook", type=Path)
    for name in ("refresh", "check", "minutes"):
        commands.add_parser(name).add_argument("notebooks", type=Path, nargs="+")
    args = parser.parse_args(argv)
    if args.command == "build":
        args.notebook.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(build(args.source.read_text(encoding="utf-8")), args.notebook)
    elif args.command == "text":
        print(text(nbformat.read(args.notebook, as_version=4)), end="")
    elif args.command == "refresh":
        for path in args.notebooks:
            refresh(path)
    elif args.command == "minutes":
        for path in args.notebooks:
            each = minutes(nbformat.read(path, as_version=4))
            print(f"{path}: " + ", ".join(f"{where} {time:.1f}" for where, time in each.items()) + " minutes")
    else:
        bad = [f"{path}: {problem}" for path in args.notebooks for problem in problems(path)]
        print("\n".join(bad) or "no problems")
        return 1 if bad else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
