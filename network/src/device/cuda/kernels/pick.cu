// Rows, columns and single numbers chosen by lists, and other numbers for single channels; see kernel/pick.rs and planes.rs.

KERNEL(pick_rows)(i64 n, i64 len, const int* rows, const float* from, float* to) {
    i64 i = thread_number();
    if (i < n) to[i] = from[(unsigned)rows[i / len] * len + i % len];
}

KERNEL(pick_columns)(i64 n, i64 columns, i64 picks, const int* places, const float* from, float* to) {
    i64 i = thread_number();
    if (i < n) to[i] = from[i / picks * columns + (unsigned)places[i % picks]];
}

KERNEL(take)(i64 n, i64 len, const int* places, const float* from, float* to) {
    i64 i = thread_number();
    if (i < n) to[i] = from[(unsigned)places[2 * i] * len + (unsigned)places[2 * i + 1]];
}

KERNEL(put)(i64 n, i64 len, const int* places, const float* values, float* to) {
    i64 i = thread_number();
    if (i < n) to[(unsigned)places[2 * i] * len + (unsigned)places[2 * i + 1]] = values[i];
}

KERNEL(multiply_each)(i64 n, i64 times, i64 len, const float* by, float* g) {
    i64 i = thread_number();
    if (i < n) g[i] = g[i] * by[i / (times * len) * len + i % len];
}

// The largest size of a number in each row; a maximum has no order.
KERNEL(largest)(i64 rows, i64 len, const float* x, float* to) {
    i64 row = thread_number();
    if (row >= rows) return;
    float most = 0.0f;
    for (i64 i = 0; i < len; i++) most = fmaxf(most, fabsf(x[row * len + i]));
    to[row] = most;
}

#define PARTS 8

// The numbers of each row and member against their channel: 0 where all are equal, 1 where some are not, 2 where no output is
// predicted to change by its margin.
KERNEL(differences)(i64 n, i64 count, i64 channels, i64 members, const int* channel_of, const float* numbers, const float* array,
                    i64 predicts, const float* gradient, const float* limits, const float* margins, i64 outputs, float safety,
                    float* to) {
    i64 i = thread_number();
    if (i >= n) return;
    i64 row = i / members, member = i % members, channel = (unsigned)channel_of[member];
    const float* now = numbers + row * count * members + member;
    const float* was = array + row * count * channels + channel;
    bool differs = false, within = predicts != 0;
    for (i64 p = 0; p < count; p++) {
        float d = now[p * members] - was[p * channels];
        differs = differs || !(d == 0.0f);
        within = within && fabsf(d) <= limits[row];
    }
    for (i64 output = 0; differs && within && gradient && output < outputs; output++) {
        const float* slope = gradient + (row * outputs + output) * count * channels + channel;
        float parts[PARTS] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f}, rest = 0.0f;
        i64 whole = count / PARTS * PARTS;
        for (i64 p0 = 0; p0 < whole; p0 += PARTS) {
#pragma unroll
            for (int k = 0; k < PARTS; k++) {
                i64 p = p0 + k;
                parts[k] = parts[k] + fabsf((now[p * members] - was[p * channels]) * slope[p * channels]);
            }
        }
        for (i64 p = whole; p < count; p++)
            rest = rest + fabsf((now[p * members] - was[p * channels]) * slope[p * channels]);
        float sum = 0.0f;
#pragma unroll
        for (int k = 0; k < PARTS; k++) sum = sum + parts[k];
        within = safety * (sum + rest) < margins[row * outputs + output];
    }
    to[i] = !differs ? 0.0f : within ? 2.0f : 1.0f;
}

// The numbers of pairs of a row and a member, into an array for each pair.
KERNEL(put_planes)(i64 n, i64 count, i64 channels, i64 members, const int* channel_of, const float* numbers, const int* pairs,
                   float* to) {
    i64 i = thread_number();
    if (i >= n) return;
    i64 pair = i / count, p = i % count, row = (unsigned)pairs[2 * pair], member = (unsigned)pairs[2 * pair + 1];
    to[(pair * count + p) * channels + (unsigned)channel_of[member]] = numbers[(row * count + p) * members + member];
}
