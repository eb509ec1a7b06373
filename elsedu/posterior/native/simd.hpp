// A `vec` holds one number for each of `lanes` training images; arithmetic acts on all of them at once.
//
// It is made of two hardware registers, because one sum can then serve two weights (see `fold`). Written with
// the vector types of GCC and Clang, so one source serves every processor; only three operations that decide
// the speed have a version for a particular instruction set.
//
// Everything here has internal linkage. The file is compiled once for each instruction set, and a shared
// inline function of which the linker keeps the AVX-512 copy would crash an older processor.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#define INLINE inline __attribute__((always_inline))  // the compilers give up too early

namespace {

#if defined(__AVX512F__)
constexpr int width = 16;
#elif defined(__AVX2__)
constexpr int width = 8;
#else
constexpr int width = 4;
#endif
#ifndef ELSEDU_PARTS
#define ELSEDU_PARTS 2
#endif
constexpr int parts = ELSEDU_PARTS, lanes = width * parts;

typedef float reg __attribute__((vector_size(4 * width)));
typedef int32_t ireg __attribute__((vector_size(4 * width)));

struct vec {
    reg part[parts];
};

INLINE reg fill(float f) { return f - reg{}; }  // f in every lane (f - 0 is f, also for -0 and infinities)

#define ELSEDU_EACH for (int i = 0; i < parts; i++)
INLINE vec all(float f) {
    vec v;
    ELSEDU_EACH v.part[i] = fill(f);
    return v;
}
INLINE vec operator+(vec a, vec b) {
    ELSEDU_EACH a.part[i] += b.part[i];
    return a;
}
INLINE vec operator-(vec a, vec b) {
    ELSEDU_EACH a.part[i] -= b.part[i];
    return a;
}
INLINE vec operator*(vec a, vec b) {
    ELSEDU_EACH a.part[i] *= b.part[i];
    return a;
}
INLINE vec &operator+=(vec &a, vec b) { return a = a + b; }

// The lanes' sum, halfway: the two registers added. The rest of the sum can wait until the very end.
INLINE reg fold(vec a) {
    reg sum = a.part[0];
    for (int i = 1; i < parts; i++) sum += a.part[i];
    return sum;
}

INLINE double total(reg a) {
    double sum = 0;
    for (int i = 0; i < width; i++) sum += a[i];
    return sum;
}

// Is some lane of a at most b (or: less than b)?
template <bool strictly>
INLINE bool any_register_below(reg a, reg b) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, strictly ? _CMP_LT_OQ : _CMP_LE_OQ) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, strictly ? _CMP_LT_OQ : _CMP_LE_OQ)) != 0;
#elif defined(__SSE2__)
    return _mm_movemask_ps(strictly ? _mm_cmplt_ps((__m128)a, (__m128)b) : _mm_cmple_ps((__m128)a, (__m128)b)) != 0;
#elif defined(__wasm_simd128__)
    return wasm_v128_any_true(strictly ? wasm_f32x4_lt((v128_t)a, (v128_t)b) : wasm_f32x4_le((v128_t)a, (v128_t)b));
#elif defined(__wasm_simd128__)
    ireg below = strictly ? a < b : a <= b;
    return __builtin_wasm_any_true_v128((__attribute__((vector_size(16))) signed char)below);
#else
    ireg below = strictly ? a < b : a <= b;
    int32_t any = 0;
    for (int i = 0; i < width; i++) any |= below[i];
    return any != 0;
#endif
}

INLINE bool any_at_most(vec a, float b) {
    bool any = false;
    ELSEDU_EACH any |= any_register_below<false>(a.part[i], fill(b));
    return any;
}

INLINE bool any_less(vec a, float b) {
    bool any = false;
    ELSEDU_EACH any |= any_register_below<true>(a.part[i], fill(b));
    return any;
}

constexpr float vanishing = -100;  // a weight 2^vanishing changes no sum in float32

// 2^z for z <= 0 with a relative error of 2e-7; below 2^-126 at most 2^-126.
// z = n + f, n whole, |f| <= 1/2: 2^f by a polynomial (minimax, exact at 0), 2^n by the exponent bits.
INLINE reg power_of_two(reg z) {
    z = z > vanishing ? z : fill(vanishing);
#if defined(__AVX512F__)
    reg n = (reg)_mm512_roundscale_ps((__m512)z, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    const float magic = 12582912.f;  // 1.5 * 2^23: adding it leaves the whole number in the lowest bits
    reg shifted = z + magic, n = shifted - magic;
#endif
    reg f = z - n;
    reg p = fill(1.3264653e-3f);
    p = p * f + 9.6715111e-3f;
    p = p * f + 5.5507340e-2f;
    p = p * f + 2.4022242e-1f;
    p = p * f + 6.9314700e-1f;
    p = p * f + 1.f;
#if defined(__AVX512F__)
    return (reg)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    ireg exponent, bits;
    memcpy(&exponent, &shifted, sizeof exponent);
    memcpy(&bits, &p, sizeof bits);
    bits += exponent << 23;
    memcpy(&p, &bits, sizeof p);
    return p;
#endif
}

INLINE vec power_of_two(vec z) {
    ELSEDU_EACH z.part[i] = power_of_two(z.part[i]);
    return z;
}
#undef ELSEDU_EACH

}  // namespace
