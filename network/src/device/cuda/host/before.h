// What CUDA has and C++ has not, for kernels that run on the machine's own processor: see host.rs.
#undef _FORTIFY_SOURCE
#include <cmath>
#include <csetjmp>
#include <cstddef>
#include <cstdlib>
#include <tuple>
#include <ucontext.h>
#include <utility>

struct Index {
    unsigned x;
};
static thread_local Index blockIdx, threadIdx;

#define __global__
#define __device__
// One block runs at a time on a thread of the processor.
#define __shared__ static thread_local
#define __launch_bounds__(threads)

static void meet();
#define __syncthreads meet

