//! Writing SVG: elements, attributes, escaped text.
//!
//! There are no style sheets and no identifiers, so that several figures can stand in one HTML page without meeting.

use std::fmt::Write;

use crate::report::xml::escaped;

/// The value of an attribute.
#[derive(Clone, Debug)]
pub(super) enum Attr<'a> {
    /// A length or an opacity, printed to two decimals at most.
    Number(f64),
    /// Anything else; it is escaped.
    Text(&'a str),
}

impl From<f64> for Attr<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a str> for Attr<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Attr<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

/// Attributes in the order in which they are written.
pub(super) type Attrs<'a> = [(&'a str, Attr<'a>)];

/// A document in the making.
#[derive(Debug)]
pub(super) struct Svg {
    out: String,
    depth: usize,
}

impl Svg {
    /// An open document of this size.
    pub(super) fn new(width: f64, height: f64, title: &str, font: &str) -> Self {
        let mut svg = Self { out: String::new(), depth: 0 };
        let (w, h) = (coordinate(width), coordinate(height));
        let view = format!("0 0 {w} {h}");
        svg.open(
            "svg",
            &[
                ("xmlns", "http://www.w3.org/2000/svg".into()),
                ("width", width.into()),
                ("height", height.into()),
                ("viewBox", (&view).into()),
                ("role", "img".into()),
                ("font-family", font.into()),
            ],
        );
        svg.line(&format!("<title>{}</title>", escaped(title)));
        svg
    }

    /// The document.
    pub(super) fn finish(mut self) -> String {
        self.close("svg");
        self.out
    }

    /// An element without content.
    pub(super) fn leaf(&mut self, tag: &str, attrs: &Attrs<'_>) {
        let line = format!("<{tag}{}/>", written(attrs));
        self.line(&line);
    }

    /// An element without content but for what is shown where the pointer rests on it.
    pub(super) fn titled(&mut self, tag: &str, attrs: &Attrs<'_>, tooltip: &str) {
        let line = format!("<{tag}{}><title>{}</title></{tag}>", written(attrs), escaped(tooltip));
        self.line(&line);
    }

    /// Text that begins, centres or ends at a point, as `text-anchor` says.
    pub(super) fn text(&mut self, (x, y): (f64, f64), text: &str, attrs: &Attrs<'_>) {
        let at = written(&[("x", x.into()), ("y", y.into())]);
        let line = format!("<text{at}{}>{}</text>", written(attrs), escaped(text));
        self.line(&line);
    }

    /// Text that had to be cut, with the whole of it as its tooltip.
    pub(super) fn cut_text(&mut self, (x, y): (f64, f64), text: &str, whole: &str, attrs: &Attrs<'_>) {
        if text == whole {
            return self.text((x, y), text, attrs);
        }
        let at = written(&[("x", x.into()), ("y", y.into())]);
        let line = format!("<text{at}{}>{}<title>{}</title></text>", written(attrs), escaped(text), escaped(whole));
        self.line(&line);
    }

    /// Elements that share attributes.
    pub(super) fn group(&mut self, attrs: &Attrs<'_>, content: impl FnOnce(&mut Self)) {
        self.open("g", attrs);
        content(self);
        self.close("g");
    }

    fn open(&mut self, tag: &str, attrs: &Attrs<'_>) {
        let line = format!("<{tag}{}>", written(attrs));
        self.line(&line);
        self.depth += 1;
    }

    fn close(&mut self, tag: &str) {
        self.depth -= 1;
        self.line(&format!("</{tag}>"));
    }

    fn line(&mut self, text: &str) {
        let indent = 2 * self.depth;
        let _ = writeln!(self.out, "{:indent$}{text}", "");
    }
}

fn written(attrs: &Attrs<'_>) -> String {
    let mut out = String::new();
    for (name, value) in attrs {
        let _ = match value {
            Attr::Number(number) => write!(out, " {name}=\"{}\"", coordinate(*number)),
            Attr::Text(text) => write!(out, " {name}=\"{}\"", escaped(text)),
        };
    }
    out
}

/// To two decimals at most: finer than any screen or press, and the same on every machine.
pub(super) fn coordinate(number: f64) -> String {
    let text = format!("{number:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A path through these points.
pub(super) fn path(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut out = String::new();
    let mut last = String::new();
    for (x, y) in points {
        let next = format!("{} {}", coordinate(x), coordinate(y));
        if next != last {
            out.push(if out.is_empty() { 'M' } else { 'L' });
            out.push_str(&next);
            last = next;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_text_and_attributes_is_harmless() {
        let mut svg = Svg::new(10.0, 5.0, "</title><script>", "a\"b");
        svg.text((1.0, -0.001), "]]>", &[("fill", "#000\"".into())]);
        let text = svg.finish();
        assert!(!text.contains("<script"), "{text}");
        assert!(text.contains("<text x=\"1\" y=\"0\" fill=\"#000&quot;\">]]&gt;</text>"), "{text}");
    }

    #[test]
    fn coordinates_are_short_and_a_path_skips_points_that_do_not_move() {
        assert_eq!(coordinate(12.0), "12");
        assert_eq!(coordinate(0.126), "0.13");
        assert_eq!(path([(0.0, 1.0), (0.001, 1.0), (2.5, 3.0)]), "M0 1L2.5 3");
    }
}
