//! Pictures of another size, to the last bit as Pillow's `Image.resize(size, Image.Resampling.BILINEAR)` makes them up to
//! version 12 (and with it torchvision's `Resize` on pictures): a triangle filter that widens when shrinking, in fixed
//! point, along the rows first. Pillow 13 sometimes begins with the columns, which may round differently by one.

/// Bits after the point of a weight: what 32 bits leave for a product with 8 bits and two of headroom.
const PRECISION: u32 = 32 - 8 - 2;

/// The weights of one direction: for each output the first input it reads, and a weight for it and each one after.
struct Weights(Vec<(usize, Vec<i32>)>);

impl Weights {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        // Shrinking averages over all pixels that fall into one; enlarging reads two.
        let support = scale.max(1.0);
        let weights = |output: usize| {
            let center = (output as f64 + 0.5) * scale;
            let first = ((center - support + 0.5) as isize).max(0) as usize;
            let last = ((center + support + 0.5) as usize).min(from);
            let triangle = |input: usize| {
                let distance = ((input as f64 - center + 0.5) * (1.0 / support)).abs();
                if distance < 1.0 { 1.0 - distance } else { 0.0 }
            };
            let mut raw: Vec<f64> = (first..last).map(triangle).collect();
            let sum = raw.iter().fold(0.0, |sum, weight| sum + weight);
            if sum != 0.0 {
                raw = raw.into_iter().map(|weight| weight / sum).collect();
            }
            let fixed = |weight: f64| (0.5 + weight * f64::from(1 << PRECISION)) as i32;
            (first, raw.into_iter().map(fixed).collect())
        };
        Self((0..to).map(weights).collect())
    }

    /// The weighted sum for output `index` of values that lie `step` apart.
    fn sum(&self, index: usize, values: &[u8], step: usize) -> u8 {
        let (first, weights) = &self.0[index];
        let half = 1_i32 << (PRECISION - 1);
        let sum = weights
            .iter()
            .zip(values[first * step..].iter().step_by(step))
            .fold(half, |sum, (weight, value)| sum + i32::from(*value) * weight);
        (sum >> PRECISION).clamp(0, 255) as u8
    }
}

/// Brings pictures of one size to another.
pub(super) struct Resizer {
    from: [usize; 2],
    to: [usize; 2],
    rows: Weights,
    columns: Weights,
}

impl Resizer {
    /// From `[height, width]` to `[height, width]`, none of them zero.
    pub(super) fn new(from: [usize; 2], to: [usize; 2]) -> Self {
        Self { from, to, rows: Weights::new(from[0], to[0]), columns: Weights::new(from[1], to[1]) }
    }

    /// Appends one channel of a picture, resized.
    pub(super) fn plane(&self, pixels: &[u8], out: &mut Vec<u8>) {
        let ([height, width], [new_height, new_width]) = (self.from, self.to);
        let wide: Vec<u8> = if width == new_width {
            pixels.to_vec()
        } else {
            let row = |row: &[u8]| (0..new_width).map(|x| self.columns.sum(x, row, 1)).collect::<Vec<_>>();
            pixels.chunks_exact(width).flat_map(row).collect()
        };
        if height == new_height {
            out.extend(wide);
            return;
        }
        for y in 0..new_height {
            out.extend((0..new_width).map(|x| self.rows.sum(y, &wide[x..], new_width)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture without any regularity that a wrong filter could hide behind.
    fn noise(height: usize, width: usize) -> Vec<u8> {
        let mut state = 12_345_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..height * width).map(|_| next()).collect()
    }

    #[test]
    fn every_pixel_is_pillows() {
        // Digests of Pillow's pixels for the same pictures (fixtures/resize.py).
        let fixture = include_str!("fixtures/resize.txt");
        for line in fixture.lines() {
            let mut words = line.split(' ');
            let mut number = || words.next().expect("a number").parse::<usize>().expect("a number");
            let (from, to) = ([number(), number()], [number(), number()]);
            let mut found = Vec::new();
            Resizer::new(from, to).plane(&noise(from[0], from[1]), &mut found);
            assert_eq!(blake3::hash(&found).to_hex().as_str(), words.next().expect("a digest"), "{from:?} to {to:?}");
        }
        assert!(fixture.lines().count() >= 12);
    }

    #[test]
    fn a_picture_of_one_colour_keeps_it() {
        let mut found = Vec::new();
        Resizer::new([7, 5], [31, 2]).plane(&[201; 35], &mut found);
        assert_eq!(found, [201; 62]);
    }
}
