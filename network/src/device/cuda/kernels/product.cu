// Products of matrices at any distances, with bias, residual and limits; see kernel/matmul.rs.

// `c = a b` for `batch` pairs of matrices, in two nested loops of `inner` each. The blocks of a product follow each other, columns
// first.
KERNEL(product)(const float* a, i64 a_row, i64 a_column, const float* b, i64 b_row, i64 b_column, float* c, i64 c_row, i64 rows,
                i64 depth, i64 columns, i64 inner, i64 a_outer, i64 a_inner, i64 b_outer, i64 b_inner, i64 c_outer, i64 c_inner,
                const float* bias, i64 bias_by_row, const float* residual, float low, float high, i64 accumulate) {
    __shared__ float room[ROOM];
#define TILE(R, C, T, W)                                                                                                     \
    i64 across = (columns + C - 1) / C, down = (rows + R - 1) / R, block = blockIdx.x;                                        \
    i64 n0 = block % across * C, m0 = block / across % down * R, which = block / across / down;                               \
    a += which / inner * a_outer + which % inner * a_inner;                                                                   \
    b += which / inner * b_outer + which % inner * b_inner;                                                                   \
    c += which / inner * c_outer + which % inner * c_inner;                                                                   \
    Finish out = {bias, residual, low, high, accumulate != 0, bias_by_row != 0, c, c_row};                                    \
    Strided<true> a_in = {a, a_row, a_column}, b_in = {b, b_column, b_row};                                                   \
    Strided<false> a_out = {a, a_row, a_column}, b_out = {b, b_column, b_row};                                                \
    if (a_column == 1 && b_row == 1)                                                                                          \
        tile<R, C, T, W>(room, a_in, b_in, out, m0, n0, rows, columns, depth);                                                      \
    else if (a_column == 1)                                                                                                   \
        tile<R, C, T, W>(room, a_in, b_out, out, m0, n0, rows, columns, depth);                                                     \
    else if (b_row == 1)                                                                                                      \
        tile<R, C, T, W>(room, a_out, b_in, out, m0, n0, rows, columns, depth);                                                     \
    else                                                                                                                      \
        tile<R, C, T, W>(room, a_out, b_out, out, m0, n0, rows, columns, depth);
    BY_WIDTH(columns, TILE)
#undef TILE
}
