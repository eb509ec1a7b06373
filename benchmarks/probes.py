"""A kernel that does nothing but exponentials, for benchmarks/gpu.py: the device's limit for them."""

import triton
import triton.language as tl


@triton.jit
def exponentials(source, target, count, rounds, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    z = tl.load(source + at, mask=at < count, other=0.0)
    for _ in range(rounds):
        z = tl.exp2(z * -1.0)  # stays between 0 and 1, and no round can be left out
    tl.store(target + at, z, mask=at < count)
