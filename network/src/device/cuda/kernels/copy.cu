// Numbers copied (or added) in three nested loops within each image; see kernel/copy.rs.

KERNEL(copy)(i64 n, const float* from, i64 accumulate, float* to, i64 read, i64 write, i64 read_at, i64 write_at, i64 outer,
             i64 outer_read, i64 outer_write, i64 middle, i64 middle_read, i64 middle_write, i64 inner, i64 inner_read,
             i64 inner_write) {
    i64 i = thread_number();
    if (i >= n) return;
    i64 c = i % inner, b = i / inner % middle, a = i / inner / middle % outer, image = i / inner / middle / outer;
    float v = from[image * read + read_at + a * outer_read + b * middle_read + c * inner_read];
    float* place = to + image * write + write_at + a * outer_write + b * middle_write + c * inner_write;
    *place = onto(accumulate, *place, v);
}

// The matrix of which only the numbers at `places` are kept; the others stay.
KERNEL(scatter)(i64 n, const int* places, const float* kept, float* matrix) {
    i64 i = thread_number();
    if (i < n) matrix[(unsigned)places[i]] = kept[i];
}

KERNEL(gather)(i64 n, const int* places, const float* matrix, float* kept) {
    i64 i = thread_number();
    if (i < n) kept[i] = matrix[(unsigned)places[i]];
}
