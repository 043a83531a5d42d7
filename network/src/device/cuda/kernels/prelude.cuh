// What every kernel file begins with. No header is included: NVRTC has none, and a host compiler's come before this.
//
// Arithmetic is that of the CPU's kernels, step by step: products are rounded before they are added except where `fmaf` says so, and
// both compilers are told to leave it at that. So a result has the CPU's bits wherever it takes no exponential.
// Kernels take pointers, `i64`, `float` and `double` alone, and 256 threads a block.

typedef long long i64;

#define THREADS 256
#define KERNEL(name) extern "C" __global__ void __launch_bounds__(THREADS) duress_##name

#ifdef __CUDACC_RTC__
#define INFINITE __int_as_float(0x7f800000)
#else
#define INFINITE __builtin_inff()
#endif

// The number of this thread, from 0.
__device__ inline i64 thread_number() { return (i64)blockIdx.x * THREADS + threadIdx.x; }

__device__ inline bool is_nan(float v) { return v != v; }

// The larger of `low` and `v`, then the smaller of `high` and that; NaN passes.
__device__ inline float clipped(float v, float low, float high) {
    v = low > v ? low : v;
    return high < v ? high : v;
}

// What is written where `value` is either stored or added.
__device__ inline float onto(i64 accumulate, float before, float value) { return accumulate ? before + value : value; }
