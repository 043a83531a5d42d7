//! Bars from 0 to means, in groups, with whiskers.

use super::layout::Area;
use super::marks::whisker;
use super::notes::tooltip;
use super::palette::INK;
use super::reduce::Panel;
use super::scene::{Scene, rule};
use super::svg::Svg;

/// The share of a place that its bars take.
const FILLED: f64 = 0.78;

/// Draws the bars of a panel.
pub(super) fn draw(svg: &mut Svg, scene: &Scene, panel: &Panel, area: &Area) {
    let name = scene.panel_name(panel);
    let place = scene.x.place_width().unwrap_or(1.0) * area.w;
    let count = scene.chart.series.len().max(1) as f64;
    let pitch = (FILLED * place / count).min(64.0);
    let zero = area.at(0.0, scene.y.base()).1;
    for (index, points) in panel.series.iter().enumerate() {
        let colour = &scene.styles[index].colour;
        for point in points {
            let (Some(x), Some(y)) = (scene.x.at(&point.x), scene.y.number(point.y)) else { continue };
            let (middle, end) = area.at(x, y);
            let left = middle + (index as f64 - count / 2.0) * pitch;
            let thick = if pitch > 8.0 { pitch - 1.5 } else { pitch * 0.88 };
            let attrs = [
                ("x", (left + (pitch - thick) / 2.0).into()),
                ("y", end.min(zero).into()),
                ("width", thick.into()),
                ("height", (end - zero).abs().into()),
                ("fill", colour.into()),
            ];
            svg.titled("rect", &attrs, &tooltip(&scene.chart, &name, index, point));
            if let Some(band) = &point.band {
                whisker(svg, scene, area, left + pitch / 2.0, band, INK);
            }
        }
    }
    svg.group(&[("stroke", INK.into()), ("stroke-width", 1.0.into())], |svg| {
        rule(svg, (area.x, zero), (area.x + area.w, zero));
    });
}
