// The largest number or the mean of each window, channel by channel; see kernel/pool. Threads gather, so nothing is added twice at
// once.

// A pooling's sizes; `kind` is 0 for the largest number, 1 for the mean of what lies in the image, 2 with padding.
struct Windows {
    i64 height, width, channels, out_height, out_width, kernel_height, kernel_width, stride_down, stride_across, top, left, kind,
        bottom, right;

    // First and last but one row (or column) of window `o`, and its extent with padding.
    __device__ static void span(i64 o, i64 stride, i64 kernel, i64 before, i64 extent, i64 after, bool padded, i64* from, i64* to,
                                i64* across) {
        i64 first = o * stride;
        *from = first > before ? first - before : 0;
        *to = first + kernel > before ? first + kernel - before : 0;
        *to = *to < extent ? *to : extent;
        if (*to < *from) *to = *from;
        i64 end = first + kernel < extent + before + after ? first + kernel : extent + before + after;
        *across = padded ? end - first : *to - *from;
    }
    __device__ float area(i64 row, i64 column, i64* y0, i64* y1, i64* x0, i64* x1) const {
        i64 high, wide;
        span(row, stride_down, kernel_height, top, height, bottom, kind == 2, y0, y1, &high);
        span(column, stride_across, kernel_width, left, width, right, kind == 2, x0, x1, &wide);
        return (float)(high * wide > 1 ? high * wide : 1);
    }
};

#define WINDOWS                                                                                                              \
    i64 height, i64 width, i64 channels, i64 out_height, i64 out_width, i64 kernel_height, i64 kernel_width,                   \
        i64 stride_down, i64 stride_across, i64 top, i64 left, i64 kind, i64 bottom, i64 right
#define WINDOWS_HERE                                                                                                         \
    Windows w = {height, width, channels, out_height, out_width, kernel_height, kernel_width, stride_down, stride_across, top,  \
                 left, kind, bottom, right}

// The larger one, NaN being larger than all; of equals the earlier.
__device__ inline float larger(float earlier, float later) {
    return (later > earlier || is_nan(later)) && !is_nan(earlier) ? later : earlier;
}

KERNEL(pool)(i64 n, const float* x, float* y, WINDOWS) {
    WINDOWS_HERE;
    i64 i = thread_number();
    if (i >= n) return;
    i64 c = i % w.channels, column = i / w.channels % w.out_width, row = i / w.channels / w.out_width % w.out_height;
    x += i / w.channels / w.out_width / w.out_height * w.height * w.width * w.channels + c;
    i64 y0, y1, x0, x1;
    float area = w.area(row, column, &y0, &y1, &x0, &x1), result = w.kind == 0 ? -INFINITE : 0.0f;
    for (i64 r = y0; r < y1; r++)
        for (i64 k = x0; k < x1; k++) {
            float v = x[(r * w.width + k) * w.channels];
            result = w.kind == 0 ? larger(result, v) : result + v;
        }
    y[i] = w.kind == 0 ? result : result / area;
}

// A thread for each number of the input looks at all windows that it is in, in their order. Of equal maxima the first one takes the
// gradient.
KERNEL(pool_backward)(i64 n, const float* x, const float* dy, i64 accumulate, float* dx, WINDOWS) {
    WINDOWS_HERE;
    i64 i = thread_number();
    if (i >= n) return;
    i64 c = i % w.channels, column = i / w.channels % w.width, row = i / w.channels / w.width % w.height;
    i64 image = i / w.channels / w.width / w.height;
    x += image * w.height * w.width * w.channels + c;
    dy += image * w.out_height * w.out_width * w.channels + c;
    i64 first_row = row + w.top - w.kernel_height + 1, first_column = column + w.left - w.kernel_width + 1;
    first_row = first_row > 0 ? (first_row + w.stride_down - 1) / w.stride_down : 0;
    first_column = first_column > 0 ? (first_column + w.stride_across - 1) / w.stride_across : 0;
    float sum = accumulate ? dx[i] : 0.0f;
    for (i64 o = first_row; o <= (row + w.top) / w.stride_down && o < w.out_height; o++)
        for (i64 p = first_column; p <= (column + w.left) / w.stride_across && p < w.out_width; p++) {
            i64 y0, y1, x0, x1;
            float area = w.area(o, p, &y0, &y1, &x0, &x1), g = dy[(o * w.out_width + p) * w.channels];
            if (w.kind != 0) {
                sum = sum + g / area;
                continue;
            }
            float best = -INFINITE;
            for (i64 r = y0; r < y1; r++)
                for (i64 k = x0; k < x1; k++) best = larger(best, x[(r * w.width + k) * w.channels]);
            i64 taker = -1;
            for (i64 r = y0; r < y1 && taker < 0; r++)
                for (i64 k = x0; k < x1 && taker < 0; k++) {
                    float v = x[(r * w.width + k) * w.channels];
                    if (v == best || (is_nan(v) && is_nan(best))) taker = r * w.width + k;
                }
            sum = sum + (taker == row * w.width + column ? g : 0.0f);
        }
    dx[i] = sum;
}
