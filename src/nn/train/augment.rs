//! Pictures shifted and mirrored at random during training (He et al. 2015, section 4.2).
//!
//! What happens to a picture depends on the seed, the epoch and the number of its row alone: not on the batch it falls into,
//! nor on what was trained before.

use crate::nn::random::Stream;

/// Random changes of pictures, drawn anew for each row in each epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augment {
    /// Channels, height and width of a row.
    pub shape: [usize; 3],
    /// Pixels of zeros added on every side before a window of the old size is cut out at random; 0 for none.
    pub crop: usize,
    /// Whether half of the pictures are mirrored left to right.
    pub flip: bool,
}

impl Augment {
    /// Whether rows of so many features are pictures of its shape, of which every crop leaves something.
    #[must_use]
    pub fn fits(&self, features: usize) -> bool {
        let [_, height, width] = self.shape;
        let product = self.shape.iter().try_fold(1, |product: usize, &side| product.checked_mul(side));
        product == Some(features) && self.crop < height.min(width)
    }

    /// Changes `x`, the features of row `row` in pass `epoch` over the data.
    ///
    /// # Panics
    /// If `x` has another length than the shape says.
    pub fn apply(&self, seed: u64, epoch: u64, row: usize, x: &mut [f32]) {
        let [channels, height, width] = self.shape;
        assert_eq!(x.len(), channels * height * width, "a row of the shape");
        let mut stream = Stream::new(seed, "train/augment", &[epoch, row as u64]);
        let [top, left] = [(); 2].map(|()| stream.below(2 * self.crop as u64 + 1) as usize);
        let mirrored = stream.bernoulli(0.5) && self.flip;
        if (top, left) == (self.crop, self.crop) && !mirrored {
            return;
        }
        let old = x.to_vec();
        for (plane, out) in old.chunks_exact(height * width).zip(x.chunks_exact_mut(height * width)) {
            for (i, value) in out.iter_mut().enumerate() {
                let (y, x) = (i / width, i % width);
                let x = if mirrored { width - 1 - x } else { x };
                // In the padded picture the old one begins `crop` pixels in.
                let (y, x) = ((y + top).wrapping_sub(self.crop), (x + left).wrapping_sub(self.crop));
                *value = if y < height && x < width { plane[y * width + x] } else { 0.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window of a padded picture, written as slowly as it is said.
    fn window(plane: &[f32], side: usize, crop: usize, (top, left): (usize, usize), mirrored: bool) -> Vec<f32> {
        let wide = side + 2 * crop;
        let mut padded = vec![0.0; wide * wide];
        for y in 0..side {
            for x in 0..side {
                padded[(y + crop) * wide + x + crop] = plane[y * side + x];
            }
        }
        let mut rows: Vec<Vec<f32>> =
            (top..top + side).map(|y| padded[y * wide + left..y * wide + left + side].to_vec()).collect();
        if mirrored {
            for row in &mut rows {
                row.reverse();
            }
        }
        rows.concat()
    }

    #[test]
    fn every_outcome_is_a_window_of_the_padded_picture_and_all_occur() {
        let augment = Augment { shape: [2, 3, 3], crop: 1, flip: true };
        let picture: Vec<f32> = (1..=18).map(|i| i as f32).collect();
        let mut windows = Vec::new();
        for place in 0..9 {
            for mirrored in [false, true] {
                let place = (place / 3, place % 3);
                windows.push([&picture[..9], &picture[9..]].map(|p| window(p, 3, 1, place, mirrored)).concat());
            }
        }
        let mut seen = vec![0; windows.len()];
        for row in 0..3600 {
            let mut x = picture.clone();
            augment.apply(5, 0, row, &mut x);
            seen[windows.iter().position(|window| *window == x).expect("a window")] += 1;
        }
        assert!(seen.iter().all(|&count| (130..280).contains(&count)), "{seen:?}");
    }

    #[test]
    fn a_row_is_changed_alike_in_the_same_epoch_and_otherwise_in_another() {
        let augment = Augment { shape: [1, 4, 4], crop: 2, flip: false };
        let outcome = |epoch| {
            let mut all: Vec<f32> = (0..320).map(|i| i as f32).collect();
            all.chunks_exact_mut(16).enumerate().for_each(|(row, x)| augment.apply(1, epoch, row, x));
            all
        };
        assert_eq!(outcome(3), outcome(3));
        assert_ne!(outcome(3), outcome(4));
    }

    #[test]
    fn nothing_to_do_changes_nothing() {
        let mut x: Vec<f32> = (0..16).map(|i| i as f32).collect();
        let before = x.clone();
        (0..20).for_each(|row| Augment { shape: [1, 4, 4], crop: 0, flip: false }.apply(1, 0, row, &mut x));
        assert_eq!(x, before);
    }
}
