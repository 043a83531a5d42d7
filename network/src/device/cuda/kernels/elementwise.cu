// Functions of single numbers, and factors and offsets for each channel; see kernel/elementwise.rs and activation.rs.

KERNEL(fill)(i64 n, float value, float* y) {
    i64 i = thread_number();
    if (i < n) y[i] = value;
}

// `1 / (1 + exp(-z))`, without overflow on either side.
__device__ inline float logistic(float z) {
    float e = expf(-fabsf(z));
    float tail = e / (1.0f + e);
    return z < 0.0f ? tail : 1.0f - tail;
}

#define ROOT_OF_HALF 0.707106781186547524f
#define NORMAL_HEIGHT 0.398942280401432678f

// The functions, numbered as hosts do; `a` and `b` are their settings.
enum { IDENTITY, RELU, LEAKY_RELU, SIGMOID, TANH, SOFTPLUS, ELU, RECTIFIED_POWER, GELU, CLIP };

__device__ inline float value(int f, float a, float b, float z) {
    switch (f) {
        case RELU: return z < 0.0f ? 0.0f : a * z;
        case LEAKY_RELU: return z < 0.0f ? a * z : z;
        case SIGMOID: return logistic(a * z);
        case TANH: return tanhf(z);
        case SOFTPLUS: return (z < 0.0f ? 0.0f : z) + log1pf(expf(-fabsf(z)));
        case ELU: return z < 0.0f ? a * expm1f(z) : z;
        case RECTIFIED_POWER: return powf(z < 0.0f ? 0.0f : z, a);
        case GELU: {
            float tail = erfcf(z * -ROOT_OF_HALF);
            return tail == 0.0f ? 0.0f : z * 0.5f * tail;
        }
        case CLIP: return z < a ? a : z > b ? b : z;
        default: return z;
    }
}

// The derivative; that of a kink is taken from its left.
__device__ inline float derivative(int f, float a, float b, float z) {
    switch (f) {
        case RELU: return z > 0.0f ? a : 0.0f;
        case LEAKY_RELU: return z > 0.0f ? 1.0f : a;
        case SIGMOID: {
            float s = logistic(a * z);
            return a * s * (1.0f - s);
        }
        case TANH: {
            float t = tanhf(z);
            return 1.0f - t * t;
        }
        case SOFTPLUS: return logistic(z);
        case ELU: return z > 0.0f ? 1.0f : a * expf(z);
        case RECTIFIED_POWER: return z > 0.0f ? a * powf(z, b) : 0.0f;
        case GELU: {
            float normal = expf(-(z * z) * 0.5f) * NORMAL_HEIGHT;
            float slope = normal == 0.0f ? 0.0f : z * normal;
            return 0.5f * erfcf(z * -ROOT_OF_HALF) + slope;
        }
        case CLIP: return z > a && z <= b ? 1.0f : 0.0f;
        default: return 1.0f;
    }
}

KERNEL(activation)(i64 n, i64 f, float a, float b, const float* x, float* y) {
    i64 i = thread_number();
    if (i < n) y[i] = value((int)f, a, b, x[i]);
}

KERNEL(activation_backward)(i64 n, i64 f, float a, float b, const float* x, const float* dy, i64 accumulate, float* dx) {
    i64 i = thread_number();
    if (i >= n) return;
    // A rectifier's gradient is chosen, not multiplied: what it stops may be infinite.
    float by = f == RELU ? (x[i] > 0.0f ? a * dy[i] : 0.0f) : derivative((int)f, a, b, x[i]) * dy[i];
    dx[i] = onto(accumulate, dx[i], by);
}

KERNEL(rectify_gradient)(i64 n, const float* y, float* g) {
    i64 i = thread_number();
    if (i < n && !(y[i] > 0.0f)) g[i] = 0.0f;
}

KERNEL(add)(i64 n, const float* a, const float* b, float* y) {
    i64 i = thread_number();
    if (i < n) y[i] = a[i] + b[i];
}

KERNEL(multiply)(i64 n, const float* a, const float* b, i64 accumulate, float* y) {
    i64 i = thread_number();
    if (i < n) y[i] = onto(accumulate, y[i], a[i] * b[i]);
}

KERNEL(add_to_each)(i64 n, i64 len, const float* offset, float* y) {
    i64 i = thread_number();
    if (i < n) y[i] = y[i] + offset[i % len];
}

KERNEL(scale_shift)(i64 n, i64 channels, const float* x, const float* scale, const float* shift, const float* residual, float low,
                    float high, float* y) {
    i64 i = thread_number();
    if (i >= n) return;
    float v = x[i] * scale[i % channels] + (shift ? shift[i % channels] : 0.0f);
    if (residual) v = v + residual[i];
    y[i] = clipped(v, low, high);
}

KERNEL(normalise)(i64 n, i64 channels, const float* mean, const float* std, const float* x, float* y) {
    i64 i = thread_number();
    if (i < n) y[i] = (x[i] - mean[i % channels]) / std[i % channels];
}

KERNEL(clamp)(i64 n, i64 channels, i64 zero, const float* low, const float* high, const float* x, float* y) {
    i64 i = thread_number();
    if (i >= n) return;
    float v = x[i], from = low[i % channels], to = high[i % channels];
    if (zero) {
        y[i] = v >= from && v <= to ? v : 0.0f;
    } else {
        v = v > from ? v : from;
        y[i] = v < to ? v : to;
    }
}

KERNEL(clamp_backward)(i64 n, i64 channels, const float* low, const float* high, const float* x, const float* dy, i64 accumulate,
                       float* dx) {
    i64 i = thread_number();
    if (i >= n) return;
    float passes = x[i] > low[i % channels] && x[i] <= high[i % channels] ? 1.0f : 0.0f;
    dx[i] = onto(accumulate, dx[i], passes * dy[i]);
}

KERNEL(combine)(i64 n, i64 channels, const float* a, const float* b, const float* s, const float* x, const float* g,
                i64 accumulate, float* dx) {
    i64 i = thread_number();
    if (i >= n) return;
    i64 c = i % channels;
    dx[i] = onto(accumulate, dx[i], g[i] * a[c] + b[c] + x[i] * s[c]);
}

// A moment, or zero where it is as good as that.
__device__ inline float normal(float moment) { return fabsf(moment) < 1.17549435e-38f ? 0.0f : moment; }

// A step of Adam with numbers that were rounded once; see kernel/optimise.rs.
KERNEL(adam)(i64 n, float keep, float beta1, float rest1, float beta2, float rest2, float correction1, float correction2, float lr,
             float eps, const float* gradient, float* values, float* first, float* second) {
    i64 i = thread_number();
    if (i >= n) return;
    float g = gradient[i];
    float m = normal(beta1 * first[i] + rest1 * g);
    float v = normal(beta2 * second[i] + rest2 * (g * g));
    float root = sqrtf(v * correction2) + eps;
    values[i] = values[i] * keep - lr * (m * correction1) / root;
    first[i] = m;
    second[i] = v;
}
