"""Writes small data sets in the official file formats, and serves them badly."""

import gzip
import io
import pickle
import struct
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

IDX_NAMES = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
             "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}  # fmt: skip


def random_bytes(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def idx_bytes(array):
    array = np.ascontiguousarray(array, np.uint8)
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder, split="train", count=20, packed=True, seed=0):
    """The two files of a split; returns (pixels (N, 28, 28), labels)."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels, labels = random_bytes(count, 28, 28, seed=seed), np.arange(count) % 10
    for name, array in zip(IDX_NAMES[split], (pixels, labels)):
        content = idx_bytes(array)
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / name).write_bytes(content)
    return pixels, labels


def cifar_batches(count=10):
    """{name: (pixels (n, 3072), labels)} of the five training batches and the test batch."""
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    return {
        name: (random_bytes(count, 3072, seed=i), (np.arange(count) + i) % 10) for i, name in enumerate(names)
    }


def pickled(pixels, labels, protocol=4):
    return pickle.dumps({b"data": pixels, b"labels": labels.tolist(), b"batch_label": b"x"}, protocol)


def cifar_files(kind, count=10, protocol=4):
    """{path: content} of the python ("py") or the binary ("bin") version."""
    files = {}
    for name, (pixels, labels) in cifar_batches(count).items():
        if kind == "py":
            files[f"cifar-10-batches-py/{name}"] = pickled(pixels, labels, protocol)
        else:
            rows = np.concatenate([labels[:, None].astype(np.uint8), pixels], 1)
            files[f"cifar-10-batches-bin/{name}.bin"] = rows.tobytes()
    return files


def write_folder(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def tar_gz(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def face(seed, width=45, height=55):
    """A photograph in the manner of CelebA: JPEG bytes, upright."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 120 * np.sin(x / (3 + c) + y / (5 + seed) + seed) for c in range(3)]
    stream = io.BytesIO()
    Image.fromarray(np.stack(waves, -1).astype(np.uint8)).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def celeba_files(count=12):
    return {f"img_align_celeba/{i + 1:06d}.jpg": face(i) for i in range(count)}


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


class Server:
    """Serves `files` at /<behaviour>/<file>; the behaviour says what goes wrong."""

    def __init__(self, files):
        self.files, self.log, self.stalled = files, [], threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                behaviour, name = self.path[1:].split("/")
                outer.log.append(f"{behaviour}/{name}")
                content = outer.files[name]
                if behaviour == "missing":
                    self.send_error(404)
                    return
                if behaviour == "unpacks" and "gzip" in self.headers.get("Accept-Encoding", ""):
                    self.send_response(200)  # what some hosts do with .gz files unless told not to
                    self.send_header("Content-Encoding", "gzip")
                else:
                    self.send_response(200)
                if behaviour != "unsized":
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if behaviour == "corrupts":
                    content = content[:-1] + bytes([content[-1] ^ 1])
                if behaviour in ("truncates", "unsized", "stalls"):
                    content = content[: len(content) // 2]
                self.wfile.write(content)
                self.wfile.flush()
                if behaviour == "stalls":
                    outer.stalled.set()
                    time.sleep(30)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
