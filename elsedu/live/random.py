"""Normal noise from a seed, the same numbers as in the page (src/random.js).

xoshiro128** (Blackman and Vigna 2018) draws 32 random bits; its state is the first four outputs of
splitmix32(seed). The upper 24 bits make u in (0, 1), and Box and Muller make two normal numbers of two u.
"""

from __future__ import annotations

import math

import numpy as np

_MASK = 0xFFFFFFFF


def normal_noise(seed: int, length: int) -> np.ndarray:
    """Standard normal numbers, float32.

    Args:
        seed: integer, read modulo 2**32.
        length: how many.

    Returns:
        (length,) float32, equal to the page's up to the last digit of the logarithm and the cosine.

    >>> from elsedu.live.random import normal_noise
    >>> normal_noise(0, 3).shape
    (3,)
    """
    draw = _uniform(seed)
    noise = np.empty(length + length % 2, np.float32)
    for i in range(0, length, 2):
        radius, angle = math.sqrt(-2 * math.log(next(draw))), 2 * math.pi * next(draw)
        noise[i], noise[i + 1] = radius * math.cos(angle), radius * math.sin(angle)
    return noise[:length]


def _uniform(seed):
    """Numbers in (0, 1), 24 bits each."""
    for word in _xoshiro128(seed):
        yield ((word >> 8) + 0.5) / 2**24


def _xoshiro128(seed):
    words = _splitmix32(seed)
    s = [next(words) for _ in range(4)]
    while True:
        yield _rotated(s[1] * 5 & _MASK, 7) * 9 & _MASK
        t = s[1] << 9 & _MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = _rotated(s[3], 11)


def _splitmix32(seed):
    a = seed & _MASK
    while True:
        a = a + 0x9E3779B9 & _MASK
        z = (a ^ a >> 16) * 0x85EBCA6B & _MASK
        z = (z ^ z >> 13) * 0xC2B2AE35 & _MASK
        yield z ^ z >> 16


def _rotated(word, bits):
    return (word << bits | word >> 32 - bits) & _MASK
