"""Ask for every external address in the book, the README and the bibliography (`make links`)."""

import re
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = re.compile(r"https?://[^\s\"'<>\\)\]}`,]+")


def addresses(text):
    """External addresses in a text, without what is only an example or lies on this machine."""
    found = {match.rstrip(".;:") for match in ADDRESS.findall(text)}
    return {a for a in found if not re.match(r"https?://(127\.|localhost|example)", a)}


def sources():
    """The files that readers see."""
    book = (p for p in (ROOT / "book").rglob("*") if p.suffix in {".md", ".ipynb", ".bib"})
    return [ROOT / "README.md", ROOT / "CITATION.cff", *sorted(book)]


def trouble(address):
    """What is wrong with an address; None if it answers."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (link check of a book)"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        # These refuse programs, not readers.
        return None if error.code in {403, 418, 429} else str(error)
    except OSError as error:
        return str(error)
    return None


def main():
    where = {}
    for path in sources():
        for address in addresses(path.read_text(encoding="utf-8")):
            where.setdefault(address, path.relative_to(ROOT))
    with ThreadPoolExecutor(8) as pool:
        results = list(zip(where, pool.map(trouble, where)))
    bad = [(address, why) for address, why in results if why]
    for address, why in sorted(bad):
        print(f"{where[address]}: {address}: {why}")
    print(f"{len(results)} addresses, {len(bad)} without an answer")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
