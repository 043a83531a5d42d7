//! Mermaid's flowcharts, which GitHub and most Markdown viewers draw.

use std::fmt::Write;

use super::Drawing;

/// The drawing as a Mermaid flowchart.
#[must_use]
pub fn mermaid(drawing: &Drawing) -> String {
    let mut out = "flowchart LR\n".to_owned();
    for (index, shape) in drawing.shapes.iter().enumerate() {
        let lines = [&shape.name, &shape.kind, &shape.axes];
        let text: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).map(|line| escaped(line)).collect();
        let (open, close) = if shape.source { ("[(", ")]") } else { ("(", ")") };
        let _ = writeln!(out, "  n{index}{open}\"{}\"{close}", text.join("<br/>"));
    }
    for arrow in &drawing.arrows {
        let line = if arrow.back { "-.->" } else { "-->" };
        let _ = writeln!(out, "  n{} {line}|\"{}\"| n{}", arrow.from, escaped(&arrow.label), arrow.to);
    }
    out
}

/// Mermaid's labels take HTML entities for what would end them.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::graph::Shape;

    #[test]
    fn quotes_in_labels_become_entities() {
        let shape = Shape { name: "a[x=\"1\"]".into(), kind: "train".into(), axes: "seed ×3".into(), source: false };
        let drawing = Drawing { title: String::new(), shapes: vec![shape], arrows: Vec::new() };
        assert_eq!(mermaid(&drawing), "flowchart LR\n  n0(\"a[x=&quot;1&quot;]<br/>train<br/>seed ×3\")\n");
    }
}
