"""Give the repository a new address everywhere: python scripts/address.py https://github.com/OWNER/elsedu

The address is set in _config.yml; the set-up cells of the notebooks, the README and CITATION.cff repeat it
(tests/test_book.py compares them).
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def files():
    """All files that may name the address."""
    return [ROOT / "_config.yml", ROOT / "README.md", ROOT / "CITATION.cff", *sorted((ROOT / "book").rglob("*.ipynb")),
            *sorted((ROOT / "book").glob("**/*.md"))]  # fmt: skip


def replace(text, old, new):
    """The text with the new address, also where only OWNER/NAME stands, as in Colab links."""
    host = "https://github.com/"
    text = text.replace(old, new)
    return text.replace(f"/github/{old.removeprefix(host)}/", f"/github/{new.removeprefix(host)}/")


def main(new):
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", new):
        raise SystemExit(f"expected https://github.com/OWNER/NAME, got {new!r}")
    old = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]
    for path in files():
        before = path.read_text(encoding="utf-8")
        after = replace(before, old, new)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
