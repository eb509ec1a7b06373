// The engine's C interface: chooses the kernel for this processor, shares the work among threads and joins
// what they found. It knows nothing of Python: library.py loads the shared library with ctypes, fills a
// Request, and owns every array. So one library serves every Python, and building it needs no Python headers.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

#include "shift.hpp"

#ifdef _WIN32
#define EXPORTED extern "C" __declspec(dllexport)
#else
#define EXPORTED extern "C" __attribute__((visibility("default")))
#endif

extern "C" const Kernel elsedu_shift_base;
#ifdef ELSEDU_HAS_AVX2
extern "C" const Kernel elsedu_shift_avx2;
#endif
#ifdef ELSEDU_HAS_AVX512
extern "C" const Kernel elsedu_shift_avx512;
#endif

// What the caller asks, and where the answer goes. library.py declares the same fields in the same order;
// `elsedu_layout` tells it where each of them lies, so that a difference is found before it does harm.
struct Request {
    int32_t version, size;  // interface_version, sizeof(Request)
    Job job;
    const char *isa;        // avx512, avx2 or base
    int32_t threads;
    // for each query and window (batch, windows, height, width), what is the same name in Sums
    double *m;              // -nearest / (2 sigma^2)
    double *sums;           // (batch, windows, height, width, terms)
    int64_t *source;
    uint8_t *tied;
};
static_assert(std::is_standard_layout<Request>::value, "offsetof and ctypes need a plain struct");

namespace {

constexpr int32_t interface_version = 1;

const Kernel *kernel(const char *isa) {
    if (!isa) return nullptr;
    if (!strcmp(isa, "base")) return &elsedu_shift_base;
#ifdef ELSEDU_HAS_AVX2
    if (!strcmp(isa, "avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &elsedu_shift_avx2;
#endif
#ifdef ELSEDU_HAS_AVX512
    if (!strcmp(isa, "avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        return &elsedu_shift_avx512;
#endif
    return nullptr;
}

// One thread's sums for every query and window.
struct Partial {
    std::vector<float> floats;
    std::vector<double> sums;
    std::vector<int64_t> source;
    std::vector<uint8_t> tied;
    std::vector<Sums> views;
    bool failed = false;

    Partial(const Job &job, int64_t pixels) {
        const int64_t problems = job.batch * job.window_count, n = job.terms();
        floats.assign(4 * problems * pixels, 3e38f);
        sums.assign(problems * pixels * n, 0.0);
        source.assign(problems * pixels, 0);
        tied.assign(problems * pixels, 0);
        for (int64_t k = 0; k < problems; k++) {
            float *f = floats.data() + 4 * k * pixels;
            views.push_back({f, f + pixels, f + 2 * pixels, f + 3 * pixels, sums.data() + k * pixels * n,
                             source.data() + k * pixels, tied.data() + k * pixels});
        }
    }
};

// Join the threads' sums: rescale to the nearest patch of all, as `merge` in state.py does.
void join(const Request &request, int64_t pixels, const std::vector<Partial> &partials) {
    const Job &job = request.job;
    const int n = job.terms();
    for (int64_t k = 0; k < job.batch * job.window_count; k++) {
        const double rate = 0.5 / (job.sigma[k / job.window_count] * job.sigma[k / job.window_count]);
        for (int64_t p = 0; p < pixels; p++) {
            const Sums *best = &partials[0].views[k];
            for (const Partial &partial : partials)
                if (partial.views[k].nearest[p] < best->nearest[p]) best = &partial.views[k];
            const int64_t at = k * pixels + p;
            request.m[at] = -double(best->nearest[p]) * rate;
            request.source[at] = best->source[p];
            request.tied[at] = best->tied[p];
            double *sum = request.sums + at * n;
            std::fill(sum, sum + n, 0.0);
            for (const Partial &partial : partials) {
                const Sums &s = partial.views[k];
                const double z = (double(best->nearest[p]) - s.nearest[p]) * rate, scale = std::exp(z);
                if (scale == 0) continue;
                for (int i = 0; i < n; i++) sum[i] += scale * s.sums[p * n + i];
                if (job.full) sum[n - 1] += scale * s.sums[p * n] * z * 1.4426950408889634;  // u is in powers of 2
                if (&s != best && s.nearest[p] <= best->nearest[p] * 1.000001f + 1e-30f) request.tied[at] = 1;
            }
        }
    }
}

// The part of the work that falls to thread t of `threads`: a block of images, and vertical shifts of it.
void work(const Kernel &kernel, const Job &job, int64_t shifts, int64_t units, int t, int threads, Partial &partial) {
    constexpr size_t alignment = 64;  // by hand: std::aligned_alloc is missing on Windows and older macOS
    size_t space = size_t(kernel.workspace(job)) + alignment;
    const std::unique_ptr<char[]> owner(new (std::nothrow) char[space]);
    void *memory = owner.get();
    if (!memory) {
        partial.failed = true;
        return;
    }
    std::align(alignment, space - alignment, memory, space);
    int64_t unit = units * t / threads;
    const int64_t last = units * (t + 1) / threads;
    while (unit < last) {
        const int64_t block = unit / shifts, end = std::min(last, (block + 1) * shifts);
        kernel.add_block(job, block, int(unit - block * shifts), int(end - block * shifts), partial.views.data(), memory);
        unit = end;
    }
}

void run(const Kernel &kernel, const Request &request) {
    const Job &job = request.job;
    const int smallest = *std::min_element(job.windows, job.windows + job.window_count);
    const int64_t shifts = !job.equivariant ? 1 : job.circular ? job.height : 2 * std::max(0, job.height - smallest) + 1;
    const int64_t blocks = (job.images + kernel.lanes - 1) / kernel.lanes, units = blocks * shifts;
    const int64_t pixels = int64_t(job.height) * job.width;
    const int threads = int(std::max<int64_t>(1, std::min<int64_t>(request.threads, units)));
    std::vector<Partial> partials;
    partials.reserve(threads);  // in place: a copy's views would point into the original's arrays
    for (int t = 0; t < threads; t++) partials.emplace_back(job, pixels);
    auto part = [&](int t) { work(kernel, job, shifts, units, t, threads, partials[t]); };
    std::vector<std::thread> others;
    others.reserve(threads);
    int started = 1;  // number 0 is this thread
    try {
        for (; started < threads; started++) others.emplace_back(part, started);
    } catch (const std::system_error &) {  // the system gives no more threads: this one does their parts too
    }
    part(0);
    for (int t = started; t < threads; t++) part(t);
    for (std::thread &thread : others) thread.join();
    for (const Partial &partial : partials)
        if (partial.failed) throw std::bad_alloc();
    join(request, pixels, partials);
}

// nullptr, or what is wrong with the request.
const char *wrong(const Request &request) {
    const Job &job = request.job;
    const void *const arrays[] = {job.dictionary, job.queries, job.alpha, job.sigma, job.windows,
                                  request.m, request.sums, request.source, request.tied};
    for (const void *array : arrays)
        if (!array) return "an array is missing";
    if (job.images < 1 || job.batch < 1) return "no images or no queries";
    if (job.channels < 1 || job.height < 1 || job.width < 1) return "an image without channels or pixels";
    if (job.window_count < 1) return "no windows";
    if (request.threads < 1) return "less than one thread";
    if (!(job.reach > 0)) return "reach is not positive";
    for (int i = 0; i < job.window_count; i++) {
        if (job.windows[i] < 1 || job.windows[i] % 2 == 0) return "a window that is not an odd number of pixels";
        if (i && job.windows[i] <= job.windows[i - 1]) return "windows that do not grow";
    }
    for (int64_t b = 0; b < job.batch; b++)
        if (!(job.sigma[b] > 0)) return "a sigma that is not positive";
    return nullptr;
}

#define FIELD(name) (#name ":" + std::to_string(offsetof(Request, name)) + " ")

}  // namespace

// Where each field lies: "version:0 size:4 ...".
EXPORTED const char *elsedu_layout() {
    static const std::string text =
        FIELD(version) + FIELD(size) + FIELD(job.dictionary) + FIELD(job.queries) + FIELD(job.images) + FIELD(job.batch) +
        FIELD(job.channels) + FIELD(job.height) + FIELD(job.width) + FIELD(job.alpha) + FIELD(job.sigma) +
        FIELD(job.windows) + FIELD(job.window_count) + FIELD(job.equivariant) + FIELD(job.circular) +
        FIELD(job.interior) + FIELD(job.full) + FIELD(job.reach) + FIELD(isa) + FIELD(threads) + FIELD(m) + FIELD(sums) +
        FIELD(source) + FIELD(tied) + "bytes:" + std::to_string(sizeof(Request));
    return text.c_str();
}

// Whether an instruction set (avx512, avx2, base) is built in and this processor has it.
EXPORTED int32_t elsedu_supports(const char *isa) { return kernel(isa) != nullptr; }

// The sums over all patches. nullptr if they were computed, else what is wrong, in English.
EXPORTED const char *elsedu_posterior(const Request *request) {
    if (!request || request->version != interface_version || request->size != int32_t(sizeof(Request)))
        return "the caller speaks another version of the interface";
    const Kernel *chosen = kernel(request->isa);
    if (!chosen) return "this processor (or build) does not have the instruction set";
    if (const char *why = wrong(*request)) return why;
    try {
        run(*chosen, *request);
    } catch (const std::bad_alloc &) {
        return "out of memory";
    } catch (...) {
        return "an unexpected error";
    }
    return nullptr;
}
