// Convolutions as products of matrices that are never written out: pixels under a kernel's taps against weights; see kernel/conv.
// Images are `[row][column][channel]`, weights arrive as `[output][input of its group][tap]`.

// A convolution's sizes, of one group.
struct Sizes {
    i64 height, width, channels, out_height, out_width, outputs, kernel_width, taps, stride_down, stride_across, top, left,
        dilation_down, dilation_across, inputs, results;
};

#define SIZES                                                                                                               \
    i64 height, i64 width, i64 channels, i64 out_height, i64 out_width, i64 outputs, i64 kernel_width, i64 taps,            \
        i64 stride_down, i64 stride_across, i64 top, i64 left, i64 dilation_down, i64 dilation_across, i64 inputs,          \
        i64 results
#define SIZES_HERE                                                                                                          \
    Sizes s = {height, width, channels, out_height, out_width, outputs, kernel_width, taps, stride_down, stride_across,      \
               top, left, dilation_down, dilation_across, inputs, results}

// Weights of all groups as `[group][tap][input][output]`: rows are what is summed over, forward.
KERNEL(pack_forward)(i64 n, i64 taps, i64 inputs, i64 results, const float* weight, float* to) {
    i64 i = thread_number();
    if (i >= n) return;
    i64 o = i % results, input = i / results % inputs, tap = i / results / inputs % taps, g = i / results / inputs / taps;
    to[i] = weight[((g * results + o) * inputs + input) * taps + tap];
}

// Weights of all groups as `[group][tap][output][input]`: rows are what is summed over, on the way back.
KERNEL(pack_backward)(i64 n, i64 taps, i64 inputs, i64 results, const float* weight, float* to) {
    i64 i = thread_number();
    if (i >= n) return;
    i64 input = i % inputs, o = i / inputs % results, tap = i / inputs / results % taps, g = i / inputs / results / taps;
    to[i] = weight[((g * results + o) * inputs + input) * taps + tap];
}

// Place of an image, and the upper left corner of the window there.
struct Corner {
    i64 image;
    int row, column;
};
// A tap, and a channel.
struct Tap {
    int row, column;
    i64 channel;
};

// Outer: places of the output, image after image. Inner: taps, and channels of each.
struct Pixels {
    static constexpr bool INNER_FIRST = true;
    typedef Corner Outer;
    typedef Tap Inner;
    Sizes s;
    const float* x;
    __device__ Outer outer(i64 m) const {
        i64 place = m % (s.out_height * s.out_width);
        return {m / (s.out_height * s.out_width) * s.height * s.width * s.channels,
                (int)(place / s.out_width * s.stride_down - s.top), (int)(place % s.out_width * s.stride_across - s.left)};
    }
    __device__ Inner inner(i64 k) const {
        int tap = (int)k / (int)s.inputs;
        return {tap / (int)s.kernel_width * (int)s.dilation_down, tap % (int)s.kernel_width * (int)s.dilation_across,
                (int)k % (int)s.inputs};
    }
    __device__ float at(Outer m, Inner k) const {
        int row = m.row + k.row, column = m.column + k.column;
        bool inside = row >= 0 && row < s.height && column >= 0 && column < s.width;
        return inside ? x[m.image + (row * s.width + column) * s.channels + k.channel] : 0.0f;
    }
};

// Outer: places of the input, image after image. Inner: taps, and outputs of each; zero where the tap reaches no output.
struct Reaching {
    static constexpr bool INNER_FIRST = true;
    typedef Corner Outer;
    typedef Tap Inner;
    Sizes s;
    const float* dy;
    __device__ Outer outer(i64 m) const {
        i64 place = m % (s.height * s.width);
        return {m / (s.height * s.width) * s.out_height * s.out_width * s.outputs, (int)(place / s.width + s.top),
                (int)(place % s.width + s.left)};
    }
    __device__ Inner inner(i64 k) const {
        int tap = (int)k / (int)s.results;
        return {tap / (int)s.kernel_width * (int)s.dilation_down, tap % (int)s.kernel_width * (int)s.dilation_across,
                (int)k % (int)s.results};
    }
    __device__ float at(Outer m, Inner k) const {
        int down = m.row - k.row, across = m.column - k.column;
        int row = down / (int)s.stride_down, column = across / (int)s.stride_across;
        bool inside = down >= 0 && across >= 0 && row * (int)s.stride_down == down && column * (int)s.stride_across == across &&
                      row < s.out_height && column < s.out_width;
        return inside ? dy[m.image + (row * s.out_width + column) * s.outputs + k.channel] : 0.0f;
    }
};

// Outer: taps, and inputs of each. Inner: places of the output, image after image.
struct Under {
    static constexpr bool INNER_FIRST = false;
    typedef Tap Outer;
    typedef Corner Inner;
    Pixels pixels;
    __device__ Outer outer(i64 m) const { return pixels.inner(m); }
    __device__ Inner inner(i64 k) const { return pixels.outer(k); }
    __device__ float at(Outer m, Inner k) const { return pixels.at(k, m); }
};

// Splits a block's number into tile across, tile down and the rest.
#define BLOCKS(R, C, rows, columns)                                                                                          \
    i64 across = ((columns) + C - 1) / C, down = ((rows) + R - 1) / R, block = blockIdx.x;                                     \
    i64 n0 = block % across * C, m0 = block / across % down * R, rest = block / across / down;

KERNEL(convolution)(i64 images, const float* x, const float* weight, const float* bias, const float* residual, float low,
                    float high, float* y, SIZES) {
    SIZES_HERE;
    i64 rows = images * s.out_height * s.out_width;
    __shared__ float room[ROOM];
#define TILE(R, C, T, W)                                                                                                     \
    BLOCKS(R, C, rows, s.results)                                                                                              \
    i64 first = rest * s.results;                                                                                              \
    Pixels pixels = {s, x + rest * s.inputs};                                                                                  \
    Strided<false> weights = {weight + rest * s.taps * s.inputs * s.results, 1, s.results};                                    \
    Finish out = {bias ? bias + first : 0, residual ? residual + first : 0, low, high, false, false, y + first, s.outputs};    \
    tile<R, C, T, W>(room, pixels, weights, out, m0, n0, rows, s.results, s.taps * s.inputs);
    BY_WIDTH(s.results, TILE)
#undef TILE
}

KERNEL(convolution_backward_input)(i64 images, const float* dy, const float* weight, i64 accumulate, float* dx, SIZES) {
    SIZES_HERE;
    i64 rows = images * s.height * s.width;
    __shared__ float room[ROOM];
#define TILE(R, C, T, W)                                                                                                     \
    BLOCKS(R, C, rows, s.inputs)                                                                                               \
    Reaching reaching = {s, dy + rest * s.results};                                                                            \
    Strided<false> weights = {weight + rest * s.taps * s.inputs * s.results, 1, s.inputs};                                     \
    Finish out = {0, 0, -INFINITE, INFINITE, accumulate != 0, false, dx + rest * s.inputs, s.channels};                        \
    tile<R, C, T, W>(room, reaching, weights, out, m0, n0, rows, s.inputs, s.taps * s.results);
    BY_WIDTH(s.inputs, TILE)
#undef TILE
}

// Sums of each chunk of images, `[chunk][group][tap][input][output]`.
KERNEL(convolution_backward_weight)(i64 images, i64 chunk, i64 groups, const float* x, const float* dy, float* partial, SIZES) {
    SIZES_HERE;
    i64 places = s.out_height * s.out_width, rows = s.taps * s.inputs;
    __shared__ float room[ROOM];
#define TILE(R, C, T, W)                                                                                                     \
    BLOCKS(R, C, rows, s.results)                                                                                              \
    i64 g = rest % groups, first = rest / groups * chunk;                                                                      \
    i64 some = chunk < images - first ? chunk : images - first;                                                                \
    Under under = {{s, x + first * s.height * s.width * s.channels + g * s.inputs}};                                           \
    Strided<false> gradient = {dy + first * places * s.outputs + g * s.results, 1, s.outputs};                                 \
    Finish out = {0, 0, -INFINITE, INFINITE, false, false, partial + rest * rows * s.results, s.results};                      \
    tile<R, C, T, W>(room, under, gradient, out, m0, n0, rows, s.results, some * places);
    BY_WIDTH(s.results, TILE)
#undef TILE
}

// Adds the chunks' sums in order, and brings them into the order of weights.
KERNEL(add_chunks)(i64 n, i64 chunks, i64 taps, i64 inputs, i64 results, const float* partial, float* dw) {
    i64 i = thread_number();
    if (i >= n) return;
    i64 o = i % results, input = i / results % inputs, tap = i / results / inputs % taps, g = i / results / inputs / taps;
    float sum = partial[i];
    for (i64 c = 1; c < chunks; c++) sum = sum + partial[c * n + i];
    dw[((g * results + o) * inputs + input) * taps + tap] = sum;
}

// Where each channel is convolved on its own: a thread for each number of the output.
KERNEL(depthwise)(i64 n, const float* x, const float* weight, const float* bias, const float* residual, float low, float high,
                  float* y, SIZES) {
    SIZES_HERE;
    i64 i = thread_number();
    if (i >= n) return;
    i64 c = i % s.outputs;
    Pixels pixels = {s, x};
    Corner corner = pixels.outer(i / s.outputs);
    float sum = bias ? bias[c] : 0.0f;
    for (i64 t = 0; t < s.taps; t++) {
        Tap tap = pixels.inner(t);
        tap.channel = c;
        sum = fmaf(pixels.at(corner, tap), weight[c * s.taps + t], sum);
    }
    if (residual) sum = sum + residual[i];
    y[i] = clipped(sum, low, high);
}

KERNEL(depthwise_backward_input)(i64 n, const float* dy, const float* weight, i64 accumulate, float* dx, SIZES) {
    SIZES_HERE;
    i64 i = thread_number();
    if (i >= n) return;
    i64 c = i % s.channels;
    Reaching reaching = {s, dy};
    Corner corner = reaching.outer(i / s.channels);
    float sum = accumulate ? dx[i] : 0.0f;
    for (i64 t = 0; t < s.taps; t++) {
        Tap tap = reaching.inner(t);
        tap.channel = c;
        sum = fmaf(reaching.at(corner, tap), weight[c * s.taps + t], sum);
    }
    dx[i] = sum;
}

// A thread for each chunk of images, tap and channel; `[chunk][channel][tap]`.
KERNEL(depthwise_backward_weight)(i64 n, i64 images, i64 chunk, const float* x, const float* dy, float* partial, SIZES) {
    SIZES_HERE;
    i64 i = thread_number();
    if (i >= n) return;
    i64 c = i % s.channels, t = i / s.channels % s.taps, first = i / s.channels / s.taps * chunk;
    i64 some = chunk < images - first ? chunk : images - first, places = s.out_height * s.out_width;
    Pixels pixels = {s, x + first * s.height * s.width * s.channels};
    Tap tap = pixels.inner(t);
    tap.channel = c;
    float sum = 0.0f;
    for (i64 k = 0; k < some * places; k++)
        sum = fmaf(pixels.at(pixels.outer(k), tap), dy[(first * places + k) * s.outputs + c], sum);
    partial[(i / s.channels / s.taps * s.channels + c) * s.taps + t] = sum;
}
