//! The key to the series, beside the panels, where it covers no data.

use duress_engine::spec::FigureKind;

use super::data::Quantity;
use super::layout::{BOLD, Beside, LABEL, SMALL};
use super::marks::marker;
use super::measure::{fitted, fitted_around, width};
use super::palette::INK;
use super::scene::Scene;
use super::svg::Svg;
use super::value::Value;

/// From one entry to the next.
const LINE: f64 = 18.5;
/// The longest label.
const ROOM: f64 = 170.0;
/// Entries in a column.
const ROWS: usize = 16;
const GAP: f64 = 16.0;

/// How much room the key takes.
pub(super) fn size(series: &[Value], by: &Quantity, kind: FigureKind) -> Beside {
    let columns = series.len().div_ceil(ROWS).max(1) as f64;
    let head = width(&by.title(), LABEL).min(ROOM) * BOLD;
    let rows = series.len().min(ROWS) as f64 + 1.0;
    Beside { width: (columns * (column(series, by, kind) + GAP) - GAP).max(head), height: rows * LINE }
}

/// The width of a sample: a piece of line, a marker, or a square.
fn sample_width(kind: FigureKind) -> f64 {
    if kind == FigureKind::Line { 30.0 } else { 12.0 }
}

/// The width of one column.
fn column(series: &[Value], by: &Quantity, kind: FigureKind) -> f64 {
    let widest = series.iter().map(|value| width(&value.print(by.format), SMALL + 0.5)).fold(0.0, f64::max);
    sample_width(kind) + 8.0 + widest.min(ROOM)
}

/// Draws it.
pub(super) fn draw(svg: &mut Svg, scene: &Scene, by: &Quantity) {
    let (left, top) = scene.layout.beside;
    let (column, sample_w) = (column(&scene.chart.series, by, scene.kind), sample_width(scene.kind));
    let title = fitted(&by.title(), LABEL, ROOM);
    let bold = [("font-size", LABEL.into()), ("font-weight", "600".into()), ("fill", INK.into())];
    svg.cut_text((left, top + LABEL - 3.0), &title, &by.title(), &bold);
    svg.group(&[("font-size", (SMALL + 0.5).into()), ("fill", INK.into())], |svg| {
        for (index, value) in scene.chart.series.iter().enumerate() {
            let x = left + (index / ROWS) as f64 * (column + GAP);
            let y = top + LINE * ((index % ROWS) as f64 + 1.45);
            sample(svg, scene, index, (x, y));
            let whole = value.print(by.format);
            svg.cut_text(
                (x + sample_w + 8.0, y + 0.36 * SMALL),
                &fitted_around(&whole, SMALL + 0.5, ROOM),
                &whole,
                &[],
            );
        }
    });
}

fn sample(svg: &mut Svg, scene: &Scene, index: usize, (x, y): (f64, f64)) {
    let (style, w) = (&scene.styles[index], sample_width(scene.kind));
    if scene.kind == FigureKind::Bar {
        svg.leaf(
            "rect",
            &[
                ("x", x.into()),
                ("y", (y - w / 2.0).into()),
                ("width", w.into()),
                ("height", w.into()),
                ("rx", 1.5.into()),
                ("fill", (&style.colour).into()),
            ],
        );
        return;
    }
    if scene.kind == FigureKind::Line {
        let mut attrs = vec![
            ("x1", x.into()),
            ("y1", y.into()),
            ("x2", (x + w).into()),
            ("y2", y.into()),
            ("stroke", (&style.colour).into()),
            ("stroke-width", 2.0.into()),
        ];
        if !style.dash.is_empty() {
            attrs.push(("stroke-dasharray", style.dash.into()));
        }
        svg.leaf("line", &attrs);
    }
    marker(svg, style, (x + w / 2.0, y), None);
}
