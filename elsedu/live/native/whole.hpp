// The machines that compare whole images (IS, ES), for the page. In Python PyTorch does it.
#pragma once
#include "shift.hpp"

// Sums over the images (ES: and their cyclic shifts) seen so far: one softmax for all pixels.
struct WholeSums {
    double nearest;    // smallest squared distance
    double s, u;       // sum of weights, and of weight times log2 weight
    double *v, *v2;    // (channels, height, width): sums of weight times pixel, and times its square
    int64_t source;    // nearest image: its number times pixels + the shift
    bool tied;         // another one is as near, within rounding
};

// Bytes that add_whole_block needs (64-byte aligned).
int64_t whole_workspace(const Job &job);

// Add the images of one block; job.equivariant: with all their cyclic shifts.
void add_whole_block(const Job &job, int64_t block, WholeSums &sums, void *workspace);
