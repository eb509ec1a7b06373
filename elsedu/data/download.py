"""The official files: where they are, their published checksums, and how they are fetched.

A file is downloaded under a temporary name, compared with its published MD5, and only then renamed
(pooch does this). So an interrupted or damaged download leaves nothing that is later loaded. If one
address fails, or delivers other bytes, the next is tried.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from elsedu._common.checks import check_choice
from elsedu._common.progress import progress_wanted
from elsedu.data.formats import idx

from .cache import cache_folder

# MD5 as published by the hosts (and used by torchvision).
CHECKSUMS = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    "cifar10": {
        "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
        "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
        "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
        "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
        "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
    },
    "celeba": {"img_align_celeba.zip": "00d2c5bc6d35e252742224ab0c1e8fcb"},
}

# The folders the files are fetched from, in the order in which they are tried.
ADDRESSES = {
    "mnist": [
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ],
    "fashion_mnist": [
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "https://dataset.bj.bcebos.com/fashion_mnist/",
    ],
    "cifar10": [
        "https://www.cs.toronto.edu/~kriz/",
        "https://dataset.bj.bcebos.com/cifar/",
    ],
}

CELEBA_HELP = (
    "CelebA is for non-commercial research and is never downloaded: ask for img_align_celeba.zip at "
    "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, put it (or the unpacked img_align_celeba) into "
    "a folder of your own and name that folder with root= or ELSEDU_DATA"
)


def download_folder(name: str) -> Path:
    """Where downloaded files of a set lie."""
    return cache_folder() / "downloads" / name


def fetch(name: str, split: str | None = None) -> Path:
    """Make sure the official files of a set (of one split, or all) are in the cache; return their folder.

    Files that are there already are compared with their checksum, and replaced if they differ.

    Raises
    ------
    FileNotFoundError
        For celeba, which has to be asked for; the message says where.
    OSError
        If the cache folder cannot be written.
    ConnectionError
        If no address answers with a whole file; nothing is left behind.
    ValueError
        If a file was delivered, but nowhere with the published checksum; nothing is left behind.
    """
    check_fetchable(name)
    folder = download_folder(name)
    if name == "cifar10":
        files = ["cifar-10-python.tar.gz"]
    else:
        files = [f"{file}.gz" for part in ([split] if split else idx.FILES) for file in idx.FILES[part]]
    for file in files:
        path = folder / file
        if not path.is_file() or md5(path) != CHECKSUMS[name][file]:
            _check_writable(folder)
            _fetch_file(name, file, folder)
    return folder


def check_fetchable(name: str) -> None:
    """ValueError for a name that is no official set, FileNotFoundError for celeba (it has to be asked for)."""
    check_choice(name, CHECKSUMS, "official data set")
    if name == "celeba":
        raise FileNotFoundError(CELEBA_HELP)


def _fetch_file(name: str, file: str, folder: Path) -> None:
    import pooch
    import requests

    # Without "identity" a server may unpack the .gz on the way, and the checksum would not fit.
    plain = {"Accept-Encoding": "identity"}
    load = pooch.HTTPDownloader(progressbar=progress_wanted(), chunk_size=1 << 16, headers=plain)
    expected, failures, delivered = CHECKSUMS[name][file], [], False
    for address in ADDRESSES[name]:
        try:
            pooch.retrieve(address + file, f"md5:{expected}", fname=file, path=folder, downloader=load)
            return
        except requests.HTTPError as error:
            failures.append(f"{address + file}: HTTP {error.response.status_code}")
        except requests.Timeout:
            failures.append(f"{address + file}: no answer in time")
        except requests.exceptions.ChunkedEncodingError:
            failures.append(f"{address + file}: the transfer broke off")
        except requests.RequestException as error:
            failures.append(f"{address + file}: {type(error).__name__}")
        except ValueError:  # pooch: the checksum differs
            delivered = True
            failures.append(f"{address + file}: delivered a file whose MD5 is not the published {expected}")
        except OSError as error:  # a full disk, say
            raise OSError(f"{file} could not be written to {folder}, nothing was kept: {error}") from error
    message = (
        f"{file} of {name} could not be downloaded and nothing was kept. Tried: {'; '.join(failures)}. "
        "A copy of your own can be named with root= or ELSEDU_DATA."
    )
    raise ValueError(message) if delivered else ConnectionError(message)


def _check_writable(folder: Path) -> None:
    """OSError that says what to do, before anything is downloaded."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"the cache folder {folder} cannot be written ({error}): set ELSEDU_CACHE to a folder that can, "
            "or name local files with root= or ELSEDU_DATA"
        ) from error


def md5(path: Path) -> str:
    """The MD5 of a file, 32 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
