/* Rotary position embedding (Su et al. 2021), half-split pairs: channel i of a
 * head rotates with channel i + rotary/2 by the angle of its position. */
#include "kernels/ref/ref.h"

static void put(real *y, bool add, real value) { *y = add ? *y + value : value; }

static void rotate(real *y, bool add, const real *x, const exact *cosine, const exact *sine, real sign, int half)
{
    for (int i = 0; i < half; i++) {
        real u = x[i], w = x[i + half], c = cosine[i], s = sign * sine[i];
        put(&y[i], add, u * c - w * s);
        put(&y[i + half], add, w * c + u * s);
    }
}

void ref_rope(real *y, bool add, const real *x, const exact *table, const int *pos, bool inverse,
              int rows, int heads, int rotated, int head_dim, int rotary)
{
    for (int r = 0; r < rows; r++) {
        const exact *angle = table + (size_t)pos[r] * (size_t)rotary;
        for (int h = 0; h < heads; h++, x += head_dim, y += head_dim) {
            int copied = h < rotated ? rotary : 0;
            rotate(y, add, x, angle, angle + rotary / 2, inverse ? -1 : 1, copied / 2);
            for (int i = copied; i < head_dim; i++) put(&y[i], add, x[i]);
        }
    }
}
