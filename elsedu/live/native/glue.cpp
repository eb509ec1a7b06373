// The kernel of posterior/native/shift.cpp as a WebAssembly module: memory, and one question at a time.
//
// A worker of the page fills `images` and `query`, calls `ask`, then `add` for a few blocks of images at a time (in
// between it listens whether the question is still wanted), and reads the sums at `answer`: numbers in double
// precision, in the order of a State in src/engine/state.js.
#include <cstdlib>
#include <cstring>

#include "shift.hpp"
#include "whole.hpp"

#define EXPORT(name) __attribute__((export_name(#name)))

extern "C" const Kernel elsedu_shift_base;

namespace {

const Kernel &kernel = elsedu_shift_base;

struct Question {
    double alpha, sigma;
    int32_t window;
    int first;        // image at which the class begins
    bool whole;
    Job job;
    Sums sums;        // of the patch machines
    WholeSums all;    // of the whole-image machines
    void *workspace;
    double *answer;
};

float *dictionary, *x;
int channels, height, width;
Question q;

template <class T>
T *allocate(int64_t count) {
    // WebAssembly without an allocator's exceptions: a page that runs out of memory ends in a trap, which JavaScript sees
    void *memory = aligned_alloc(64, (count * int64_t(sizeof(T)) + 63) / 64 * 64);
    if (!memory) __builtin_trap();
    return static_cast<T *>(memory);
}

int64_t pixels() { return int64_t(height) * width; }

void forget() {
    free(q.sums.nearest);
    free(q.sums.sums);
    free(q.sums.source);
    free(q.sums.tied);
    free(q.all.v);
    free(q.workspace);
    free(q.answer);
    q = Question{};
}

}  // namespace

extern "C" {

// Room for `count` images (channels, height, width), to be filled once.
EXPORT(images) float *images(int count, int image_channels, int image_height, int image_width) {
    forget();
    free(dictionary);
    free(x);
    channels = image_channels, height = image_height, width = image_width;
    x = allocate<float>(channels * pixels());
    return dictionary = allocate<float>(count * channels * pixels());
}

// Room for the noisy image of the next question.
EXPORT(query) float *query() { return x; }

// The next question, about images first to first + count - 1. Returns the number of blocks to add.
EXPORT(ask) int ask(int first, int count, int whole, int equivariant, int circular, int window, int full, double alpha,
                    double sigma, double reach) {
    forget();
    q.alpha = alpha, q.sigma = sigma, q.window = window, q.first = first, q.whole = whole;
    Job &job = q.job;
    job.dictionary = dictionary + first * channels * pixels();
    job.queries = x;
    job.images = count;
    job.batch = 1;
    job.channels = channels, job.height = height, job.width = width;
    job.alpha = &q.alpha, job.sigma = &q.sigma;
    job.windows = &q.window;
    job.window_count = 1;
    job.equivariant = equivariant, job.circular = circular, job.full = full;
    job.reach = reach;
    const int64_t values = channels * pixels();
    if (whole) {
        double *v = allocate<double>(2 * values);
        memset(v, 0, 2 * values * sizeof(double));
        q.all = {__builtin_inf(), 0, 0, v, v + values, 0, false};
        q.workspace = allocate<char>(whole_workspace(job));
    } else {
        float *f = allocate<float>(4 * pixels());
        for (int64_t i = 0; i < 4 * pixels(); i++) f[i] = 3e38f;
        const int64_t terms = job.terms() * pixels();
        q.sums = {f, f + pixels(), f + 2 * pixels(), f + 3 * pixels(), allocate<double>(terms),
                  allocate<int64_t>(pixels()), allocate<uint8_t>(pixels())};
        memset(q.sums.sums, 0, terms * sizeof(double));
        memset(q.sums.source, 0, pixels() * sizeof(int64_t));
        memset(q.sums.tied, 0, pixels());
        q.workspace = allocate<char>(kernel.workspace(job));
    }
    return (count + kernel.lanes - 1) / kernel.lanes;
}

// Add the blocks begin to end - 1.
EXPORT(add) void add(int begin, int end) {
    const int reach = height > q.window ? height - q.window : 0;
    const int shifts = !q.job.equivariant ? 1 : q.job.circular ? height : 2 * reach + 1;
    for (int block = begin; block < end; block++)
        if (q.whole) add_whole_block(q.job, block, q.all, q.workspace);
        else kernel.add_block(q.job, block, 0, shifts, &q.sums, q.workspace);
}

// nearest, s, u, source, tied (n each; n = 1 for whole images, else height width), v, v2 (channels, height, width).
EXPORT(answer) double *answer() {
    constexpr double log_2 = 0.6931471805599453;
    const int64_t n = q.whole ? 1 : pixels(), values = channels * pixels(), source_of_first = q.first * pixels();
    free(q.answer);
    q.answer = allocate<double>(5 * n + 2 * values);
    double *nearest = q.answer, *s = nearest + n, *u = s + n, *source = u + n, *tied = source + n, *v = tied + n, *v2 = v + values;
    if (q.whole) {
        *nearest = q.all.nearest, *s = q.all.s, *u = q.all.u * log_2;
        *source = double(q.all.source + source_of_first), *tied = q.all.tied;
        memcpy(v, q.all.v, values * sizeof(double));
        memcpy(v2, q.all.v2, values * sizeof(double));
        return q.answer;
    }
    const int terms = q.job.terms();
    for (int64_t p = 0; p < n; p++) {
        const double *sum = q.sums.sums + p * terms;
        nearest[p] = q.sums.nearest[p];
        s[p] = sum[0];
        u[p] = q.job.full ? sum[terms - 1] * log_2 : 0;
        source[p] = double(q.sums.source[p] + source_of_first);
        tied[p] = q.sums.tied[p];
        for (int c = 0; c < channels; c++) {
            v[c * n + p] = sum[1 + c];
            v2[c * n + p] = q.job.full ? sum[1 + channels + c] : 0;
        }
    }
    return q.answer;
}

}  // extern "C"
