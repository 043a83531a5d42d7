//! The values of self-attention.

use super::Attention;
use crate::device::{Device, Fused, Place, Product};
use crate::op::arithmetic::{Context, Forward, Kept};

/// Sizes of an attention, and where its matrices are.
pub(super) struct Layout {
    pub images: usize,
    pub heads: usize,
    pub steps: usize,
    pub features: usize,
    /// Features of a head.
    pub width: usize,
}

impl Attention {
    pub(super) fn layout<D: Device>(&self, cx: &Context<'_, D>) -> Layout {
        let [steps, features] = cx.places();
        Layout { images: cx.images, heads: self.heads, steps, features, width: features / self.heads }
    }
}

/// Where a matrix of each image and head is: in the stacked projections, in the scores, or among the heads' results.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Query,
    Key,
    Value,
    Scores,
    Heads,
}

impl Layout {
    /// Place of the first head's matrix, and distances between images and between heads.
    fn at(&self, what: Of) -> (Place, usize, usize) {
        let Self { heads, steps, features, width, .. } = *self;
        let stacked = |part: usize| (Place::rows(3 * features).at(part * features), steps * 3 * features, width);
        match what {
            Of::Query => stacked(0),
            Of::Key => stacked(1),
            Of::Value => stacked(2),
            Of::Scores => (Place::rows(steps), heads * steps * steps, steps * steps),
            Of::Heads => (Place::rows(features), steps * features, width),
        }
    }

    /// `c = a b` for every image and head; `true` transposes a factor.
    pub(super) fn product(&self, (a, turn_a): (Of, bool), (b, turn_b): (Of, bool), c: Of) -> Product {
        let columns = |what: Of| if matches!(what, Of::Scores) { self.steps } else { self.width };
        let depth = if turn_a { self.steps } else { columns(a) };
        let turn = |place: Place, turn: bool| {
            let Place { offset, row_step, column_step } = place;
            if turn { Place { offset, row_step: column_step, column_step: row_step } } else { place }
        };
        let ((pa, ia, ha), (pb, ib, hb), (pc, ic, hc)) = (self.at(a), self.at(b), self.at(c));
        Product {
            size: [self.steps, depth, columns(c)],
            a: turn(pa, turn_a),
            b: turn(pb, turn_b),
            c: pc,
            batch: [(self.images, ia, ib, ic), (self.heads, ha, hb, hc)],
            accumulate: false,
        }
    }

    /// Rows of the scores, and their length.
    pub(super) fn scores(&self) -> [usize; 2] {
        [self.images * self.heads * self.steps, self.steps]
    }

    /// `1 / sqrt(width)` for every column of the scores.
    pub(super) fn scale<D: Device>(&self, device: &D) -> D::Buffer {
        device.upload(&vec![(1.0 / (self.width as f64).sqrt()) as f32; self.steps])
    }
}

impl Forward for Attention {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], kept: &mut Kept<D>) -> D::Buffer {
        let (at, device, p) = (self.layout(cx), cx.device, cx.parameters);
        let (rows, f) = (at.images * at.steps, at.features);
        let biased = |bias| Fused { bias: Some(bias), ..Fused::default() };
        let mut stacked = device.buffer(3 * rows * f);
        device.linear_once([rows, f, 3 * f], &p[0], x[0], biased(&p[1]), &mut stacked);
        let [score_rows, steps] = at.scores();
        let (mut sums, mut scores) = (device.buffer(score_rows * steps), device.buffer(score_rows * steps));
        device.product(&at.product((Of::Query, false), (Of::Key, true), Of::Scores), &stacked, &stacked, &mut sums);
        device.scale_shift(at.scores(), &at.scale(device), &sums, Fused::default(), &mut scores);
        device.softmax(at.scores(), &scores, &mut sums);
        let shares = sums;
        let mut heads = device.buffer(rows * f);
        device.product(&at.product((Of::Scores, false), (Of::Value, false), Of::Heads), &shares, &stacked, &mut heads);
        let mut y = cx.result();
        device.linear_once([rows, f, f], &p[2], &heads, biased(&p[3]), &mut y);
        kept.buffers = vec![stacked, shares, heads];
        y
    }
}
