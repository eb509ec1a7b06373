"""Fail if CI left a browser test out or a page is missing; print the totals of the tests."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from pages import missing_pages, pages  # noqa: E402


def outcome(case):
    """passed, failed or skipped: the outcome of one test."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


def main(report):
    cases = list(ET.parse(report).getroot().iter("testcase"))
    totals = {kind: sum(outcome(c) == kind for c in cases) for kind in ("passed", "failed", "skipped")}
    browser = [c for c in cases if c.get("classname", "").startswith("tests.browser")]
    skipped = [c.get("name") for c in browser if outcome(c) == "skipped"]
    notebooks = {c.get("classname") for c in cases if c.get("classname", "").startswith("book.")}
    trouble = [f"browser test skipped: {name}" for name in skipped] + missing_pages()
    if not browser:
        trouble.append("no browser test ran")
    if len(notebooks) < sum(page.suffix == ".ipynb" for page in pages()):
        trouble.append(f"only these notebooks were tested: {sorted(notebooks)}")
    print("\n".join(trouble) or f"{len(pages())} pages, {len(notebooks)} notebooks, {len(browser)} browser tests")
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if trouble or totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
