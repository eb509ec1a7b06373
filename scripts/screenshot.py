"""Photograph pages of the built book: 1400 and 390 pixels wide, light and dark.

    python scripts/screenshot.py book/intro book/part1/ideal_score --out screenshots
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from harness import browser, serve  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", help="such as book/intro")
    parser.add_argument("--out", type=Path, default=ROOT / "screenshots")
    parser.add_argument("--height", type=int, help="only the first so many pixels")
    parser.add_argument("--only", help="such as 1400-light")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with serve(ROOT / "_build/html") as address, browser() as chromium:
        for width in (1400, 390):
            for theme in ("light", "dark"):
                if args.only and args.only != f"{width}-{theme}":
                    continue
                context = chromium.new_context(viewport={"width": width, "height": args.height or 900})
                context.add_init_script(f"localStorage.setItem('theme', '{theme}');"
                                        f"localStorage.setItem('mode', '{theme}')")  # fmt: skip
                page = context.new_page()
                for name in args.pages:
                    page.goto(f"{address}/{name}.html", wait_until="networkidle")
                    # Pictures below the fold wait for the reader, who is not coming.
                    page.evaluate("for (const e of document.images) e.loading = 'eager'")
                    page.evaluate("Promise.all([...document.images].map(e => e.decode().catch(() => 0)))")
                    file = args.out / f"{name.replace('/', '-')}-{width}-{theme}.png"
                    page.screenshot(path=str(file), full_page=args.height is None)
                    print(file)
                context.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
