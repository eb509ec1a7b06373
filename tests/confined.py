"""Runs what may crash, hang or eat the memory in a child process with a limit on its memory and an alarm."""

import json
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

FORK = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits of a forked process need Linux")


@dataclass
class Outcome:
    """How the child ended."""

    kind: str  # "returned", the name of the exception, or "died of signal N"
    words: str  # what was returned, or the exception's message
    grown: int  # bytes: how far the memory in use rose above its start


def confined(function, *arguments, memory=1 << 30, seconds=20, **options) -> Outcome:
    """Call a function in a forked child that may take `memory` more bytes and so many seconds."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        with os.fdopen(read) as stream:
            answer = stream.read()
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status) or not answer:
            return Outcome(f"died of signal {os.WTERMSIG(status)}", "", 0)
        return Outcome(**json.loads(answer))
    try:
        torch.set_num_threads(1)  # a forked child cannot use the parent's OpenMP threads
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
        signal.alarm(seconds)
        start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            kind, words = "returned", str(function(*arguments, **options))[:2000]
        except BaseException as error:  # whatever it is, the parent is to see it
            kind, words = type(error).__name__, str(error)[:2000]
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) * 1024
        os.write(write, json.dumps({"kind": kind, "words": words, "grown": grown}).encode())
    finally:
        sys.stdout.flush()
        os._exit(0)
