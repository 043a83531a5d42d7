//! Markers and whiskers, which several kinds of figures draw.

use super::layout::Area;
use super::palette::{Marker, PAPER, Style};
use super::reduce::Spread;
use super::scene::{Scene, rule};
use super::svg::{Svg, path};

/// Half the size of a marker.
const RADIUS: f64 = 3.6;

/// A marker, with a tooltip where it stands for a point.
pub(super) fn marker(svg: &mut Svg, style: &Style, (x, y): (f64, f64), tooltip: Option<&str>) {
    let outline = match style.marker {
        Marker::Circle => None,
        shape => Some(outline(shape, x, y)),
    };
    let shape = outline.as_ref().map_or_else(
        || vec![("cx", x.into()), ("cy", y.into()), ("r", RADIUS.into())],
        |outline| vec![("d", outline.into())],
    );
    let tag = if outline.is_some() { "path" } else { "circle" };
    let mut attrs = shape;
    attrs.extend([("fill", (&style.colour).into()), ("stroke", PAPER.into()), ("stroke-width", 0.9.into())]);
    match tooltip {
        Some(tooltip) => svg.titled(tag, &attrs, tooltip),
        None => svg.leaf(tag, &attrs),
    }
}

/// Shapes of about the same area as the circle.
fn outline(shape: Marker, x: f64, y: f64) -> String {
    let r = RADIUS;
    let corners: Vec<(f64, f64)> = match shape {
        Marker::Circle | Marker::Square => [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)].to_vec(),
        Marker::Triangle => [(0.0, -1.25), (1.15, 0.85), (-1.15, 0.85)].to_vec(),
        Marker::Inverted => [(0.0, 1.25), (1.15, -0.85), (-1.15, -0.85)].to_vec(),
        Marker::Diamond => [(0.0, -1.3), (1.1, 0.0), (0.0, 1.3), (-1.1, 0.0)].to_vec(),
        Marker::Cross => {
            let (a, b) = (0.42, 1.2);
            let quarter = [(-a, -b), (a, -b), (a, -a)];
            // The corner and the two around it, turned by a quarter four times.
            let turns = [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)];
            turns.iter().flat_map(|(c, s)| quarter.map(|(x, y)| (c * x - s * y, s * x + c * y))).collect()
        }
    };
    path(corners.into_iter().map(|(dx, dy)| (x + r * dx, y + r * dy))) + "Z"
}

/// A line from one end of a band to the other, with short ends across.
pub(super) fn whisker(svg: &mut Svg, scene: &Scene, area: &Area, x: f64, band: &Spread, colour: &str) {
    let (low, high) = (area.at(0.0, scene.y.edge(band.low)).1, area.at(0.0, scene.y.edge(band.high)).1);
    svg.group(&[("stroke", colour.into()), ("stroke-width", 1.3.into())], |svg| {
        rule(svg, (x, low), (x, high));
        rule(svg, (x - 3.0, low), (x + 3.0, low));
        rule(svg, (x - 3.0, high), (x + 3.0, high));
    });
}
