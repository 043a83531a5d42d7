//! Figures: a `[figure.X]` of a spec and the collected table it looks at become one SVG that stands alone.
//!
//! [`render`] is pure: the same figure and the same rows, in any order, give the same bytes on every machine. The phases are
//! the files: rows are picked (`data`, `source`), reduced to points (`reduce`), given axes and a place on the page (`axis`, `layout`,
//! `scene`), and drawn by kind (`line`, `bar`, `scatter`, `heatmap`). The paper is white whatever surrounds it, since figures
//! are printed; colours and markers are those that everyone can tell apart (`palette`).

mod axis;
mod bar;
mod data;
mod error;
mod heatmap;
mod layout;
mod legend;
mod line;
mod marks;
mod measure;
mod notes;
mod number;
mod palette;
mod reduce;
mod scatter;
mod scene;
mod source;
mod svg;
mod ticks;
mod value;

#[cfg(test)]
mod tests;

pub use data::Orders;
pub use error::FigureError;

use duress_cache::Table;
use duress_engine::spec::{Figure, FigureKind};

use palette::PAPER;
use reduce::Chart;
use scene::Scene;
use svg::Svg;

/// What readers have installed, the best for figures first.
const FONT: &str =
    "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";
/// More panels than this fill no page that anyone reads.
const MOST_PANELS: usize = 36;
/// More lines or groups of bars than this cannot be told apart.
const MOST_SERIES: usize = 32;
/// More places than this are no categories.
const MOST_PLACES: usize = 300;

/// Draws a figure over the rows of a collected table, as one SVG document.
///
/// `orders` lists the values of every axis in the order in which they are to be shown.
///
/// # Errors
/// Where a key names nothing that is there, where nothing is left to draw, and where there is too much of it; see
/// [`FigureError`].
pub fn render(figure: &Figure, table: &Table, orders: &Orders) -> Result<String, FigureError> {
    let chart = reduce::reduce(data::select(figure, table, orders)?, figure);
    check_size(&chart, figure.kind)?;
    let title = figure.title.clone().unwrap_or_else(|| figure.name.replace(['_', '-'], " "));
    let scene = Scene::new(chart, figure, &title)?;
    let (width, height) = (scene.layout.width, scene.layout.height);
    let mut svg = Svg::new(width, height, &title, FONT);
    svg.leaf("rect", &[("width", width.into()), ("height", height.into()), ("fill", PAPER.into())]);
    scene.draw_page(&mut svg);
    for (index, (panel, area)) in scene.chart.panels.iter().zip(&scene.layout.panels).enumerate() {
        scene.draw_frame(&mut svg, index);
        match (figure.kind, &scene.colour) {
            (FigureKind::Heatmap, Some(colour)) => heatmap::draw(&mut svg, &scene, panel, area, colour),
            (FigureKind::Bar, _) => bar::draw(&mut svg, &scene, panel, area),
            (FigureKind::Scatter, _) => scatter::draw(&mut svg, &scene, panel, area),
            (FigureKind::Line | FigureKind::Heatmap, _) => line::draw(&mut svg, &scene, panel, area),
        }
        scene::draw_absence(&mut svg, panel, area);
    }
    match (&scene.colour, &scene.chart.series_by) {
        (Some(colour), _) => heatmap::draw_key(&mut svg, &scene, colour),
        (None, Some(by)) => legend::draw(&mut svg, &scene, by),
        (None, None) => {}
    }
    Ok(svg.finish())
}

fn check_size(chart: &Chart, kind: FigureKind) -> Result<(), FigureError> {
    let most_series = if kind == FigureKind::Heatmap { MOST_PLACES } else { MOST_SERIES };
    let places =
        matches!(kind, FigureKind::Bar | FigureKind::Heatmap) || chart.xs.iter().any(|x| x.as_number().is_none());
    let limits = [
        ("panels", chart.panels.len(), MOST_PANELS, "panel"),
        ("series", chart.series.len(), most_series, "series"),
        ("places along x", if places { chart.xs.len() } else { 0 }, MOST_PLACES, "x"),
    ];
    match limits.into_iter().find(|(_, count, most, _)| count > most) {
        Some((what, count, most, key)) => Err(FigureError::TooMany { what, count, most, key }),
        None => Ok(()),
    }
}
