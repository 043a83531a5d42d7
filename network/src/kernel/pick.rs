//! Rows, columns and single numbers of arrays, chosen by lists.

/// Row `rows[i]` of `from` becomes row `i` of `to`; rows are `len` long.
pub fn rows(len: usize, rows: &[u32], from: &[f32], to: &mut [f32]) {
    for (&row, to) in rows.iter().zip(to.chunks_exact_mut(len.max(1))) {
        to.copy_from_slice(&from[row as usize * len..][..len]);
    }
}

/// The numbers at `picks` of every row of `columns` numbers.
pub fn columns(columns: usize, picks: &[u32], from: &[f32], to: &mut [f32]) {
    for (from, to) in from.chunks_exact(columns.max(1)).zip(to.chunks_exact_mut(picks.len().max(1))) {
        to.iter_mut().zip(picks).for_each(|(to, &pick)| *to = from[pick as usize]);
    }
}

/// The numbers at places `[row, place in it]`; rows are `len` long.
#[must_use]
pub fn take(len: usize, places: &[[u32; 2]], from: &[f32]) -> Vec<f32> {
    places.iter().map(|[row, at]| from[*row as usize * len + *at as usize]).collect()
}

/// Puts numbers at places `[row, place in it]`; rows are `len` long.
pub fn put(len: usize, places: &[[u32; 2]], values: &[f32], to: &mut [f32]) {
    for ([row, at], value) in places.iter().zip(values) {
        to[*row as usize * len + *at as usize] = *value;
    }
}

/// Multiplies each of `times` rows of every image by the image's own row of `by`; rows are `len` long.
pub fn multiply_each([times, len]: [usize; 2], by: &[f32], g: &mut [f32]) {
    for (by, rows) in by.chunks_exact(len.max(1)).zip(g.chunks_exact_mut((times * len).max(1))) {
        for row in rows.chunks_exact_mut(len.max(1)) {
            row.iter_mut().zip(by).for_each(|(g, by)| *g *= by);
        }
    }
}

/// The largest size of a number in each row of `len` numbers; 0 of none, and NaN counts as none.
#[must_use]
pub fn largest(len: usize, x: &[f32]) -> Vec<f32> {
    let row = |x: &[f32]| x.iter().fold(0.0, |largest: f32, v| largest.max(v.abs()));
    x.chunks_exact(len.max(1)).map(row).collect()
}
