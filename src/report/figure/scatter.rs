//! Points, one a row.

use super::layout::Area;
use super::marks::marker;
use super::notes::tooltip;
use super::reduce::Panel;
use super::scene::Scene;
use super::svg::Svg;

/// With more points than this, they have no tooltips and are fainter.
const MANY: usize = 1500;

/// Draws the points of a panel.
pub(super) fn draw(svg: &mut Svg, scene: &Scene, panel: &Panel, area: &Area) {
    let name = scene.panel_name(panel);
    let many = scene.chart.points().count() > MANY;
    let opacity = if many { 0.35 } else { 0.8 };
    for (index, points) in panel.series.iter().enumerate().filter(|(_, points)| !points.is_empty()) {
        svg.group(&[("fill-opacity", opacity.into())], |svg| {
            for point in points {
                let (Some(x), Some(y)) = (scene.x.at(&point.x), scene.y.number(point.y)) else { continue };
                let text = (!many).then(|| tooltip(&scene.chart, &name, index, point));
                marker(svg, &scene.styles[index], area.at(x, y), text.as_deref());
            }
        });
    }
}
