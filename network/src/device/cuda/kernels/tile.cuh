// The one inner loop under every product: a block's tile of sums, in registers.
//
// Row `m` and column `n` hold `start + sum over k of a[m, k] b[k, n]`, one chain of fused multiply-adds in the order of `k`, as in
// the CPU's tiles. What `a` and `b` are depends on where their numbers are read: an operand says where its outer index (a row of `a`,
// a column of `b`) lies and where its inner index `k` does, and which of them is contiguous in memory, so that neighbouring threads
// read neighbours.

#define DEPTH 16
// Numbers in shared memory that the largest tile takes. A kernel has them once, whichever of its tiles it runs: what each tile declared
// itself would be added up.
#define ROOM (DEPTH * (128 + 4 + 32 + 4))

// A matrix at regular distances.
template <bool INNER> struct Strided {
    // Whether `k` is contiguous.
    static constexpr bool INNER_FIRST = INNER;
    typedef i64 Outer;
    typedef i64 Inner;
    const float* values;
    i64 outer_step, inner_step;
    __device__ Outer outer(i64 m) const { return m * outer_step; }
    __device__ Inner inner(i64 k) const { return k * inner_step; }
    __device__ float at(Outer m, Inner k) const { return values[m + k]; }
};

// Brings `EXTENT` outer by `DEPTH` inner numbers into shared memory. What lies beyond the operand repeats its last number, and is
// never stored or summed.
template <int EXTENT, class Operand> struct Loader {
    static constexpr int COUNT = EXTENT * DEPTH / THREADS;
    static constexpr int OUTERS = Operand::INNER_FIRST ? COUNT : 1;
    static constexpr int INNERS = Operand::INNER_FIRST ? 1 : COUNT;
    // Distance of a thread's outer numbers, or of its inner ones.
    static constexpr int STEP = THREADS / (Operand::INNER_FIRST ? DEPTH : EXTENT);

    const Operand& operand;
    int first_outer, first_inner;
    typename Operand::Outer outers[OUTERS];

    __device__ Loader(const Operand& operand, i64 from, i64 extent) : operand(operand) {
        int t = threadIdx.x;
        first_outer = Operand::INNER_FIRST ? t / DEPTH : t % EXTENT;
        first_inner = Operand::INNER_FIRST ? t % DEPTH : t / EXTENT;
        for (int i = 0; i < OUTERS; i++) {
            i64 m = from + first_outer + i * STEP;
            outers[i] = operand.outer(m < extent ? m : extent - 1);
        }
    }

    __device__ void load(i64 from, i64 depth, float (*to)[EXTENT + 4]) const {
#pragma unroll
        for (int j = 0; j < INNERS; j++) {
            i64 k = from + first_inner + j * STEP;
            typename Operand::Inner inner = operand.inner(k < depth ? k : depth - 1);
#pragma unroll
            for (int i = 0; i < OUTERS; i++)
                to[first_inner + j * STEP][first_outer + i * STEP] = operand.at(outers[i], inner);
        }
    }
};

// What becomes of finished sums.
struct Finish {
    // Of the columns (or of the rows, where `by_row`); sums begin with it.
    const float* bias;
    // Laid out as the result; added at the end.
    const float* residual;
    float low, high;
    bool accumulate, by_row;
    float* to;
    i64 row_step;

    __device__ float start(i64 m, i64 n) const {
        if (accumulate) return to[m * row_step + n];
        return bias ? bias[by_row ? m : n] : 0.0f;
    }
    __device__ void store(i64 m, i64 n, float sum) const {
        i64 at = m * row_step + n;
        if (residual) sum = sum + residual[at];
        to[at] = clipped(sum, low, high);
    }
};

// The tile of `ROWS x COLUMNS` sums at row `m0` and column `n0` of `rows x columns`; each thread has `TALL x WIDE` of them.
template <int ROWS, int COLUMNS, int TALL, int WIDE, class A, class B>
__device__ void tile(float* room, const A& a, const B& b, const Finish& out, i64 m0, i64 n0, i64 rows, i64 columns, i64 depth) {
    static_assert((ROWS / TALL) * (COLUMNS / WIDE) == THREADS, "every thread has its sums");
    static_assert(DEPTH * (ROWS + 4 + COLUMNS + 4) <= ROOM, "the tile has room");
    float(*left)[ROWS + 4] = (float(*)[ROWS + 4])room;
    float(*right)[COLUMNS + 4] = (float(*)[COLUMNS + 4])(room + DEPTH * (ROWS + 4));
    int row = threadIdx.x / (COLUMNS / WIDE) * TALL, column = threadIdx.x % (COLUMNS / WIDE) * WIDE;
    Loader<ROWS, A> load_left(a, m0, rows);
    Loader<COLUMNS, B> load_right(b, n0, columns);
    float sums[TALL][WIDE];
#pragma unroll
    for (int i = 0; i < TALL; i++)
#pragma unroll
        for (int j = 0; j < WIDE; j++) {
            i64 m = m0 + row + i, n = n0 + column + j;
            sums[i][j] = m < rows && n < columns ? out.start(m, n) : 0.0f;
        }
    for (i64 k0 = 0; k0 < depth; k0 += DEPTH) {
        load_left.load(k0, depth, left);
        load_right.load(k0, depth, right);
        __syncthreads();
        int count = depth - k0 < DEPTH ? (int)(depth - k0) : DEPTH;
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            // A product with padding would lose the sign of a zero.
            if (k < count) {
                float x[TALL];
#pragma unroll
                for (int i = 0; i < TALL; i++) x[i] = left[k][row + i];
#pragma unroll
                for (int j = 0; j < WIDE; j++) {
                    float w = right[k][column + j];
#pragma unroll
                    for (int i = 0; i < TALL; i++) sums[i][j] = fmaf(x[i], w, sums[i][j]);
                }
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < TALL; i++)
#pragma unroll
        for (int j = 0; j < WIDE; j++) {
            i64 m = m0 + row + i, n = n0 + column + j;
            if (m < rows && n < columns) out.store(m, n, sums[i][j]);
        }
}

// The tile that suits so many columns: `call` is a macro of its four extents. Hosts choose by the same rule (`tile_of`).
#define BY_WIDTH(columns, call) \
    if ((columns) <= 16) { call(128, 16, 4, 2) } else if ((columns) <= 32) { call(128, 32, 4, 4) } else { call(64, 64, 4, 4) }
