"""How fast the machine in the page is, measured in headless Chromium on this computer.

    python benchmarks/live.py [--quick] [--workers 1] [--repeats 7] [--processor wasm] [--json FILE]

For each case: the median (and range) of the time of a whole sample; the seconds in which the page and its workers had
a processor (on a busy computer the honest number); the longest pause in which the page would not have answered its
reader; and the memory that belongs to page and workers alone. The targets are those of the living page: 1,797 digits
at least 40 steps a second, 500 handwritten digits of 16x16 a sample of 20 steps with calibrated windows under 1.5
seconds, pauses under 50 ms, memory under 200 MB.
"""

import argparse
import base64
import http.server
import json
import os
import platform
import statistics
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import elsedu
from elsedu.data.pixels import to_bytes
from elsedu.live.payload import network_payload

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from harness import ARGUMENTS, chromium_path  # noqa: E402

PAGE = b'<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>benchmark</title>'
NETWORKS = ("digits-resnet-zero", "mnist16-resnet-zero", "mnist16-unet-zero")


class Checkout(http.server.SimpleHTTPRequestHandler):
    """Serves the checkout, and a blank page."""

    def do_GET(self):
        if self.path != "/blank":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *args):
        pass


@contextmanager
def blank_page():
    """A page of a fresh headless Chromium in which `live` holds the engine and benchmarks/live.js."""
    from playwright.sync_api import sync_playwright

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Checkout, directory=str(ROOT)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with sync_playwright() as play:
            chromium = play.chromium.launch(executable_path=chromium_path(), headless=True, args=ARGUMENTS)
            page = chromium.new_page()
            page.goto(f"http://127.0.0.1:{server.server_address[1]}/blank")
            page.evaluate("window.elsedu_live = {register: (name, parts) => Object.assign(window.live ??= {}, parts)}")
            page.add_script_tag(url="/elsedu/live/dist/engine.js")
            page.evaluate("async () => { Object.assign(live, await import('/benchmarks/live.js')); }")
            devtools = chromium.new_browser_cdp_session()

            def processor_seconds():
                processes = devtools.send("SystemInfo.getProcessInfo")["processInfo"]
                return sum(process["cpuTime"] for process in processes if process["type"] == "renderer")

            def memory():
                """Bytes that only the renderer holds, WebAssembly and workers included; None where not to be had."""
                processes = devtools.send("SystemInfo.getProcessInfo")["processInfo"]
                pages = [process["id"] for process in processes if process["type"] == "renderer"]
                files = [Path(f"/proc/{number}/smaps_rollup") for number in pages]
                if not all(file.is_file() for file in files):
                    return None
                lines = [line.split() for file in files for line in file.read_text().splitlines()]
                return sum(1024 * int(line[1]) for line in lines if line[0] in ("Private_Clean:", "Private_Dirty:"))

            page.processor_seconds, page.memory = processor_seconds, memory
            yield page
            chromium.close()
    finally:
        server.shutdown()
        server.server_close()


def packed(images):
    """An image set as the page takes it."""
    count, channels, height, width = images.shape
    return {"images": base64.b64encode(to_bytes(images).tobytes()).decode(), "count": count, "channels": channels,
            "height": height, "width": width}  # fmt: skip


def cases():
    """{name: (images, windows, border)}."""
    digits, mnist = elsedu.load("digits").images, elsedu.load("mnist5k", size=16).images
    return {
        "1,797 digits 8x8, P = 3, circular": (digits, 3, "circular"),
        "1,797 digits 8x8, P = 3, zero border": (digits, 3, "zero"),
        "1,797 digits 8x8, calibrated windows": (digits, calibrated("digits-resnet-zero"), "zero"),
        "500 mnist 16x16, calibrated windows": (mnist[:500], calibrated("mnist16-resnet-zero"), "zero"),
        "5,000 mnist 16x16, calibrated windows": (mnist, calibrated("mnist16-resnet-zero"), "zero"),
        "100 photos 32x32, P = 7": (elsedu.load("photos32").images[:100], 7, "zero"),
    }


def calibrated(name):
    return list(elsedu.scales.calibrated(name).windows)


def spread(times):
    """Median, least and largest seconds."""
    return {"median": statistics.median(times) / 1e3, "least": min(times) / 1e3, "largest": max(times) / 1e3}


def line(times, processor_seconds, steps):
    """One sample in words."""
    return (f"{times['median']:6.2f} s ({times['least']:.2f} to {times['largest']:.2f}), processor "
            f"{processor_seconds:.2f} s = {steps / processor_seconds:.0f} steps a second")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--processor", choices=("wasm", "js"), default="wasm")
    parser.add_argument("--quick", action="store_true", help="one case and one network")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
               "load": os.getloadavg()[0]}  # fmt: skip
    record = {"machine": machine, "workers": options.workers, "steps": options.steps, "samples": [], "networks": []}
    with blank_page() as page:
        for name, (images, windows, border) in list(cases().items())[: 1 if options.quick else None]:
            asked = {"set": packed(images), "windows": windows, "border": border, "steps": options.steps,
                     "repeats": options.repeats, "workers": options.workers, "prefer": options.processor}  # fmt: skip
            before = page.processor_seconds()
            found = page.evaluate("(asked) => live.samples(asked)", asked)
            # seconds that the page and its workers had a processor: what others did on this computer hardly counts
            seconds = (page.processor_seconds() - before) / (options.repeats + 1)
            times = spread(found["times"])
            memory = page.memory()
            row = {"case": name, "kind": found["kind"], **times, "processor_seconds": seconds,
                   "longest_pause_ms": found["longest"],
                   "memory_MB": memory and memory / 1e6}  # fmt: skip
            record["samples"].append(row)
            print(f"{name:40s} {line(times, seconds, options.steps)}, pause {row['longest_pause_ms']:.0f} ms, "
                  f"memory {row['memory_MB'] or float('nan'):.0f} MB", flush=True)  # fmt: skip
        for name in NETWORKS[: 1 if options.quick else None]:
            asked = {"payload": network_payload(elsedu.networks.network(name)), "steps": options.steps,
                     "repeats": options.repeats, "prefer": "js" if options.processor == "js" else "auto"}  # fmt: skip
            before = page.processor_seconds()
            times = spread(page.evaluate("(asked) => live.drawings(asked)", asked)["times"])
            seconds = (page.processor_seconds() - before) / (options.repeats + 1)
            record["networks"].append({"case": name, **times, "processor_seconds": seconds})
            print(f"{name:40s} {line(times, seconds, options.steps)}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
