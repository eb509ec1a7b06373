// Random requests to the C++ engine, for the sanitizers (scripts/sanitize.py compiles and runs this): every
// array has exactly the size that the interface promises, so that a step beyond it is seen, and every
// instruction set and number of threads has to find what the base version finds with one thread.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "interface.cpp"

namespace {

struct Case {
    Job job{};
    std::vector<float> dictionary, queries;
    std::vector<double> alpha, sigma;
    std::vector<int32_t> windows;
};

struct Answer {
    std::vector<double> m, sums;
    std::vector<int64_t> source;
    std::vector<uint8_t> tied;
};

Case draw(std::mt19937 &random) {
    auto whole = [&](int a, int b) { return std::uniform_int_distribution<int>(a, b)(random); };
    auto real = [&](double a, double b) { return std::uniform_real_distribution<double>(a, b)(random); };
    Case c;
    Job &job = c.job;
    job.images = whole(0, 3) ? whole(1, 40) : whole(1, 3);
    job.batch = whole(1, 3);
    job.channels = whole(1, 4);
    job.height = whole(1, 9);
    job.width = whole(1, 9);
    job.equivariant = whole(0, 3) != 0;
    job.circular = whole(0, 1);
    job.full = whole(0, 1);
    const int side = std::min(job.height, job.width), largest = job.circular ? side : 2 * side - 1;
    for (int w = 1; w <= largest; w += 2)
        if (w == 1 || whole(0, 1)) c.windows.push_back(w);
    job.interior = job.equivariant && job.circular && whole(0, 2) == 0;
    job.window_count = int(c.windows.size());
    job.reach = whole(0, 1) ? real(1, 40) : 1e6;
    const double size = whole(0, 3) ? 1 : real(1e-3, 1e3);  // of the pixels
    std::normal_distribution<float> normal(0, float(size));
    c.dictionary.resize(job.images * job.channels * job.height * job.width);
    c.queries.resize(job.batch * job.channels * job.height * job.width);
    const bool flat = whole(0, 7) == 0;  // every patch as near as every other
    for (float &v : c.dictionary) v = flat ? 0.5f : normal(random);
    for (float &v : c.queries) v = normal(random);
    for (int b = 0; b < job.batch; b++) {
        c.alpha.push_back(real(0, 1));
        c.sigma.push_back(size * std::exp(real(-3, 2)));
    }
    job.dictionary = c.dictionary.data();
    job.queries = c.queries.data();
    job.alpha = c.alpha.data();
    job.sigma = c.sigma.data();
    job.windows = c.windows.data();
    return c;
}

Answer answer(const Case &c, const char *isa, int threads) {
    const size_t places = size_t(c.job.batch) * c.job.window_count * c.job.height * c.job.width;
    Answer a{std::vector<double>(places), std::vector<double>(places * c.job.terms()), std::vector<int64_t>(places),
             std::vector<uint8_t>(places)};
    Request request{interface_version, int32_t(sizeof(Request)), c.job, isa, threads,
                    a.m.data(), a.sums.data(), a.source.data(), a.tied.data()};
    if (const char *wrong = elsedu_posterior(&request)) {
        std::printf("refused: %s\n", wrong);
        std::exit(1);
    }
    return a;
}

}  // namespace

int main(int, char **arguments) {
    const int count = std::atoi(arguments[1]);
    std::mt19937 random(std::atoi(arguments[2]));
    double worst = 0;
    for (int i = 0; i < count; i++) {
        const Case c = draw(random);
        const Answer base = answer(c, "base", 1);
        const int n = c.job.terms();
        for (const char *isa : {"base", "avx2", "avx512"}) {
            if (!elsedu_supports(isa)) continue;
            const Answer other = answer(c, isa, 1 + i % 5);
            for (size_t p = 0; p < base.m.size(); p++) {
                const double s = base.sums[p * n], t = other.sums[p * n];
                if (s == 0 && t == 0) continue;  // no patch serves this pixel
                const double tolerance = 1e-3 * (1 + std::abs(base.m[p]) * 1e-2);  // of weights exp(-m)
                worst = std::max(worst, std::abs(base.m[p] - other.m[p]) / (1 + std::abs(base.m[p])));
                // Patches at the edge of `reach` may be in one sum and not in the other
                const bool close = c.job.reach < 1e5 || std::abs(s - t) <= tolerance * s;
                if (!(s >= 0.99) || !(t >= 0.99) || !close || worst > 1e-4) {
                    std::printf("case %d, %s: m %g %g, weights %g %g\n", i, isa, base.m[p], other.m[p], s, t);
                    return 1;
                }
            }
        }
    }
    std::printf("%d requests, worst difference of m %.1e\n", count, worst);
}
