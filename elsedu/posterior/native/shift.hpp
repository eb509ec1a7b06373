// What the kernel (shift.cpp, compiled once for each instruction set) and its caller (interface.cpp) share.
// Plain structs and pointers only: see simd.hpp for why nothing here may be an inline function.
#pragma once
#include <cstdint>

struct Job {
    // training images (images, channels, height, width) and noisy images (batch, channels, height, width)
    const float *dictionary, *queries;
    int64_t images, batch;
    int channels, height, width;
    const double *alpha, *sigma;  // (batch)
    const int32_t *windows;       // odd sides
    int window_count;
    bool equivariant, circular, interior;
    bool full;     // also the sums for the variance and the entropy, and ties
    double reach;  // weights below exp(-reach) of the largest are left out

    // sums at a pixel: s, v (channels), and if full v2 (channels), u: see elsedu/posterior/state.py
    int terms() const { return full ? 2 + 2 * channels : 1 + channels; }
};

// The sums over the patches one thread has seen, for one query and window; one entry for each pixel.
// Weights are relative to the nearest patch: w = exp((nearest - distance) / (2 sigma^2)).
struct Sums {
    float *nearest;    // smallest squared distance
    float *cutoff;     // patches farther than this are left out
    float *alert;      // closer patches change `nearest` or `tied`
    float *reference;  // the `nearest` that `sums` refers to (it lags behind within a block)
    double *sums;      // (pixels, terms)
    int64_t *source;   // nearest patch: image * pixels + its position
    uint8_t *tied;     // another patch is as near, within rounding
};

// One compiled version of the kernel.
struct Kernel {
    int lanes;                          // images in a block
    int64_t (*workspace)(const Job &);  // bytes a thread needs (64-byte aligned)
    // Add the patches of one block of images, vertical shifts number `begin` to `end` - 1, to
    // sums[query * window_count + window].
    void (*add_block)(const Job &, int64_t block, int begin, int end, Sums *sums, void *workspace);
};

// Vertical shifts of a job, in order: first + number.
struct Shifts {
    int first, count;
};
