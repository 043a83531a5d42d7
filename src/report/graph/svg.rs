//! SVG that stands alone: no script, no font, no link; it follows the reader's light or dark scheme.

use std::fmt::Write;

use super::frame::{Frame, LINE, MARGIN};
use super::{Arrow, Drawing, Shape};
use crate::report::xml::escaped;

const STYLE: &str = "\
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 17px; font-weight: 600; }
  .name { font-weight: 600; }
  .small { font-size: 11px; fill: #59636e; }
  .halo { stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; paint-order: stroke; }
  .page { fill: #ffffff; }
  .stage { fill: #eef4ff; stroke: #4477aa; }
  .data { fill: #f1f7ee; stroke: #448844; }
  .arrow { fill: none; stroke: #7a838d; stroke-width: 1.4; }
  .back { stroke-dasharray: 5 4; }
  .head { fill: #7a838d; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .small { fill: #9aa4ae; }
    .halo { stroke: #0d1117; }
    .page { fill: #0d1117; }
    .stage { fill: #16233a; stroke: #6fa0d8; }
    .data { fill: #16281b; stroke: #6fb37f; }
    .arrow { stroke: #8b949e; }
    .head { fill: #8b949e; }
  }
";

/// The drawing as one SVG document.
#[must_use]
pub fn svg(drawing: &Drawing) -> String {
    let frame = Frame::new(drawing);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.0} {h:.0}\" width=\"{w:.0}\" height=\"{h:.0}\" role=\"img\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n\
         <defs><marker id=\"head\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto-start-reverse\"><path class=\"head\" d=\"M0 1 L10 5 L0 9 z\"/></marker></defs>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"{MARGIN}\" dominant-baseline=\"hanging\">{title}</text>\n",
        w = frame.width,
        h = frame.height,
        title = escaped(&drawing.title),
    );
    for (index, arrow) in drawing.arrows.iter().enumerate() {
        draw_arrow(&mut out, &frame, arrow, index);
    }
    for (index, shape) in drawing.shapes.iter().enumerate() {
        draw_box(&mut out, &frame, shape, index);
    }
    for (index, arrow) in drawing.arrows.iter().enumerate() {
        draw_label(&mut out, &frame, arrow, index);
    }
    out.push_str("</svg>\n");
    out
}

fn draw_box(out: &mut String, frame: &Frame, shape: &Shape, index: usize) {
    let (x, y) = frame.centre(index);
    let (width, height) = frame.size(index);
    let class = if shape.source { "data" } else { "stage" };
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"7\"/>",
        x - width / 2.0,
        y - height / 2.0,
    );
    let lines = if shape.axes.is_empty() { 2.0 } else { 3.0 };
    let first = y - (lines - 1.0) / 2.0 * LINE;
    for (line, (class, text)) in
        [("name", &shape.name), ("small", &shape.kind), ("small", &shape.axes)].into_iter().enumerate()
    {
        if !text.is_empty() {
            let at = first + LINE * line as f64;
            let _ = writeln!(
                out,
                "<text class=\"{class}\" x=\"{x:.1}\" y=\"{at:.1}\" text-anchor=\"middle\" dominant-baseline=\"central\">{}</text>",
                escaped(text)
            );
        }
    }
}

fn draw_arrow(out: &mut String, frame: &Frame, arrow: &Arrow, index: usize) {
    let path = if arrow.back { back_path(frame, index) } else { forward_path(frame, index) };
    let class = if arrow.back { "arrow back" } else { "arrow" };
    let _ = writeln!(out, "<path class=\"{class}\" d=\"{path}\" marker-end=\"url(#head)\"/>");
}

/// A curve that leaves to the right, runs level through every layer on its way, and enters from the left.
fn forward_path(frame: &Frame, index: usize) -> String {
    let points = frame.route(index);
    let (mut x, mut y) = points[0];
    let mut path = format!("M{x:.1} {y:.1}");
    for &(to_x, to_y) in &points[1..] {
        let half = (to_x - x) / 2.0;
        let _ = write!(path, " C{:.1} {y:.1} {:.1} {to_y:.1} {to_x:.1} {to_y:.1}", x + half, to_x - half);
        (x, y) = (to_x, to_y);
    }
    path
}

/// A curve below everything, from the right side of a box to the left side of the same or an earlier one.
fn back_path(frame: &Frame, index: usize) -> String {
    let [(x0, y0), (x1, y1)] = frame.ends(index);
    let floor = frame.floor(index);
    let (a, b) = (x0 + 34.0, x1 - 34.0);
    format!(
        "M{x0:.1} {y0:.1} C{a:.1} {y0:.1} {a:.1} {floor:.1} {x0:.1} {floor:.1} L{x1:.1} {floor:.1} \
         C{b:.1} {floor:.1} {b:.1} {y1:.1} {x1:.1} {y1:.1}"
    )
}

fn draw_label(out: &mut String, frame: &Frame, arrow: &Arrow, index: usize) {
    let [start, end] = frame.ends(index);
    let (x, y, anchor) = if arrow.back {
        (f64::midpoint(start.0, end.0), frame.floor(index), "middle")
    } else {
        (end.0 - 13.0, end.1 - 7.0, "end")
    };
    let _ = writeln!(
        out,
        "<text class=\"small halo\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" dominant-baseline=\"central\">{}</text>",
        escaped(&arrow.label)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_is_escaped_and_the_empty_drawing_is_still_a_picture() {
        let shape = Shape { name: "a<b".into(), kind: "train".into(), axes: String::new(), source: false };
        let text = svg(&Drawing { title: "x & y".into(), shapes: vec![shape], arrows: Vec::new() });
        assert!(text.contains("a&lt;b") && text.contains("x &amp; y"));
        assert!(svg(&Drawing::default()).contains("viewBox=\"0 0 "));
    }
}
