//! From layers and rows to pixels: where each box stands, and where each arrow leaves, passes and enters.

use super::layout::{Layout, layout};
use super::{Drawing, Shape};

pub(super) const MARGIN: f64 = 24.0;
pub(super) const LINE: f64 = 17.0;
pub(super) const PADDING: f64 = 14.0;
const GAP_ACROSS: f64 = 24.0;
const GAP_ALONG: f64 = 104.0;
const TITLE: f64 = 34.0;
/// Between two arrows at the same side of a box: room for a label.
const PORT: f64 = 18.0;
/// Between two arrows against the flow, below everything.
const TRACK: f64 = 20.0;

/// A point, from the left and from the top.
type Point = (f64, f64);

/// Pixels for everything.
pub(super) struct Frame {
    pub(super) width: f64,
    pub(super) height: f64,
    layout: Layout,
    /// Left edge and width of each layer.
    columns: Vec<(f64, f64)>,
    sizes: Vec<(f64, f64)>,
    /// Where each arrow leaves and enters.
    ends: Vec<[Point; 2]>,
    /// For arrows against the flow, how far down they run.
    floors: Vec<f64>,
    top: f64,
}

impl Frame {
    pub(super) fn new(drawing: &Drawing) -> Self {
        let sizes: Vec<(f64, f64)> =
            drawing.shapes.iter().enumerate().map(|(node, shape)| size(shape, ports(drawing, node))).collect();
        let heights: Vec<f64> = sizes.iter().map(|size| size.1).collect();
        let edges: Vec<(usize, usize)> = drawing.arrows.iter().map(|arrow| (arrow.from, arrow.to)).collect();
        let layout = layout(&heights, &edges, GAP_ACROSS);
        let columns = columns(&layout, &sizes);
        let (low, high) = extent(&layout, &heights);
        let top = MARGIN + TITLE - low;
        let mut tracks = 0.0;
        let floors = drawing.arrows.iter().map(|arrow| {
            tracks += if arrow.back { TRACK } else { 0.0 };
            top + high + tracks
        });
        let floors = floors.collect();
        let title = drawing.title.chars().count() as f64 * 10.0;
        let right = columns.last().map_or(0.0, |(left, width)| left + width);
        let mut frame = Self {
            width: right.max(MARGIN + title) + MARGIN + 20.0,
            height: top + high + tracks + MARGIN,
            ends: Vec::new(),
            layout,
            columns,
            sizes,
            floors,
            top,
        };
        frame.ends = frame.all_ends(drawing);
        frame
    }

    /// The middle of a box.
    pub(super) fn centre(&self, node: usize) -> Point {
        let (left, width) = self.columns[self.layout.layer[node]];
        (left + width / 2.0, self.top + self.layout.centre[node])
    }

    /// Width and height of a box.
    pub(super) fn size(&self, node: usize) -> (f64, f64) {
        self.sizes[node]
    }

    /// Where an arrow leaves and where it enters.
    pub(super) fn ends(&self, arrow: usize) -> [Point; 2] {
        self.ends[arrow]
    }

    /// How far down an arrow against the flow runs.
    pub(super) fn floor(&self, arrow: usize) -> f64 {
        self.floors[arrow]
    }

    /// The points an arrow with the flow passes: both ends, and both sides of every layer between them.
    pub(super) fn route(&self, arrow: usize) -> Vec<Point> {
        let [start, end] = self.ends[arrow];
        let mut points = vec![start];
        for &(layer, centre) in &self.layout.via[arrow] {
            let (left, width) = self.columns[layer];
            points.push((left, self.top + centre));
            points.push((left + width, self.top + centre));
        }
        points.push(end);
        points
    }

    /// Spreads the arrows of each side of each box, in the order in which the other ends stand.
    fn all_ends(&self, drawing: &Drawing) -> Vec<[Point; 2]> {
        let mut ends: Vec<[Point; 2]> = (drawing.arrows.iter())
            .map(|arrow| {
                let (from, to) = (self.centre(arrow.from), self.centre(arrow.to));
                let [out, into] = [self.sizes[arrow.from].0, self.sizes[arrow.to].0];
                [(from.0 + out / 2.0, from.1), (to.0 - into / 2.0, to.1)]
            })
            .collect();
        for node in 0..drawing.shapes.len() {
            for side in [0, 1] {
                let mut here: Vec<usize> = (0..drawing.arrows.len())
                    .filter(|&index| [drawing.arrows[index].from, drawing.arrows[index].to][side] == node)
                    .collect();
                here.sort_by(|&a, &b| self.pull(drawing, a, side).total_cmp(&self.pull(drawing, b, side)));
                let middle = here.len().saturating_sub(1) as f64 / 2.0;
                for (place, &index) in here.iter().enumerate() {
                    ends[index][side].1 += (place as f64 - middle) * PORT;
                }
            }
        }
        ends
    }

    /// Where an arrow comes from (side 1) or goes to (side 0), across the flow; against the flow is from far below.
    fn pull(&self, drawing: &Drawing, index: usize, side: usize) -> f64 {
        let arrow = &drawing.arrows[index];
        if arrow.back {
            return f64::MAX;
        }
        let via = &self.layout.via[index];
        let next = if side == 0 { via.first() } else { via.last() };
        next.map_or(self.layout.centre[if side == 0 { arrow.to } else { arrow.from }], |(_, centre)| *centre)
    }
}

/// The most arrows at one side of a box.
fn ports(drawing: &Drawing, node: usize) -> usize {
    let out = drawing.arrows.iter().filter(|arrow| arrow.from == node).count();
    let into = drawing.arrows.iter().filter(|arrow| arrow.to == node).count();
    out.max(into)
}

/// Width and height of a box, from the length of its lines: there is no font to measure, so generously.
fn size(shape: &Shape, ports: usize) -> (f64, f64) {
    let name = shape.name.chars().count() as f64 * 7.9;
    let small = shape.kind.chars().count().max(shape.axes.chars().count()) as f64 * 6.4;
    let lines = if shape.axes.is_empty() { 2.0 } else { 3.0 };
    (name.max(small).max(48.0) + 2.0 * PADDING, (lines * LINE + PADDING).max(ports as f64 * PORT + 6.0))
}

fn columns(layout: &Layout, sizes: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut wide = vec![0.0_f64; layout.layer.iter().max().map_or(0, |last| last + 1)];
    for (node, &layer) in layout.layer.iter().enumerate() {
        wide[layer] = wide[layer].max(sizes[node].0);
    }
    let mut left = MARGIN + 20.0;
    let column = |width| {
        let column = (left, width);
        left += width + GAP_ALONG;
        column
    };
    wide.into_iter().map(column).collect()
}

/// The least and the greatest row that anything reaches.
fn extent(layout: &Layout, heights: &[f64]) -> (f64, f64) {
    let boxes = layout.centre.iter().zip(heights);
    let reach = boxes.flat_map(|(centre, height)| [centre - height / 2.0, centre + height / 2.0]);
    let bends = layout.via.iter().flatten().map(|(_, centre)| *centre);
    let all: Vec<f64> = reach.chain(bends).collect();
    let low = all.iter().copied().reduce(f64::min).unwrap_or(0.0);
    (low, all.iter().copied().reduce(f64::max).unwrap_or(0.0))
}
