/* Converts stored numbers to float: the types of checkpoints (kernels/half.h has those of 16 bits, kernels/blocks.h
 * blocks). */
#include "files/dtypes.h"
#include "files/naming.h"
#include "files/tensor_formats.h"
#include "kernels/kernels.h"
#include <math.h>

/* ---- a run of elements, stride elements apart ---------------------------------- */

/* Compilers vectorise loops of constant length most readily. */
enum { BLOCK = 16 };

#define RUN(name, type, convert)                                                                                      \
    static inline float name##_at(const uint8_t *p, size_t i) { type x; memcpy(&x, p + i * sizeof x, sizeof x); return convert(x); } \
    static void run_##name(const uint8_t *restrict p, size_t stride, size_t n, float *restrict out)                   \
    {                                                                                                                 \
        size_t i = 0;                                                                                                 \
        if (stride == 1)                                                                                              \
            for (; n - i >= BLOCK; i += BLOCK)                                                                        \
                for (size_t k = 0; k < BLOCK; k++) out[i + k] = name##_at(p + i * sizeof(type), k);                   \
        for (; i < n; i++) out[i] = name##_at(p, i * stride);                                                         \
    }

RUN(u8, uint8_t, (float))
RUN(i8, int8_t, (float))
RUN(i16, int16_t, (float))
RUN(u16, uint16_t, (float))
RUN(i32, int32_t, (float))
RUN(u32, uint32_t, (float))
RUN(i64, int64_t, (float))
RUN(u64, uint64_t, (float))
RUN(f16, uint16_t, float_from_f16)
RUN(bf16, uint16_t, float_from_bf16)
RUN(f32, float, )
RUN(f64, double, (float))

static void (*const RUNS[DT_COUNT])(const uint8_t *, size_t, size_t, float *) = {
    [DT_U8] = run_u8, [DT_I8] = run_i8, [DT_I16] = run_i16, [DT_U16] = run_u16, [DT_I32] = run_i32, [DT_U32] = run_u32,
    [DT_I64] = run_i64, [DT_U64] = run_u64, [DT_F16] = run_f16, [DT_BF16] = run_bf16, [DT_F32] = run_f32, [DT_F64] = run_f64,
};

/* n numbers from number `first` on of a tensor in blocks, `step` apart. */
static void run_blocks(stored x, size_t first, size_t step, size_t n, float *out)
{
    enum { MOST = 256 };
    const size_t block = (size_t)stored_formats[x.type].block;
    float numbers[MOST];
    for (size_t i = 0, at = first, used; i < n; i += used, at += used * step) {
        size_t left = (block - at % block + step - 1) / step;
        used = left < n - i ? left : n - i;
        kernels_level("ref")->widen(numbers, stored_from(x, at - at % block), block);
        for (size_t k = 0; k < used; k++) out[i + k] = numbers[at % block + k * step];
    }
}

/* ---- tensors ----------------------------------------------------------------------- */

/* Elements that are `step` apart, from `offset` on. */
typedef struct { size_t offset, step, n; } run;

/* The contiguous run of t that begins with element i, of at most n elements. */
static run run_at(const file_tensor *t, size_t i, size_t n)
{
    const element_order *v = &t->order;
    run r = { .offset = i, .step = 1, .n = n };
    if (!v->rank) return r;
    size_t last = (size_t)v->dims[v->rank - 1], left = last - i % last;
    r = (run){ .step = (size_t)v->step[v->rank - 1], .n = left < n ? left : n };
    for (int d = v->rank - 1; d >= 0; i /= (size_t)v->dims[d--]) r.offset += i % (size_t)v->dims[d] * (size_t)v->step[d];
    return r;
}

static const value_rule *function_of(const file_tensor *t) { return t->form ? t->form->values : NULL; }
static bool within(const file_tensor *t, size_t first, size_t n) { return first <= t->count && n <= t->count - first; }

bool file_tensor_floats(const file_tensor *t, size_t first, size_t n, float *out)
{
    stored x = { .data = t->data };
    bool blocks = dtype_stored(t->type, &x.type) && dtype_block(t->type) > 1;
    if ((!RUNS[t->type] && !blocks) || !within(t, first, n)) return false;
    for (run r; n; first += r.n, out += r.n, n -= r.n) {
        r = run_at(t, first, n);
        if (blocks) run_blocks(x, r.offset, r.step, r.n, out);
        else RUNS[t->type]((const uint8_t *)t->data + r.offset * dtype_bytes(t->type), r.step, r.n, out);
        for (size_t i = 0; function_of(t) && i < r.n; i++) out[i] = (float)function_of(t)->ours((double)out[i]);
        for (size_t i = 0; t->exponent && i < r.n; i++) out[i] = ldexpf(out[i], t->exponent);
    }
    return true;
}

/* The next run of a tensor in blocks: where its bytes begin and how many they are; false if it is not whole blocks. */
static bool run_of_blocks(const file_tensor *t, size_t first, size_t n, run *r, size_t *offset, size_t *bytes)
{
    *r = run_at(t, first, n);
    return r->step == 1 && dtype_size(t->type, r->n, bytes) && dtype_size(t->type, r->offset, offset);
}

static bool copy_blocks(const file_tensor *t, size_t first, size_t n, uint8_t *to)
{
    size_t offset, bytes;
    for (run r; n; first += r.n, to += bytes, n -= r.n) {
        if (!run_of_blocks(t, first, n, &r, &offset, &bytes)) return false;
        memcpy(to, (const uint8_t *)t->data + offset, bytes);
    }
    return true;
}

bool file_tensor_put_blocks(const file_tensor *t, size_t first, size_t n, const void *in)
{
    const uint8_t *from = in;
    size_t offset, bytes;
    for (run r; n; first += r.n, from += bytes, n -= r.n) {
        if (!run_of_blocks(t, first, n, &r, &offset, &bytes)) return false;
        memcpy((uint8_t *)(uintptr_t)t->data + offset, from, bytes);
    }
    return true;
}

bool file_tensor_elements(const file_tensor *t, size_t first, size_t n, void *out)
{
    size_t bytes = dtype_bytes(t->type);
    if (function_of(t) || t->exponent || !within(t, first, n)) return false;
    if (dtype_block(t->type) > 1) return copy_blocks(t, first, n, out);
    uint8_t *to = out;
    for (run r; n && bytes; first += r.n, n -= r.n) {
        r = run_at(t, first, n);
        const uint8_t *from = (const uint8_t *)t->data + r.offset * bytes;
        if (r.step == 1) memcpy(to, from, r.n * bytes);
        else for (size_t i = 0; i < r.n; i++) memcpy(to + i * bytes, from + i * r.step * bytes, bytes);
        to += r.n * bytes;
    }
    return bytes > 0;
}

bool file_tensor_as_is(const file_tensor *t) { return !t->order.rank && !function_of(t) && !t->exponent && t->type != DT_OTHER; }

/* ---- back ---------------------------------------------------------------------------- */

static bool put_run(const file_tensor *t, run r, const float *in)
{
    bool held = true;
    char *data = (char *)(uintptr_t)t->data;
    for (size_t i = 0; i < r.n; i++) {
        size_t at = r.offset + i * r.step;
        float x = function_of(t) ? (float)function_of(t)->theirs((double)in[i]) : in[i];
        if (t->type == DT_F32) ((float *)(void *)data)[at] = x;
        else if (t->type == DT_BF16) ((uint16_t *)(void *)data)[at] = bf16_from_float(x);
        else {
            uint16_t h = ((uint16_t *)(void *)data)[at] = f16_from_float(x);
            held &= !isfinite(x) || (h & 0x7fff) != 0x7c00;
        }
    }
    return held;
}

bool file_tensor_put(const file_tensor *t, size_t first, size_t n, const float *in)
{
    bool held = true;
    for (run r; n; first += r.n, in += r.n, n -= r.n) {
        r = run_at(t, first, n);
        held &= put_run(t, r, in);
    }
    return held;
}
