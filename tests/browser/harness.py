"""A local server and a headless Chromium for the built book."""

import atexit
import contextlib
import functools
import http.server
import shutil
import threading

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip


def chromium_path():
    """Debian's Chromium (or Chrome), None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serve(folder):
    """Serve a folder on a free port of this machine; yields the address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@functools.cache
def playwright():
    """The one Playwright of this process, which can hold no second one: stopped when Python ends."""
    from playwright.sync_api import sync_playwright

    play = sync_playwright().start()
    atexit.register(play.stop)
    return play


@contextlib.contextmanager
def browser(arguments=ARGUMENTS):
    """A headless Chromium."""
    chromium = playwright().chromium.launch(executable_path=chromium_path(), headless=True, args=arguments)
    try:
        yield chromium
    finally:
        chromium.close()


def local(url):
    """Whether a request stays on this machine."""
    return url.startswith(("http://127.0.0.1", "data:", "blob:", "about:"))


@contextlib.contextmanager
def watched(chromium, width=1400, height=1000, **options):
    """A page that notes console errors and every request that would leave the machine (and stops it)."""
    context = chromium.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    page.outside, page.complaints, page.missing = [], [], []
    page.on("request", lambda r: None if local(r.url) else page.outside.append(r.url))
    page.on("response", lambda r: page.missing.append(r.url) if r.status >= 400 else None)
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: page.complaints.append(str(e)))
    context.route("**/*", lambda route: route.continue_() if local(route.request.url) else route.abort())
    try:
        yield page
    finally:
        context.close()
