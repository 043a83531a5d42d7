//! Graphviz' DOT language.

use std::fmt::Write;

use super::Drawing;

/// The drawing in DOT.
#[must_use]
pub fn dot(drawing: &Drawing) -> String {
    let mut out = format!("digraph {} {{\n", quoted(&drawing.title));
    out.push_str("  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    out.push_str("  edge [fontname=\"sans-serif\", fontsize=10];\n");
    for (index, shape) in drawing.shapes.iter().enumerate() {
        let lines = [&shape.name, &shape.kind, &shape.axes];
        let text: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).map(String::as_str).collect();
        let form = if shape.source { ", shape=cylinder, style=solid" } else { "" };
        let _ = writeln!(out, "  n{index} [label={}{form}];", quoted(&text.join("\n")));
    }
    for arrow in &drawing.arrows {
        let style = if arrow.back { ", style=dashed, constraint=false" } else { "" };
        let _ = writeln!(out, "  n{} -> n{} [label={}{style}];", arrow.from, arrow.to, quoted(&arrow.label));
    }
    out.push_str("}\n");
    out
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::graph::{Arrow, Shape};

    #[test]
    fn names_are_quoted_and_back_arrows_are_dashed() {
        let shape = |name: &str| Shape { name: name.into(), kind: "train".into(), axes: String::new(), source: false };
        let arrow = Arrow { from: 1, to: 0, label: "weights".into(), back: true };
        let drawing = Drawing { title: "a \"b\"".into(), shapes: vec![shape("x"), shape("y")], arrows: vec![arrow] };
        let text = dot(&drawing);
        assert!(text.starts_with("digraph \"a \\\"b\\\"\" {\n"), "{text}");
        assert!(text.contains("n0 [label=\"x\\ntrain\"];"), "{text}");
        assert!(text.contains("n1 -> n0 [label=\"weights\", style=dashed, constraint=false];"), "{text}");
    }
}
