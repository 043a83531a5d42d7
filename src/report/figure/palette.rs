//! Colours that everyone can tell apart, on white and in print.

use super::value::Value;

/// What figures are drawn on, whatever is around them.
pub(super) const PAPER: &str = "#ffffff";
/// Text and axes.
pub(super) const INK: &str = "#1f2328";
/// Text of less importance.
pub(super) const FAINT: &str = "#59636e";
/// Axis lines and ticks.
pub(super) const LINE: &str = "#8c959f";
/// Lines behind the data.
pub(super) const GRID: &str = "#e7eaee";

/// Okabe & Ito, "Color Universal Design" (2008), without black and with its yellow, too light for lines on white, replaced by
/// a dark grey.
const DISTINCT: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4d4d4d"];

/// Viridis (Smith & van der Walt 2015) at every tenth.
const VIRIDIS: [(u8, u8, u8); 11] = [
    (0x44, 0x01, 0x54),
    (0x48, 0x24, 0x75),
    (0x41, 0x44, 0x87),
    (0x35, 0x5f, 0x8d),
    (0x2a, 0x78, 0x8e),
    (0x21, 0x91, 0x8c),
    (0x22, 0xa8, 0x84),
    (0x44, 0xbf, 0x70),
    (0x7a, 0xd1, 0x51),
    (0xbd, 0xdf, 0x26),
    (0xfd, 0xe7, 0x25),
];

/// The shape of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    Inverted,
    Cross,
}

const MARKERS: [Marker; 6] =
    [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Diamond, Marker::Inverted, Marker::Cross];
/// Solid, then dashes for when the colours begin again.
const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];

/// How one series looks. Colour never stands alone: the marker differs too, and the dashes where colours repeat.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Style {
    pub(super) colour: String,
    pub(super) dash: &'static str,
    pub(super) marker: Marker,
}

/// The styles of all series: from dark to light where they are three numbers or more, else as unlike as possible.
pub(super) fn styles(series: &[Value]) -> Vec<Style> {
    let numbers = series.len() > 2 && series.iter().all(|value| value.as_number().is_some());
    let last = series.len().saturating_sub(1).max(1) as f64;
    let colour = |index: usize| {
        if numbers { viridis(0.86 * index as f64 / last) } else { DISTINCT[index % DISTINCT.len()].to_owned() }
    };
    let dash = |index: usize| if numbers { "" } else { DASHES[index / DISTINCT.len() % DASHES.len()] };
    (0..series.len())
        .map(|index| Style { colour: colour(index), dash: dash(index), marker: MARKERS[index % MARKERS.len()] })
        .collect()
}

/// A colour between dark (0) and light (1), even in lightness.
pub(super) fn viridis(share: f64) -> String {
    let (r, g, b) = mixed(share);
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Black or white, whichever reads better on [`viridis`] of the same share.
pub(super) fn on_viridis(share: f64) -> &'static str {
    let (r, g, b) = mixed(share);
    // Relative luminance as in WCAG 2; the threshold is where the contrast to black and to white are equal.
    let linear = |channel: u8| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    if luminance > 0.179 { INK } else { PAPER }
}

fn mixed(share: f64) -> (u8, u8, u8) {
    let place = share.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let index = (place as usize).min(VIRIDIS.len() - 2);
    let (from, to) = (VIRIDIS[index], VIRIDIS[index + 1]);
    let part = place - index as f64;
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * part).round() as u8;
    (mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_series_are_told_apart_by_colour_marker_and_dash() {
        let series: Vec<Value> = (0..12).map(|rank| Value::Text { rank, text: format!("s{rank}") }).collect();
        let styles = styles(&series);
        for (index, style) in styles.iter().enumerate() {
            assert!(!styles[..index].iter().any(|other| other.colour == style.colour && other.dash == style.dash));
        }
    }

    #[test]
    fn numbers_go_from_dark_to_light() {
        let series: Vec<Value> = [0.0, 0.5, 0.9].map(Value::number).to_vec();
        let colours: Vec<String> = styles(&series).into_iter().map(|style| style.colour).collect();
        assert_eq!(colours[0], "#440154");
        assert!(colours[0] < colours[2] && colours[1] != colours[2], "{colours:?}");
    }

    #[test]
    fn viridis_meets_its_published_ends_and_text_on_it_can_be_read() {
        assert_eq!(
            (viridis(0.0).as_str(), viridis(0.5).as_str(), viridis(1.0).as_str()),
            ("#440154", "#21918c", "#fde725")
        );
        assert_eq!((on_viridis(0.0), on_viridis(1.0)), (PAPER, INK));
    }
}
