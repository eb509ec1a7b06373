// A 3 x 3 convolution for the networks of the page (src/network/layers.js): nearly all of a network's work.
//
// Pixels lie with their channels side by side, so that eight output channels of a pixel are two registers. Four pixels
// at a time keep eight sums in registers, and each weight that is loaded serves all four.
#include <cstdlib>
#include <cstring>

#include "simd.hpp"

namespace {

constexpr int outputs = 2 * width;  // output channels at a time

// x (height, width, inputs) with a border of one pixel: zeros, or the pixels of the other side.
void pad(const float *x, int height, int breadth, int inputs, bool circular, float *padded) {
    const size_t pixel = inputs * sizeof(float);
    for (int row = -1; row <= height; row++)
        for (int column = -1; column <= breadth; column++, padded += inputs) {
            const bool inside = row >= 0 && row < height && column >= 0 && column < breadth;
            if (inside || circular)
                memcpy(padded, x + (int64_t((row + height) % height) * breadth + (column + breadth) % breadth) * inputs, pixel);
            else memset(padded, 0, pixel);
        }
}

// Eight output channels of n pixels in a row; x: the padded pixel above and left of the first.
template <int n>
INLINE void convolve_pixels(const float *x, int64_t row_stride, int inputs, const float *weights, const float *bias, float *out,
                            int64_t out_stride) {
    reg first[n], second[n];
    reg bias_first, bias_second;
    memcpy(&bias_first, bias, sizeof(reg));
    memcpy(&bias_second, bias + width, sizeof(reg));
    for (int i = 0; i < n; i++) first[i] = bias_first, second[i] = bias_second;
    for (int row = 0; row < 3; row++)
        for (int column = 0; column < 3; column++) {
            const float *in = x + row * row_stride + int64_t(column) * inputs;
            for (int c = 0; c < inputs; c++, weights += outputs) {
                reg a, b;
                memcpy(&a, weights, sizeof a);
                memcpy(&b, weights + width, sizeof b);
                for (int i = 0; i < n; i++) {
                    const float value = in[int64_t(i) * inputs + c];
                    first[i] += value * a;
                    second[i] += value * b;
                }
            }
        }
    for (int i = 0; i < n; i++) {
        memcpy(out + i * out_stride, &first[i], sizeof(reg));
        memcpy(out + i * out_stride + width, &second[i], sizeof(reg));
    }
}

}  // namespace

extern "C" {

// Room for `count` numbers.
__attribute__((export_name("room"))) float *room(int count) { return static_cast<float *>(aligned_alloc(64, (count * 4ll + 63) / 64 * 64)); }

// out (height, width, blocks * 8) = bias + convolution of x (height, width, inputs).
// weights (blocks, 3, 3, inputs, 8), bias (blocks, 8); padded: room for (height + 2) (width + 2) inputs numbers.
__attribute__((export_name("convolve"))) void convolve(const float *x, int height, int breadth, int inputs, int blocks, int circular,
                                                       const float *weights, const float *bias, float *padded, float *out) {
    pad(x, height, breadth, inputs, circular, padded);
    const int64_t row_stride = int64_t(breadth + 2) * inputs, out_stride = int64_t(blocks) * outputs;
    for (int block = 0; block < blocks; block++, weights += 9ll * inputs * outputs)
        for (int row = 0; row < height; row++) {
            const float *in = padded + row * row_stride;
            float *to = out + row * breadth * out_stride + block * outputs;
            int column = 0;
            for (; column + 4 <= breadth; column += 4)
                convolve_pixels<4>(in + column * inputs, row_stride, inputs, weights, bias + block * outputs, to + column * out_stride, out_stride);
            for (; column < breadth; column++)
                convolve_pixels<1>(in + column * inputs, row_stride, inputs, weights, bias + block * outputs, to + column * out_stride, out_stride);
        }
}

}  // extern "C"
