//! Square (Andriushchenko, Croce, Flammarion and Hein 2020): squares of the image set to one side of the box or the other, kept
//! where the margin falls. It sees outputs alone, so that hidden gradients do not stop it.

use super::perturb::Run;
use super::{AttackError, Loss};

/// Settings of Square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Square {
    /// Questions asked about each sample.
    pub queries: usize,
    /// Share of the image that the first squares cover, 0.8 as in `AutoAttack`.
    pub share: f64,
}

/// The perturbed samples.
pub(super) fn run(run: &Run<'_>, square: Square) -> Result<Vec<f32>, AttackError> {
    let n = run.features();
    let mut attempt = run.attempt()?;
    let mut open = attempt.open.clone();
    let mut x = vec![0.0; open.len() * n];
    let mut margin = vec![f32::NEG_INFINITY; open.len()];
    for query in 0..square.queries {
        if open.is_empty() {
            break;
        }
        let mut tried = x.clone();
        for (point, &row) in tried.chunks_exact_mut(n).zip(&open) {
            propose(run, square, query, row, point);
        }
        let logits = run.classifier.logits(&tried, open.len())?;
        attempt.note(run, &open, &tried, &logits);
        let mut kept = Vec::new();
        for (at, &row) in open.iter().enumerate() {
            let found =
                Loss::Margin.value(&logits[at * run.outputs()..(at + 1) * run.outputs()], run.classes[row] as usize);
            if found > margin[at] {
                margin[at] = found;
                x[at * n..(at + 1) * n].copy_from_slice(&tried[at * n..(at + 1) * n]);
            }
            if margin[at] <= 0.0 {
                kept.push(at);
            }
        }
        if kept.len() < open.len() {
            x = kept.iter().flat_map(|at| &x[at * n..(at + 1) * n]).copied().collect();
            margin = kept.iter().map(|at| margin[*at]).collect();
            open = kept.iter().map(|at| open[*at]).collect();
        }
    }
    Ok(attempt.best)
}

/// Channels, rows and columns: of a vector one row.
pub(super) fn shape(run: &Run<'_>) -> [usize; 3] {
    match *run.classifier.network().input() {
        [channels, height, width] => [channels, height, width],
        [height, width] => [1, height, width],
        _ => [1, 1, run.features()],
    }
}

/// The next point: vertical stripes at first, then another square.
fn propose(run: &Run<'_>, square: Square, query: usize, row: usize, point: &mut [f32]) {
    let [channels, height, width] = shape(run);
    let mut random = run.stream("square", row, query);
    let paint = |c: usize, y: usize, x: usize, up: bool, point: &mut [f32]| {
        let at = (c * height + y) * width + x;
        let (lo, hi) = run.region.interval(row * point.len() + at);
        point[at] = if up { hi } else { lo };
    };
    if query == 0 {
        for c in 0..channels {
            for x in 0..width {
                let up = random.uniform_f64() < 0.5;
                (0..height).for_each(|y| paint(c, y, x, up, point));
            }
        }
        return;
    }
    let area = share(square, query) * (height * width) as f64;
    let side = (area.sqrt().round() as usize).max(1);
    // Of a vector a stretch of that area.
    let tall = side.min(height);
    let wide = if height == 1 { (area.round() as usize).clamp(1, width) } else { side.min(width) };
    let mut below = |limit: usize| (random.uniform_f64() * limit as f64) as usize;
    let (top, left) = (below(height - tall + 1), below(width - wide + 1));
    for c in 0..channels {
        let up = below(2) == 0;
        for y in top..top + tall {
            (left..left + wide).for_each(|x| paint(c, y, x, up, point));
        }
    }
}

/// The share of the image that a square covers: it halves at the questions where the authors' code halves it.
fn share(square: Square, query: usize) -> f64 {
    let scaled = query * 10_000 / square.queries.max(1);
    let halvings = [10, 50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000];
    let count = halvings.iter().filter(|at| scaled > **at).count();
    square.share / f64::from(1_u32 << count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_shrink_as_in_the_authors_code() {
        let square = Square { queries: 10_000, share: 0.8 };
        for (query, wanted) in [(0, 0.8), (10, 0.8), (11, 0.4), (51, 0.2), (201, 0.1), (8_001, 0.8 / 512.0)] {
            assert!((share(square, query) - wanted).abs() < 1e-12, "{query}");
        }
        assert!((share(Square { queries: 1_000, share: 0.8 }, 2) - 0.4).abs() < 1e-12);
    }
}
