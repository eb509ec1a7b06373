// The Python module elsedu.posterior._shift: chooses the kernel for this processor, shares the work among
// threads and joins what they found. Arrays come and go as addresses; shift_native.py owns them.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "shift.hpp"

extern "C" const Kernel elsedu_shift_base;
#ifdef ELSEDU_HAS_AVX2
extern "C" const Kernel elsedu_shift_avx2;
#endif
#ifdef ELSEDU_HAS_AVX512
extern "C" const Kernel elsedu_shift_avx512;
#endif

namespace {

const Kernel *kernel(const char *isa) {
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
void join(const Job &job, int64_t pixels, const std::vector<Partial> &partials, double *m, double *out, int64_t *source,
          uint8_t *tied) {
    const int n = job.terms();
    for (int64_t k = 0; k < job.batch * job.window_count; k++) {
        const double rate = 0.5 / (job.sigma[k / job.window_count] * job.sigma[k / job.window_count]);
        for (int64_t p = 0; p < pixels; p++) {
            const Sums *best = &partials[0].views[k];
            for (const Partial &partial : partials)
                if (partial.views[k].nearest[p] < best->nearest[p]) best = &partial.views[k];
            const int64_t at = k * pixels + p;
            m[at] = -double(best->nearest[p]) * rate;
            source[at] = best->source[p];
            tied[at] = best->tied[p];
            double *sum = out + at * n;
            std::fill(sum, sum + n, 0.0);
            for (const Partial &partial : partials) {
                const Sums &s = partial.views[k];
                const double z = (double(best->nearest[p]) - s.nearest[p]) * rate, scale = std::exp(z);
                if (scale == 0) continue;
                for (int i = 0; i < n; i++) sum[i] += scale * s.sums[p * n + i];
                if (job.full) sum[n - 1] += scale * s.sums[p * n] * z * 1.4426950408889634;  // u is in powers of 2
                if (&s != best && s.nearest[p] <= best->nearest[p] * 1.000001f + 1e-30f) tied[at] = 1;
            }
        }
    }
}

bool run(const Kernel &kernel, const Job &job, int threads, double *m, double *out, int64_t *source, uint8_t *tied) {
    int smallest = job.windows[0];
    for (int i = 1; i < job.window_count; i++) smallest = std::min(smallest, int(job.windows[i]));
    const int64_t shifts = !job.equivariant ? 1 : job.circular ? job.height : 2 * std::max(0, job.height - smallest) + 1;
    const int64_t blocks = (job.images + kernel.lanes - 1) / kernel.lanes, units = blocks * shifts;
    const int64_t pixels = int64_t(job.height) * job.width;
    threads = int(std::max<int64_t>(1, std::min<int64_t>(threads, units)));
    std::vector<Partial> partials;
    partials.reserve(threads);  // in place: a copy's views would point into the original's arrays
    for (int t = 0; t < threads; t++) partials.emplace_back(job, pixels);
    auto work = [&](int t) {
        void *memory = std::aligned_alloc(64, (kernel.workspace(job) + 63) / 64 * 64);
        if (!memory) {
            partials[t].failed = true;
            return;
        }
        int64_t unit = units * t / threads;
        const int64_t last = units * (t + 1) / threads;
        while (unit < last) {  // a block of images and the vertical shifts of it that fall to this thread
            const int64_t block = unit / shifts, end = std::min(last, (block + 1) * shifts);
            kernel.add_block(job, block, int(unit - block * shifts), int(end - block * shifts), partials[t].views.data(), memory);
            unit = end;
        }
        std::free(memory);
    };
    std::vector<std::thread> others;
    for (int t = 1; t < threads; t++) others.emplace_back(work, t);
    work(0);
    for (std::thread &thread : others) thread.join();
    for (const Partial &partial : partials)
        if (partial.failed) return false;
    join(job, pixels, partials, m, out, source, tied);
    return true;
}

PyObject *supports(PyObject *, PyObject *arguments) {
    const char *isa;
    if (!PyArg_ParseTuple(arguments, "s", &isa)) return nullptr;
    return PyBool_FromLong(kernel(isa) != nullptr);
}

PyObject *posterior(PyObject *, PyObject *arguments) {
    const char *isa;
    unsigned long long dictionary, queries, alpha, sigma, windows, m, sums, source, tied;
    long long images, batch;
    int channels, height, width, window_count, equivariant, circular, interior, full, threads;
    double reach;
    if (!PyArg_ParseTuple(arguments, "sKKLLiiiKKKippppdiKKKK", &isa, &dictionary, &queries, &images, &batch, &channels,
                          &height, &width, &alpha, &sigma, &windows, &window_count, &equivariant, &circular, &interior,
                          &full, &reach, &threads, &m, &sums, &source, &tied))
        return nullptr;
    const Kernel *chosen = kernel(isa);
    if (!chosen) {
        PyErr_Format(PyExc_ValueError, "this processor (or build) does not have the instruction set %s", isa);
        return nullptr;
    }
    Job job{};
    job.dictionary = reinterpret_cast<const float *>(dictionary);
    job.queries = reinterpret_cast<const float *>(queries);
    job.images = images;
    job.batch = batch;
    job.channels = channels;
    job.height = height;
    job.width = width;
    job.alpha = reinterpret_cast<const double *>(alpha);
    job.sigma = reinterpret_cast<const double *>(sigma);
    job.windows = reinterpret_cast<const int32_t *>(windows);
    job.window_count = window_count;
    job.equivariant = equivariant;
    job.circular = circular;
    job.interior = interior;
    job.full = full;
    job.reach = reach;
    bool done = true;
    Py_BEGIN_ALLOW_THREADS
    try {
        done = run(*chosen, job, threads, reinterpret_cast<double *>(m), reinterpret_cast<double *>(sums),
                   reinterpret_cast<int64_t *>(source), reinterpret_cast<uint8_t *>(tied));
    } catch (const std::bad_alloc &) {
        done = false;
    }
    Py_END_ALLOW_THREADS
    if (!done) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"posterior", posterior, METH_VARARGS, "Sums over all patches; addresses of arrays in and out. See shift_native.py."},
    {"supports", supports, METH_VARARGS, "Whether an instruction set (avx512, avx2, base) is built in and present."},
    {nullptr, nullptr, 0, nullptr},
};
PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_shift", "The C++ engine of elsedu.posterior.", -1, methods,
                          nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__shift(void) { return PyModule_Create(&definition); }
