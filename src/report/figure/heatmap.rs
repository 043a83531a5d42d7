//! Means as colours over two quantities, with the numbers written where there is room.

use super::axis::Axis;
use super::layout::{Area, BOLD, Beside, LABEL, SMALL};
use super::measure::{fitted, width};
use super::notes::tooltip;
use super::number::{Format, fixed, significant};
use super::palette::{FAINT, GRID, INK, LINE, PAPER, on_viridis, viridis};
use super::reduce::Panel;
use super::scene::{Scene, rule};
use super::svg::Svg;

/// The key: a bar of colours.
const WIDTH: f64 = 15.0;
const HEAD: f64 = 20.0;
/// Steps of the bar: enough to look continuous.
const STEPS: usize = 64;
/// The longest title of the key.
const ROOM: f64 = 170.0;

/// The height of the key's bar beside panels of height `h`.
pub(super) fn key_height(h: f64) -> f64 {
    (h - HEAD).clamp(100.0, 220.0)
}

/// How much room the key takes.
pub(super) fn key_size(colour: &Axis, h: f64) -> Beside {
    let labels = WIDTH + 9.0 + colour.widest(SMALL);
    Beside { width: labels.max(width(&colour.title, LABEL).min(ROOM) * BOLD), height: HEAD + key_height(h) + 6.0 }
}

/// Draws the cells of a panel.
pub(super) fn draw(svg: &mut Svg, scene: &Scene, panel: &Panel, area: &Area, colour: &Axis) {
    let name = scene.panel_name(panel);
    let (columns, rows) = (scene.chart.xs.len().max(1), scene.chart.series.len().max(1));
    let (w, h) = (area.w / columns as f64, area.h / rows as f64);
    // What no row falls on shows through.
    svg.leaf(
        "rect",
        &[
            ("x", area.x.into()),
            ("y", area.y.into()),
            ("width", area.w.into()),
            ("height", area.h.into()),
            ("fill", GRID.into()),
        ],
    );
    let cells = Cells::new(scene, w, h);
    svg.group(&[("font-size", cells.size.into()), ("text-anchor", "middle".into())], |svg| {
        for (index, points) in panel.series.iter().enumerate() {
            for point in points {
                let up = scene.y.at(&scene.chart.series[index]).map(|at| scene.up(at));
                if let (Some(x), Some(up), Some(share)) = (scene.x.at(&point.x), up, colour.number(point.y)) {
                    let tooltip = tooltip(&scene.chart, &name, index, point);
                    cells.draw(svg, area.at(x, up), share, point.y, &tooltip);
                }
            }
        }
    });
}

/// What all cells have in common.
struct Cells {
    w: f64,
    h: f64,
    /// Of the text.
    size: f64,
    /// Whether there is room for text.
    written: bool,
    format: Format,
    decimals: usize,
}

impl Cells {
    fn new(scene: &Scene, w: f64, h: f64) -> Self {
        let size = (SMALL - 0.5).min(0.55 * h);
        let largest = scene.chart.points().map(|point| point.y).fold(0.0, f64::max);
        let decimals = if largest < 0.1 { 2 } else { 1 };
        let mut cells = Self { w, h, size, written: size >= 8.0, format: scene.chart.y.format, decimals };
        let widest = scene.chart.points().map(|point| width(&cells.print(point.y), size)).fold(0.0, f64::max);
        cells.written &= widest <= w - 4.0;
        cells
    }

    fn print(&self, value: f64) -> String {
        match self.format {
            Format::Percent => fixed(value, self.decimals, Format::Percent),
            Format::Plain => significant(value, 3, Format::Plain),
        }
    }

    fn draw(&self, svg: &mut Svg, (middle, centre): (f64, f64), share: f64, value: f64, tooltip: &str) {
        let fill = viridis(share);
        let attrs = [
            ("x", (middle - self.w / 2.0).into()),
            ("y", (centre - self.h / 2.0).into()),
            ("width", self.w.into()),
            ("height", self.h.into()),
            ("fill", (&fill).into()),
            ("stroke", PAPER.into()),
            ("stroke-width", 0.8.into()),
        ];
        svg.titled("rect", &attrs, tooltip);
        if self.written {
            let attrs = [("fill", on_viridis(share).into()), ("pointer-events", "none".into())];
            svg.text((middle, centre + 0.36 * self.size), &self.print(value), &attrs);
        }
    }
}

/// Draws the key: which colour is which value.
pub(super) fn draw_key(svg: &mut Svg, scene: &Scene, colour: &Axis) {
    let (left, top) = scene.layout.beside;
    let bold = [("font-size", LABEL.into()), ("font-weight", "600".into()), ("fill", INK.into())];
    svg.cut_text((left, top + LABEL - 3.0), &fitted(&colour.title, LABEL, ROOM), &colour.title, &bold);
    let height = key_height(scene.layout.panels.first().map_or(0.0, |panel| panel.h));
    let bar = Area { x: left, y: top + HEAD, w: WIDTH, h: height };
    // From the top, each down to the bottom and the next over it: no hairline shows between two.
    for index in (0..STEPS).rev() {
        let fill = viridis((index as f64 + 0.5) / STEPS as f64);
        let y = bar.at(0.0, (index + 1) as f64 / STEPS as f64).1;
        svg.leaf(
            "rect",
            &[
                ("x", bar.x.into()),
                ("y", y.into()),
                ("width", bar.w.into()),
                ("height", (bar.y + bar.h - y).into()),
                ("fill", (&fill).into()),
            ],
        );
    }
    for (at, label) in &colour.ticks {
        let (x, y) = bar.at(1.0, *at);
        svg.group(&[("stroke", LINE.into()), ("stroke-width", 1.0.into())], |svg| rule(svg, (x, y), (x + 4.0, y)));
        svg.text((x + 8.0, y + 0.36 * SMALL), label, &[("font-size", SMALL.into()), ("fill", FAINT.into())]);
    }
}
