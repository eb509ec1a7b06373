// The sum over patches, arranged by shifts (chapter "Computing it fast").
//
// Fix a shift s = (dy, dx) between the noisy image x and a training image y. The squared difference
//     D(q) = sum over channels of (x(q - s) - alpha y(q))^2
// summed over a P x P window around q is the squared distance between the window of x around p = q - s and
// the patch of y around q, for all pixels at once. So a machine is a loop over shifts, each of them
//     differences D  ->  sums over P rows  ->  sums over P columns  ->  weights  ->  weighted sums,
// and the machines differ only in which shifts there are and which pixels a shift serves (`served`).
//
// What makes it fast:
// - Images lie side by side in the vector registers (simd.hpp), so every instruction is used fully,
//   whatever the window, the border and the number of channels.
// - The cost of a window sum does not grow with the window (`sum_rows`, `sum_columns`), and nothing
//   is ever subtracted, so that small distances keep all their digits.
// - A weight below exp(-reach) of the largest is dropped, and then no exponential is computed. The largest
//   is shared by all images, and the caller chooses reach so that all dropped weights together are < 1e-7.
#include "shift.hpp"
#include "simd.hpp"

namespace {

inline int at_least(int a, int b) { return a > b ? a : b; }
inline int at_most(int a, int b) { return a < b ? a : b; }
inline int wrapped(int i, int size) { return i < 0 ? i + size : i >= size ? i - size : i; }  // at most one round off

constexpr double log2_e = 1.4426950408889634;
inline float as_near_as(float distance) { return distance * 1.000001f + 1e-30f; }  // what is below is tied

struct Range {
    int begin, end;
};

// Rows q of the training image that a vertical shift serves (columns alike): those whose window overlaps the
// border just as the window around p = q - shift does.
Range served(const Job &job, int size, int radius, int shift) {
    if (job.circular) return job.interior ? Range{radius, size - radius} : Range{0, size};
    if (shift == 0) return {0, size};                                         // same place, same overlap
    return {radius + at_least(shift, 0), size - radius + at_most(shift, 0)};  // both windows inside
}

// Rows q of the training image for which row q - shift of x exists.
Range overlap(const Job &job, int size, int shift) {
    if (job.circular) return {0, size};
    return {at_least(shift, 0), size + at_most(shift, 0)};
}

struct Line {
    const vec *y;
    const float *x;
};

#ifndef STRIP
#define STRIP 8
#endif
constexpr int strip = STRIP / parts;  // columns whose sums are kept in registers

struct Workspace {
    vec *image;        // (height, width, channels): one block of training images, a lane each
    vec padding;       // 0, and infinite in the lanes of the last block that hold no image
    float *query;      // (height, 2 width, channels): x side by side with itself, so that no column wraps
    vec *differences;  // (height, width): D of one shift, kept if there are several windows
    Line *lines;       // (2 P - 1)
    vec *column_sums;  // (P, width + 2 radius): D summed over P rows, with what lies beyond the border
    vec *distance;     // (width): D summed over the window
    int *near;         // (width): columns where some image is near enough to count
    int *used;         // (height): how many of the windows a vertical shift serves
    bool *dense;       // (windows): some image was near enough at most columns of the last row
    reg *lane_sums;    // (windows, pixels, terms): Sums::sums for each lane
};

// One more than the row needs: rows whose distance is a multiple of 4096 bytes evict each other from the cache.
int64_t image_stride(const Job &job) { return int64_t(job.width) * job.channels + 1; }

int64_t lay_out(const Job &job, void *memory, Workspace &w) {
    int64_t used = 0;
    auto take = [&](auto *&pointer, int64_t count) {
        pointer = reinterpret_cast<decltype(+pointer)>(static_cast<char *>(memory) + used);
        used += (count * int64_t(sizeof *pointer) + 63) / 64 * 64;
    };
    int largest = 1;
    for (int i = 0; i < job.window_count; i++) largest = at_least(largest, job.windows[i]);
    const int64_t pixels = int64_t(job.height) * job.width;
    take(w.image, job.height * image_stride(job));
    take(w.query, 2 * pixels * job.channels);
    take(w.differences, job.window_count > 1 ? int64_t(job.height) * (job.width + 1) : 0);
    take(w.lines, 2 * largest);
    take(w.column_sums, int64_t(at_least(largest, job.window_count)) * (job.width + largest));
    take(w.distance, job.width);
    take(w.near, job.width);
    take(w.used, job.height);
    take(w.dense, job.window_count);
    take(w.lane_sums, job.window_count * pixels * job.terms());
    return used;
}

int64_t workspace(const Job &job) {
    Workspace w;
    return lay_out(job, nullptr, w);
}

// Bring one block of images into the layout (height, width, channels, lane).
void pack_images(const Job &job, int64_t block, Workspace &w) {
    const int64_t values = int64_t(job.channels) * job.height * job.width, first = block * lanes;
    const int count = at_most(lanes, int(job.images - first));
    const int64_t pixels = int64_t(job.height) * job.width;
    float *out = reinterpret_cast<float *>(w.image);
    if (count < lanes) memset(out, 0, job.height * image_stride(job) * sizeof(vec));
    for (int lane = 0; lane < lanes; lane++)
        reinterpret_cast<float *>(&w.padding)[lane] = lane < count ? 0.f : __builtin_inff();
    constexpr int tile = 16;  // a cache line of each image at a time
    for (int c = 0; c < job.channels; c++)
        for (int row = 0; row < job.height; row++)
            for (int column = 0; column < job.width; column += tile)
                for (int lane = 0; lane < count; lane++) {
                    const float *in = job.dictionary + (first + lane) * values + c * pixels + row * job.width + column;
                    float *to = out + (row * image_stride(job) + column * job.channels + c) * lanes + lane;
                    const int length = at_most(tile, job.width - column);
                    for (int i = 0; i < length; i++) to[int64_t(i) * job.channels * lanes] = in[i];
                }
}

void pack_query(const Job &job, const float *x, float *out) {
    for (int row = 0; row < job.height; row++)
        for (int column = 0; column < 2 * job.width; column++)
            for (int c = 0; c < job.channels; c++)
                *out++ = x[(int64_t(c) * job.height + row) * job.width + column % job.width];
}

// distance[i] = padding + values[i] + ... + values[i + side - 1] for i < count, with three additions each:
// values are cut into pieces of `side`, and a window is the tail of one piece and the head of the next.
INLINE void sum_columns(const vec *values, int side, int count, vec *distance) {
    if (side == 1) {
        for (int i = 0; i < count; i++) distance[i] = values[i];
        return;
    }
    if (side == 3) {
        for (int i = 0; i < count; i++) distance[i] = values[i] + values[i + 1] + values[i + 2];
        return;
    }
    for (int piece = 0; piece < count; piece += side) {
        const vec *next = values + piece + side;
        const int length = at_most(side, count - piece);
        vec tail = values[piece + side - 1];
        for (int i = side - 2; i >= length; i--) tail += values[piece + i];
        if (length == side) distance[piece + side - 1] = tail;
        for (int i = at_most(side - 2, length - 1); i >= 0; i--) distance[piece + i] = tail += values[piece + i];
        vec head = next[0];
        for (int i = 1; i < length; i++) {
            distance[piece + i] += head;
            head += next[i];
        }
    }
}

template <int C, bool full>
struct Machine {
    const Job &job;
    Workspace w;
    int64_t block;
    float alpha, rate;  // exponent of 2: rate * (nearest - distance)
    float reach;        // as a distance

    int channels() const { return C ? C : job.channels; }
    int terms() const { return full ? 2 + 2 * channels() : 1 + channels(); }
    vec *image_row(int row) const { return w.image + row * image_stride(job); }

    // All horizontal shifts of one vertical shift, one window: `side` rows of the training image at a time.
    void one_window(int dy, int first_dx, int last_dx, const Sums &sums, reg *lane_sums) {
        const int side = job.windows[0], radius = side / 2, width = job.width;
        const Range rows = served(job, job.height, radius, dy);
        for (int first = rows.begin; first < rows.end; first += side) {
            const int count = at_most(side, rows.end - first);
            for (int i = 0; i < count + side - 1; i++) find_row(first - radius + i, dy, w.lines[i]);
            for (int dx = first_dx; dx <= last_dx; dx++) {
                const Range columns = served(job, width, radius, dx), inside = overlap(job, width, dx);
                if (columns.begin >= columns.end) continue;
                const int from = at_least(inside.begin, columns.begin - radius);
                const int to = at_most(inside.end, columns.end + radius);
                int column = from;
                for (; column + strip <= to; column += strip) sum_rows<strip>(column, dx, count, side);
                if (column < to && to - from >= strip) {
                    sum_rows<strip>(to - strip, dx, count, side);
                } else {
                    for (; column < to; column++) sum_rows<1>(column, dx, count, side);
                }
                for (int i = 0; i < count; i++) {
                    vec *line = w.column_sums + int64_t(i) * (width + 2 * radius);
                    serve(first + i, line, side, dy, dx, sums, lane_sums, w.dense[0]);
                }
            }
        }
    }

    void serve(int row, vec *line, int side, int dy, int dx, const Sums &sums, reg *lane_sums, bool &dense) {
        const int radius = side / 2, width = job.width;
        const Range columns = served(job, width, radius, dx);
        if (job.circular) {  // columns beyond the border are those of the other side
            for (int j = 0; j < radius; j++) {
                line[j] = line[j + width];
                line[radius + width + j] = line[radius + j];
            }
        } else if (dx == 0) {
            for (int j = 0; j < radius; j++) line[j] = line[radius + width + j] = all(0);
        }
        sum_columns(line + columns.begin, side, columns.end - columns.begin, w.distance);
        add_weights(row, columns.begin, columns.end, wrapped(row - dy, job.height), dx, sums, lane_sums, dense);
    }

    // Where the row of the training image and the row of x opposite lie; nowhere for a row beyond a zero border
    void find_row(int row, int dy, Line &line) {
        if (job.circular) row = wrapped(row, job.height);
        line.y = nullptr;
        if (row < 0 || row >= job.height) return;
        line.y = image_row(row);
        line.x = w.query + (int64_t(wrapped(row - dy, job.height)) * 2 * job.width + job.width) * channels();
    }

    // sum += D of one row at n columns
    template <int n>
    INLINE void add_differences(const Line &line, int column, int dx, vec *sum) {
        if (!line.y) return;
        const reg a = fill(alpha);
        const vec *y = line.y + int64_t(column) * channels();
        const float *x = line.x + int64_t(column - dx) * channels();
        for (int j = 0; j < n; j++)
            for (int c = 0; c < channels(); c++)
                for (int i = 0; i < parts; i++) {
                    const reg difference = x[j * channels() + c] - a * y[j * channels() + c].part[i];
                    sum[j].part[i] += difference * difference;
                }
    }

    // Sums over `side` rows of D for `count` <= side windows below each other, at n columns.
    template <int n>
    INLINE void sum_rows(int column, int dx, int count, int side) {
        const int64_t stride = job.width + side - 1;
        vec *out = w.column_sums + side / 2 + column;
        vec sum[n];
        for (int j = 0; j < n; j++) sum[j] = w.padding;
        for (int i = count - 1; i < side; i++) add_differences<n>(w.lines[i], column, dx, sum);
        for (int i = count - 1;; i--) {
            for (int j = 0; j < n; j++) out[i * stride + j] = sum[j];
            if (i == 0) break;
            add_differences<n>(w.lines[i - 1], column, dx, sum);
        }
        for (int j = 0; j < n; j++) sum[j] = all(0);
        for (int i = 1; i < count; i++) {
            add_differences<n>(w.lines[side + i - 1], column, dx, sum);
            for (int j = 0; j < n; j++) out[i * stride + j] += sum[j];
        }
    }

    // All horizontal shifts of one vertical shift, several windows in ascending order: D is computed once, and the
    // sums over the rows of a window go on from those of the next smaller one.
    void several_windows(int dy, int first_dx, int last_dx, const Sums *sums) {
        const int width = job.width, count = job.window_count, largest = job.windows[count - 1];
        const int64_t stride = width + largest;
        const Range rows = served(job, job.height, job.windows[0] / 2, dy), rows_inside = overlap(job, job.height, dy);
        const int64_t sums_stride = int64_t(job.height) * width * terms();
        for (int row = rows.begin; row < rows.end; row++) {  // windows are nested: the first so many serve this row
            w.used[row] = 0;
            for (int i = 0; i < count; i++) {
                const Range r = served(job, job.height, job.windows[i] / 2, dy);
                w.used[row] += row >= r.begin && row < r.end;
            }
        }
        for (int dx = first_dx; dx <= last_dx; dx++) {
            const Range inside = overlap(job, width, dx), columns = served(job, width, job.windows[0] / 2, dx);
            if (columns.begin >= columns.end) continue;
            for (int row = rows_inside.begin; row < rows_inside.end; row++) {
                Line line;
                find_row(row, dy, line);
                vec *out = w.differences + int64_t(row) * (width + 1);
                int column = inside.begin;
                for (; column + strip <= inside.end; column += strip) {
                    vec sum[strip];
                    for (int j = 0; j < strip; j++) sum[j] = w.padding;
                    add_differences<strip>(line, column, dx, sum);
                    for (int j = 0; j < strip; j++) out[column + j] = sum[j];
                }
                for (; column < inside.end; column++) {
                    vec sum = w.padding;
                    add_differences<1>(line, column, dx, &sum);
                    out[column] = sum;
                }
            }
            int serving = 0;
            for (int i = 0; i < count; i++) {
                const Range c = served(job, width, job.windows[i] / 2, dx);
                serving += c.begin < c.end;
            }
            for (int row = rows.begin; row < rows.end; row++) {
                const int used = at_most(serving, w.used[row]);  // windows that this shift serves here
                int column = inside.begin;
                for (; column + strip <= inside.end; column += strip) grow_rows<strip>(row, column, used);
                if (column < inside.end && inside.end - inside.begin >= strip) {
                    grow_rows<strip>(row, inside.end - strip, used);
                } else {
                    for (; column < inside.end; column++) grow_rows<1>(row, column, used);
                }
                for (int i = 0; i < used; i++) {
                    vec *line = w.column_sums + i * stride;
                    serve(row, line, job.windows[i], dy, dx, sums[i], w.lane_sums + i * sums_stride, w.dense[i]);
                }
            }
        }
    }

    template <int n>
    INLINE void grow_rows(int row, int column, int used) {
        const int width = job.width, height = job.height;
        const int64_t stride = width + job.windows[job.window_count - 1];
        vec sum[n];
        int done = 0;
        const vec *d = w.differences + column;
        for (int j = 0; j < n; j++) sum[j] = d[int64_t(row) * (width + 1) + j];
        for (int i = 0; i < used; i++) {
            const int radius = job.windows[i] / 2;
            for (; done < radius;) {
                done++;
                int above = row - done, below = row + done;
                if (job.circular) {
                    above = wrapped(above, height);
                    below = wrapped(below, height);
                }
                if (above >= 0) {
                    for (int j = 0; j < n; j++) sum[j] += d[int64_t(above) * (width + 1) + j];
                }
                if (below < height) {
                    for (int j = 0; j < n; j++) sum[j] += d[int64_t(below) * (width + 1) + j];
                }
            }
            vec *out = w.column_sums + i * stride + radius + column;
            for (int j = 0; j < n; j++) out[j] = sum[j];
        }
    }

    void add_weights(int row, int begin, int end, int query_row, int dx, const Sums &sums, reg *lane_sums,
                     bool &dense) {
        const int split = dx > 0 && job.circular ? at_most(at_least(dx, begin), end) : begin;
        const int64_t first = int64_t(query_row) * job.width - dx;
        int near = 0;
        if (split > begin) near = add_weights(row, begin, split, first + job.width, w.distance, sums, lane_sums, dense);
        near += add_weights(row, split, end, first, w.distance + (split - begin), sums, lane_sums, dense);
        dense = 8 * near >= 7 * (end - begin);
    }

    // Returns at how many columns some image was near. Where most are (`dense`), looking first costs more than it
    // saves: the loop over what was found is short and ends where the processor does not expect it.
    int add_weights(int row, int begin, int end, int64_t first, const vec *distance, const Sums &sums, reg *lane_sums,
                    bool dense) {
        const float *cutoff = sums.cutoff + first;
        const vec *y = image_row(row);
        int near_count = 0;
        if (dense) {
            for (int column = begin; column < end; column++) {
                const vec d = distance[column - begin];
                if (!any_at_most(d, cutoff[column])) continue;
                add_weight(d, y + int64_t(column) * channels(), row, column, first + column, sums, lane_sums);
                near_count++;
            }
            return near_count;
        }
        for (int column = begin; column < end; column++) {
            w.near[near_count] = column;
            near_count += any_at_most(distance[column - begin], cutoff[column]);
        }
        for (int i = 0; i < near_count; i++) {
            const int column = w.near[i];
            const vec *value = y + int64_t(column) * channels();
            add_weight(distance[column - begin], value, row, column, first + column, sums, lane_sums);
        }
        return near_count;
    }

    INLINE void add_weight(vec d, const vec *y, int row, int column, int64_t pixel, const Sums &sums, reg *lane_sums) {
        reg *s = lane_sums + pixel * terms();
        if (__builtin_expect(any_less(d, sums.alert[pixel]), 0)) {
            nearer(d, pixel, int64_t(row) * job.width + column, sums, s);
        }
        vec z;
        const reg nearest = fill(sums.nearest[pixel]);
        for (int k = 0; k < parts; k++) z.part[k] = (nearest - d.part[k]) * rate;
        if (full) {
            for (int k = 0; k < parts; k++) z.part[k] = z.part[k] > vanishing ? z.part[k] : fill(vanishing);
        }
        const vec weight = power_of_two(z);
        s[0] += fold(weight);
        for (int c = 0; c < channels(); c++) {
            const vec value = weight * y[c];
            s[1 + c] += fold(value);
            if (full) s[1 + channels() + c] += fold(value * y[c]);
        }
        if (full) s[1 + 2 * channels()] += fold(weight * z);
    }

    __attribute__((noinline)) void nearer(vec d, int64_t pixel, int64_t position, const Sums &sums, reg *s) {
        float distance[lanes];
        memcpy(distance, &d, sizeof d);
        int best = 0, as_near = 0;
        for (int i = 1; i < lanes; i++)
            if (distance[i] < distance[best]) best = i;
        const float least = distance[best], old = sums.nearest[pixel], same = as_near_as(least);
        for (int i = 0; i < lanes; i++) as_near += distance[i] < same;
        if (least < old) {
            float z = (least - old) * rate;
            z = z > vanishing ? z : vanishing;
            const float scale = power_of_two(fill(z))[0];
            if (full) s[1 + 2 * channels()] += s[0] * z;
            for (int i = 0; i < terms(); i++) s[i] *= scale;
            sums.nearest[pixel] = least;
            sums.cutoff[pixel] = least + reach;
            sums.source[pixel] = (block * lanes + best) * int64_t(job.height) * job.width + position;
            sums.tied[pixel] = old < same || as_near > 1;
        } else {
            sums.tied[pixel] = 1;
        }
        sums.alert[pixel] = full && !sums.tied[pixel] ? as_near_as(sums.nearest[pixel]) : sums.nearest[pixel];
    }

    void flush(const Sums &sums, const reg *lane_sums) {
        const int n = terms();
        for (int64_t pixel = 0; pixel < int64_t(job.height) * job.width; pixel++, lane_sums += n) {
            double *s = sums.sums + pixel * n;
            const double z = (double(sums.nearest[pixel]) - sums.reference[pixel]) * rate;
            if (z != 0) {
                const double scale = z < -1000 ? 0 : __builtin_exp2(z);
                if (full) s[n - 1] += z < -1000 ? 0 : s[0] * z;
                for (int i = 0; i < n; i++) s[i] *= scale;
                sums.reference[pixel] = sums.nearest[pixel];
            }
            for (int i = 0; i < n; i++) s[i] += total(lane_sums[i]);
        }
    }

    void run(int begin, int end, Sums *all_sums) {
        const int64_t pixels = int64_t(job.height) * job.width, values = pixels * channels();
        int smallest = job.windows[0];
        for (int i = 1; i < job.window_count; i++) smallest = at_most(smallest, job.windows[i]);
        const int reach_y = job.equivariant && !job.circular ? at_least(0, job.height - smallest) : 0;
        const int reach_x = job.equivariant && !job.circular ? at_least(0, job.width - smallest) : 0;
        const int last_x = job.equivariant && job.circular ? job.width - 1 : reach_x;
        const bool several = job.window_count > 1;
        for (int64_t b = 0; b < job.batch; b++) {
            Sums *sums = all_sums + b * job.window_count;
            alpha = float(job.alpha[b]);
            const double r = 0.5 / (job.sigma[b] * job.sigma[b]) * log2_e;
            rate = r < 1e37 ? float(r) : 1e37f;
            reach = float(job.reach * log2_e / rate);
            pack_query(job, job.queries + b * values, w.query);
            memset(w.dense, 0, job.window_count * sizeof *w.dense);
            memset((void *)w.lane_sums, 0, job.window_count * pixels * terms() * sizeof(reg));
            for (int dy = begin - reach_y; dy < end - reach_y; dy++)
                if (several) {
                    several_windows(dy, -reach_x, last_x, sums);
                } else {
                    one_window(dy, -reach_x, last_x, sums[0], w.lane_sums);
                }
            for (int i = 0; i < job.window_count; i++) flush(sums[i], w.lane_sums + i * pixels * terms());
        }
    }
};

template <int C, bool full>
void add_with(const Job &job, Workspace &w, int64_t block, int begin, int end, Sums *sums) {
    Machine<C, full> machine{job, w, block, 0, 0, 0};
    machine.run(begin, end, sums);
}

void add_block(const Job &job, int64_t block, int begin, int end, Sums *sums, void *memory) {
    Workspace w;
    lay_out(job, memory, w);
    pack_images(job, block, w);
    auto *add = job.channels == 1   ? (job.full ? add_with<1, true> : add_with<1, false>)
                : job.channels == 3 ? (job.full ? add_with<3, true> : add_with<3, false>)
                                    : (job.full ? add_with<0, true> : add_with<0, false>);
    add(job, w, block, begin, end, sums);
}

}  // namespace

#define ELSEDU_NAME2(isa) elsedu_shift_##isa
#define ELSEDU_NAME(isa) ELSEDU_NAME2(isa)
extern "C" const Kernel ELSEDU_NAME(ELSEDU_ISA);
extern "C" const Kernel ELSEDU_NAME(ELSEDU_ISA) = {lanes, workspace, add_block};
