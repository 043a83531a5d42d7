// Batch and layer normalisation; see kernel/norm. Batch statistics are taken in two stages of fixed order: numbers of an image in eight
// interleaved chains, then images one after the other in double precision.

#define CHAINS 8
#define LANES (THREADS / CHAINS)

// The sum of the eight chains of this thread's channel; every thread of the block takes part.
__device__ inline float chained(float sum) {
    __shared__ float chains[CHAINS][LANES];
    int lane = threadIdx.x % LANES, chain = threadIdx.x / LANES;
    __syncthreads();
    chains[chain][lane] = sum;
    __syncthreads();
    float pairs[4];
    for (int i = 0; i < 4; i++) pairs[i] = chains[2 * i][lane] + chains[2 * i + 1][lane];
    return (pairs[0] + pairs[1]) + (pairs[2] + pairs[3]);
}

// Blocks are images times groups of channels.
#define CHANNEL_OF_BLOCK                                                                                                     \
    i64 groups = (channels + LANES - 1) / LANES, image = blockIdx.x / groups;                                                  \
    i64 c = blockIdx.x % groups * LANES + threadIdx.x % LANES, chain = threadIdx.x / LANES;                                    \
    bool mine = c < channels;                                                                                                  \
    i64 start = image * places * channels + c;

// For each image the mean of each channel, then the sum of squared differences to it.
KERNEL(moments)(i64 places, i64 channels, const float* x, float* partial) {
    CHANNEL_OF_BLOCK
    float sum = 0.0f;
    if (mine)
        for (i64 p = chain; p < places; p += CHAINS) sum = sum + x[start + p * channels];
    float mean = chained(sum) / (float)places;
    sum = 0.0f;
    if (mine)
        for (i64 p = chain; p < places; p += CHAINS) {
            float d = x[start + p * channels] - mean;
            sum = sum + d * d;
        }
    sum = chained(sum);
    if (mine && chain == 0) {
        partial[image * 2 * channels + c] = mean;
        partial[(image * 2 + 1) * channels + c] = sum;
    }
}

// Mean and variance of each channel from each image's moments, in the order of images (Chan, Golub and LeVeque 1983).
KERNEL(combine_moments)(i64 channels, i64 images, i64 places, const float* partial, double* out) {
    i64 c = thread_number();
    if (c >= channels) return;
    double mean = 0.0, variance = 0.0;
    for (i64 i = 0; i < images; i++) {
        double n = (double)(i * places), m = (double)places;
        double delta = (double)partial[i * 2 * channels + c] - mean;
        mean = mean + delta * m / (n + m);
        variance = variance + ((double)partial[(i * 2 + 1) * channels + c] + delta * delta * n * m / (n + m));
    }
    out[c] = mean;
    out[channels + c] = variance / (double)(images * places);
}

// For each image and channel the sum of `g`, and of `g (x - mean)`.
KERNEL(gradient_sums)(i64 places, i64 channels, const float* mean, const float* x, const float* g, float* partial) {
    CHANNEL_OF_BLOCK
    float sum = 0.0f, product = 0.0f;
    if (mine)
        for (i64 p = chain; p < places; p += CHAINS) {
            i64 at = start + p * channels;
            sum = sum + g[at];
            product = product + g[at] * (x[at] - mean[c]);
        }
    sum = chained(sum);
    product = chained(product);
    if (mine && chain == 0) {
        partial[image * 2 * channels + c] = sum;
        partial[(image * 2 + 1) * channels + c] = product;
    }
}

// For each image and channel the sum of `x`.
KERNEL(channel_sums)(i64 places, i64 channels, const float* x, float* partial) {
    CHANNEL_OF_BLOCK
    float sum = 0.0f;
    if (mine)
        for (i64 p = chain; p < places; p += CHAINS) sum = sum + x[start + p * channels];
    sum = chained(sum);
    if (mine && chain == 0) partial[image * channels + c] = sum;
}

// Adds a number for each of `n` columns over the images, in their order.
KERNEL(add_images)(i64 n, i64 images, const float* partial, double* out) {
    i64 c = thread_number();
    if (c >= n) return;
    double sum = 0.0;
    for (i64 i = 0; i < images; i++) sum = sum + (double)partial[i * n + c];
    out[c] = sum;
}

// For each row its mean, and one over its standard deviation.
KERNEL(row_statistics)(i64 rows, i64 len, double eps, const float* x, float* out) {
    i64 r = thread_number();
    if (r >= rows) return;
    x += r * len;
    double n = (double)len, sum = 0.0, square = 0.0;
    for (i64 i = 0; i < len; i++) sum = sum + (double)x[i];
    double mean = sum / n;
    for (i64 i = 0; i < len; i++) {
        double d = (double)x[i] - mean;
        square = square + d * d;
    }
    out[2 * r] = (float)mean;
    out[2 * r + 1] = (float)(1.0 / sqrt(square / n + eps));
}

KERNEL(layer_norm)(i64 n, i64 len, const float* statistics, const float* weight, const float* bias, const float* x, float* y) {
    i64 i = thread_number();
    if (i >= n) return;
    const float* row = statistics + i / len * 2;
    y[i] = (x[i] - row[0]) * row[1] * weight[i % len] + bias[i % len];
}

// For each row the means over it of `g = dy weight` and of `g z`, with the normalised `z`.
KERNEL(layer_norm_means)(i64 rows, i64 len, const float* statistics, const float* weight, const float* x, const float* dy,
                         float* means) {
    i64 r = thread_number();
    if (r >= rows) return;
    float mean = statistics[2 * r], inverse = statistics[2 * r + 1];
    double sum = 0.0, product = 0.0;
    for (i64 i = 0; i < len; i++) {
        double g = (double)(dy[r * len + i] * weight[i]);
        sum = sum + g;
        product = product + g * (double)((x[r * len + i] - mean) * inverse);
    }
    means[2 * r] = (float)(sum / (double)len);
    means[2 * r + 1] = (float)(product / (double)len);
}

KERNEL(layer_norm_backward)(i64 n, i64 len, const float* statistics, const float* means, const float* weight, const float* x,
                            const float* dy, i64 accumulate, float* dx) {
    i64 i = thread_number();
    if (i >= n) return;
    const float *row = statistics + i / len * 2, *mean = means + i / len * 2;
    float v = row[1] * (dy[i] * weight[i % len] - mean[0] - (x[i] - row[0]) * row[1] * mean[1]);
    dx[i] = onto(accumulate, dx[i], v);
}

// The gradients of weight and bias, added to theirs in the order of the rows.
KERNEL(layer_norm_parameters)(i64 len, i64 rows, const float* statistics, const float* x, const float* dy, float* dw, float* db) {
    i64 c = thread_number();
    if (c >= len) return;
    float weight = dw[c], bias = db[c];
    for (i64 r = 0; r < rows; r++) {
        float g = dy[r * len + c];
        weight = weight + g * (x[r * len + c] - statistics[2 * r]) * statistics[2 * r + 1];
        bias = bias + g;
    }
    dw[c] = weight;
    db[c] = bias;
}
