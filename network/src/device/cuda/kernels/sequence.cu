// What sequences take: softmax over rows (kernel/softmax.rs), and a step of long short-term memory (kernel/lstm.rs).

// A thread for each row; NaN anywhere makes all of it NaN.
KERNEL(softmax)(i64 rows, i64 len, const float* x, float* y) {
    i64 r = thread_number();
    if (r >= rows) return;
    x += r * len;
    y += r * len;
    float largest = x[0], sum = 0.0f;
    for (i64 i = 1; i < len; i++) largest = largest > x[i] || is_nan(largest) ? largest : x[i];
    for (i64 i = 0; i < len; i++) {
        y[i] = expf(x[i] - largest);
        sum = sum + y[i];
    }
    for (i64 i = 0; i < len; i++) y[i] = y[i] / sum;
}

KERNEL(softmax_backward)(i64 rows, i64 len, const float* y, const float* dy, i64 accumulate, float* dx) {
    i64 r = thread_number();
    if (r >= rows) return;
    float inner = 0.0f;
    for (i64 i = r * len; i < (r + 1) * len; i++) inner = fmaf(y[i], dy[i], inner);
    for (i64 i = r * len; i < (r + 1) * len; i++) dx[i] = onto(accumulate, dx[i], y[i] * (dy[i] - inner));
}

// A thread for each image and unit; gates are `i f g o`, `hidden` each.
KERNEL(lstm_cell)(i64 n, i64 hidden, float* gates, const float* before, float* after, float* h) {
    i64 j = thread_number();
    if (j >= n) return;
    float* gate = gates + j / hidden * 4 * hidden + j % hidden;
    float i = logistic(1.0f * gate[0]), f = logistic(1.0f * gate[hidden]), g = tanhf(gate[2 * hidden]);
    float o = logistic(1.0f * gate[3 * hidden]);
    gate[0] = i;
    gate[hidden] = f;
    gate[2 * hidden] = g;
    gate[3 * hidden] = o;
    after[j] = f * before[j] + i * g;
    h[j] = o * tanhf(after[j]);
}

KERNEL(lstm_cell_backward)(i64 n, i64 hidden, const float* gates, const float* before, const float* after, const float* dh, float* dc,
                           float* dgates) {
    i64 j = thread_number();
    if (j >= n) return;
    i64 at = j / hidden * 4 * hidden + j % hidden;
    float i = gates[at], f = gates[at + hidden], g = gates[at + 2 * hidden], o = gates[at + 3 * hidden];
    float t = tanhf(after[j]);
    float cell = dc[j] + dh[j] * o * (1.0f - t * t);
    dgates[at] = cell * g * (i * (1.0f - i));
    dgates[at + hidden] = cell * before[j] * (f * (1.0f - f));
    dgates[at + 2 * hidden] = cell * i * (1.0f - g * g);
    dgates[at + 3 * hidden] = dh[j] * t * (o * (1.0f - o));
    dc[j] = cell * f;
}
