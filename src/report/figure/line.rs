//! Lines through means, with bands around them.

use super::layout::Area;
use super::marks::{marker, whisker};
use super::notes::tooltip;
use super::reduce::{Panel, Point};
use super::scene::Scene;
use super::svg::{Svg, path};

/// A line with more points than this has no markers: they would hide it.
const MARKED: usize = 48;

/// Draws the lines of a panel: all bands first, then all lines, then all markers.
pub(super) fn draw(svg: &mut Svg, scene: &Scene, panel: &Panel, area: &Area) {
    for (index, points) in panel.series.iter().enumerate() {
        if ribbons(scene, points) {
            ribbon(svg, scene, points, area, index);
        } else {
            whiskers(svg, scene, points, area, index);
        }
    }
    let name = scene.panel_name(panel);
    for (index, points) in panel.series.iter().enumerate() {
        line(svg, scene, points, area, index, &name);
    }
    for (index, points) in panel.series.iter().enumerate().filter(|(_, points)| points.len() <= MARKED) {
        for point in points {
            if let Some(at) = place(scene, area, index, point) {
                marker(svg, &scene.styles[index], at, Some(&tooltip(&scene.chart, &name, index, point)));
            }
        }
    }
}

/// Where a point stands; among named places the series stand beside each other, so that no whisker hides another.
fn place(scene: &Scene, area: &Area, index: usize, point: &Point) -> Option<(f64, f64)> {
    let (x, y) = area.at(scene.x.at(&point.x)?, scene.y.number(point.y)?);
    let Some(width) = scene.x.place_width() else { return Some((x, y)) };
    let count = scene.chart.series.len() as f64;
    let apart = (0.6 * width * area.w / count).min(9.0);
    Some((x + (index as f64 - (count - 1.0) / 2.0) * apart, y))
}

/// Whether bands are areas: between names there is nothing, and one point alone has no area.
fn ribbons(scene: &Scene, points: &[Point]) -> bool {
    scene.x.place_width().is_none() && points.iter().filter(|point| point.band.is_some()).count() > 1
}

fn ribbon(svg: &mut Svg, scene: &Scene, points: &[Point], area: &Area, index: usize) {
    // A point without a band of its own has the band narrow down to itself.
    let ends = |point: &Point| {
        let (low, high) = point.band.as_ref().map_or((point.y, point.y), |band| (band.low, band.high));
        let x = scene.x.at(&point.x)?;
        scene.y.number(point.y)?;
        Some((area.at(x, scene.y.edge(high)), area.at(x, scene.y.edge(low))))
    };
    let ends: Vec<_> = points.iter().filter_map(ends).collect();
    let around = ends.iter().map(|(high, _)| *high).chain(ends.iter().rev().map(|(_, low)| *low));
    let outline = path(around) + "Z";
    let colour = &scene.styles[index].colour;
    svg.leaf("path", &[("d", (&outline).into()), ("fill", colour.into()), ("fill-opacity", 0.16.into())]);
}

fn whiskers(svg: &mut Svg, scene: &Scene, points: &[Point], area: &Area, index: usize) {
    for point in points {
        if let (Some(band), Some((x, _))) = (&point.band, place(scene, area, index, point)) {
            whisker(svg, scene, area, x, band, &scene.styles[index].colour);
        }
    }
}

fn line(svg: &mut Svg, scene: &Scene, points: &[Point], area: &Area, index: usize, panel: &str) {
    let style = &scene.styles[index];
    let places: Vec<_> = points.iter().filter_map(|point| place(scene, area, index, point)).collect();
    if places.len() < 2 {
        return;
    }
    let through = path(places);
    let mut attrs = vec![
        ("d", (&through).into()),
        ("fill", "none".into()),
        ("stroke", (&style.colour).into()),
        ("stroke-width", 1.9.into()),
        ("stroke-linejoin", "round".into()),
        ("stroke-linecap", "round".into()),
    ];
    if !style.dash.is_empty() {
        attrs.push(("stroke-dasharray", style.dash.into()));
    }
    let series = scene.chart.series_by.as_ref();
    let series = series.map(|by| format!("{} = {}", by.words(), scene.chart.series[index].print(by.format)));
    let names: Vec<String> = [Some(panel.to_owned()), series].into_iter().flatten().filter(|n| !n.is_empty()).collect();
    if names.is_empty() { svg.leaf("path", &attrs) } else { svg.titled("path", &attrs, &names.join(", ")) }
}
