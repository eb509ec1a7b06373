// One weight for a whole image: IS, and ES with all cyclic shifts (book, chapters "The ideal score" and
// "Equivariance").
//
// As in shift.cpp images lie side by side in the vector registers. The squared distance of a shift is summed row
// by row, and given up as soon as every image of the block is too far away to count; at low noise that is soon.
#include "whole.hpp"

#include <cmath>

#include "simd.hpp"

namespace {

struct Workspace {
    vec *image;      // (channels, height, 2 width): a block of images, each row twice, so that no column wraps
    reg *sums;       // (channels, height, width): sum of weight times pixel of this block, for each lane
    reg *squares;    // the same of the squared pixels
};

int64_t lay_out(const Job &job, void *memory, Workspace &w) {
    const int64_t values = int64_t(job.channels) * job.height * job.width;
    char *at = static_cast<char *>(memory);
    w.image = reinterpret_cast<vec *>(at);
    at += 2 * values * sizeof(vec);
    w.sums = reinterpret_cast<reg *>(at);
    at += values * sizeof(reg);
    w.squares = reinterpret_cast<reg *>(at);
    return at + values * sizeof(reg) - static_cast<char *>(memory);
}

int pack(const Job &job, int64_t block, vec *image) {
    const int64_t values = int64_t(job.channels) * job.height * job.width, first = block * lanes;
    const int count = job.images - first < lanes ? int(job.images - first) : lanes;
    float *out = reinterpret_cast<float *>(image);
    memset(out, 0, 2 * values * sizeof(vec));
    for (int lane = 0; lane < count; lane++) {
        const float *in = job.dictionary + (first + lane) * values;
        for (int64_t row = 0; row < job.channels * job.height; row++)
            for (int column = 0; column < 2 * job.width; column++)
                out[(row * 2 * job.width + column) * lanes + lane] = in[row * job.width + column % job.width];
    }
    return count;
}

struct Whole {
    const Job &job;
    const Workspace &w;
    WholeSums &total;
    int64_t block;
    int count;           // images in this block
    double rate, reach;  // of log2 weights; as a distance
    double s = 0, u = 0; // this block's

    // Row `row` of channel c of the images, moved by the shift
    const vec *moved(int c, int row, int dy, int dx) const {
        return w.image + (int64_t(c) * job.height + (row + dy) % job.height) * 2 * job.width + dx;
    }

    // Squared distances to the images of the block; false if all of them are beyond the cutoff.
    bool distances(int dy, int dx, double *distance) const {
        const double cutoff = total.nearest + reach;
        const reg alpha = fill(float(job.alpha[0]));
        const float *x = job.queries;
        for (int lane = 0; lane < lanes; lane++) distance[lane] = lane < count ? 0 : INFINITY;
        for (int c = 0; c < job.channels; c++)
            for (int row = 0; row < job.height; row++, x += job.width) {
                const vec *y = moved(c, row, dy, dx);
                vec sum = all(0);
                for (int column = 0; column < job.width; column++)
                    for (int k = 0; k < parts; k++) {
                        const reg difference = x[column] - alpha * y[column].part[k];
                        sum.part[k] += difference * difference;
                    }
                float row_sum[lanes];
                memcpy(row_sum, &sum, sizeof sum);
                bool near = false;
                for (int lane = 0; lane < lanes; lane++) {
                    distance[lane] += row_sum[lane];
                    near |= distance[lane] <= cutoff;
                }
                if (!near) return false;
            }
        return true;
    }

    void nearer(const double *distance, int64_t shift) {
        int best = 0, as_near = 0;
        for (int lane = 1; lane < lanes; lane++)
            if (distance[lane] < distance[best]) best = lane;
        const double least = distance[best], old = total.nearest, same = least * 1.000001 + 1e-30;
        for (int lane = 0; lane < lanes; lane++) as_near += distance[lane] <= same;
        if (least >= old) {
            total.tied |= old * 1.000001 + 1e-30 >= least;
            return;
        }
        const int64_t values = int64_t(job.channels) * job.height * job.width;
        const double z = (least - old) * rate, scale = old == INFINITY ? 0 : exp2(z);
        const float lane_scale = float(scale);
        if (scale > 0) u += s * z, total.u += total.s * z;
        s *= scale, u *= scale, total.s *= scale, total.u *= scale;
        for (int64_t i = 0; i < values; i++) {
            w.sums[i] *= lane_scale;
            w.squares[i] *= lane_scale;
            total.v[i] *= scale;
            total.v2[i] *= scale;
        }
        total.nearest = least;
        total.source = (block * lanes + best) * int64_t(job.height) * job.width + shift;
        total.tied = old <= same || as_near > 1;
    }

    void add(int dy, int dx) {
        double distance[lanes];
        if (!distances(dy, dx, distance)) return;
        double least = INFINITY;
        for (int lane = 0; lane < lanes; lane++) least = distance[lane] < least ? distance[lane] : least;
        if (least <= total.nearest * 1.000001 + 1e-30) nearer(distance, int64_t(dy) * job.width + dx);
        float weights[lanes];
        for (int lane = 0; lane < lanes; lane++) {
            const double z = (total.nearest - distance[lane]) * rate;
            const double weight = z < -100 ? 0 : exp2(z);
            weights[lane] = float(weight);
            s += weight;
            u += weight > 0 ? weight * z : 0;
        }
        vec weight;
        memcpy(&weight, weights, sizeof weight);
        reg *sum = w.sums, *square = w.squares;
        for (int c = 0; c < job.channels; c++)
            for (int row = 0; row < job.height; row++) {
                const vec *y = moved(c, row, dy, dx);
                for (int column = 0; column < job.width; column++) {
                    const vec value = weight * y[column];
                    *sum++ += fold(value);
                    if (job.full) *square++ += fold(value * y[column]);
                }
            }
    }

    void run() {
        for (int dy = 0; dy < (job.equivariant ? job.height : 1); dy++)
            for (int dx = 0; dx < (job.equivariant ? job.width : 1); dx++) add(dy, dx);
        const int64_t values = int64_t(job.channels) * job.height * job.width;
        total.s += s;
        total.u += u;
        for (int64_t i = 0; i < values; i++) {
            total.v[i] += ::total(w.sums[i]);
            total.v2[i] += ::total(w.squares[i]);
        }
    }
};

}  // namespace

int64_t whole_workspace(const Job &job) {
    Workspace w;
    return lay_out(job, nullptr, w);
}

void add_whole_block(const Job &job, int64_t block, WholeSums &sums, void *workspace) {
    Workspace w;
    lay_out(job, workspace, w);
    const int64_t values = int64_t(job.channels) * job.height * job.width;
    memset(w.sums, 0, values * sizeof(reg));
    memset(w.squares, 0, values * sizeof(reg));
    const double rate = 0.5 / (job.sigma[0] * job.sigma[0]) * 1.4426950408889634;
    Whole whole{job, w, sums, block, pack(job, block, w.image), rate, job.reach * 1.4426950408889634 / rate};
    whole.run();
}
