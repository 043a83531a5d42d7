//! Numbers as text: short, aligned in what they leave out, and percent where they are shares.

/// How the values of one quantity are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// As they are.
    Plain,
    /// Times a hundred, with a percent sign.
    Percent,
}

/// Whether a quantity of this name and these values is a share of a whole. A name alone is no proof.
pub(super) fn is_share(name: &str, unit: &str, mut values: impl Iterator<Item = f64>) -> bool {
    const SHARES: [&str; 9] =
        ["accuracy", "rate", "sparsity", "density", "share", "fraction", "coverage", "confidence", "probability"];
    let share = name.split(['_', '-', '.', ' ']).any(|word| SHARES.contains(&word)) && !name.contains("learning_rate");
    share && matches!(unit, "" | "1") && values.all(|value| (0.0..=1.0).contains(&value))
}

/// The format of a share: percent, unless all is too small for it, or (where `small` values matter) some is.
pub(super) fn format_of_share(values: impl Iterator<Item = f64>, small: bool) -> Format {
    let (mut least, mut largest) = (f64::INFINITY, 0.0_f64);
    for value in values {
        largest = largest.max(value);
        least = if value > 0.0 { least.min(value) } else { least };
    }
    if largest >= 0.01 && !(small && least < 1e-4) { Format::Percent } else { Format::Plain }
}

/// A number by itself, short.
pub(super) fn printed(number: f64, format: Format) -> String {
    // Percent are rarely set to a hundredth; a third of a whole need not show that it is none.
    significant(number, if format == Format::Percent { 4 } else { 6 }, format)
}

/// A number to at most `digits` significant digits, without trailing zeros.
pub(super) fn significant(number: f64, digits: usize, format: Format) -> String {
    let number = if format == Format::Percent { number * 100.0 } else { number };
    let sign = if format == Format::Percent { "%" } else { "" };
    if number == 0.0 {
        return format!("0{sign}");
    }
    let text = format!("{:.*e}", digits.max(1) - 1, number);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        return format!("{}{sign}", scientific(trimmed(mantissa), exponent));
    }
    let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
    let plain = format!("{number:.decimals$}");
    format!("{}{sign}", grouped(trimmed(&plain)))
}

/// A number to this many decimals, so that the ticks of one axis agree.
pub(super) fn fixed(number: f64, decimals: usize, format: Format) -> String {
    let (number, sign) = if format == Format::Percent { (number * 100.0, "%") } else { (number, "") };
    let text = format!("{number:.decimals$}");
    let zero = text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
    format!("{}{sign}", grouped(if zero { text.trim_start_matches('-') } else { &text }))
}

/// `mantissa x 10^exponent`; a mantissa of 1 is left out.
pub(super) fn scientific(mantissa: &str, exponent: i32) -> String {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let power: String = exponent
        .to_string()
        .chars()
        .map(|c| c.to_digit(10).and_then(|digit| RAISED.get(digit as usize)).copied().unwrap_or('⁻'))
        .collect();
    let mantissa = minus(mantissa);
    match mantissa.as_str() {
        "1" => format!("10{power}"),
        "\u{2212}1" => format!("\u{2212}10{power}"),
        _ => format!("{mantissa}×10{power}"),
    }
}

/// Without zeros behind the point that say nothing.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Thousands apart from 10,000 on, and a true minus.
fn grouped(text: &str) -> String {
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let digits = whole.trim_start_matches('-');
    if digits.len() < 5 {
        return minus(text);
    }
    let mut out = whole[..whole.len() - digits.len()].to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    minus(&(out + rest))
}

fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_grouped() {
        let cases = [
            (0.0, "0"),
            (0.3, "0.3"),
            (0.1 + 0.2, "0.3"),
            (-2.5, "−2.5"),
            (1234.0, "1234"),
            (50_000.0, "50,000"),
            (1e6, "10⁶"),
            (-1e-7, "−10⁻⁷"),
            (2.5e-5, "2.5×10⁻⁵"),
            (0.0001, "0.0001"),
        ];
        for (number, text) in cases {
            assert_eq!(printed(number, Format::Plain), text);
        }
        assert_eq!(printed(0.125, Format::Percent), "12.5%");
        assert_eq!(fixed(-0.001, 1, Format::Plain), "0.0");
        assert_eq!(fixed(0.5, 0, Format::Percent), "50%");
        assert_eq!(significant(0.123_456, 3, Format::Plain), "0.123");
    }

    #[test]
    fn shares_are_percent_only_where_percent_can_be_read() {
        let of = |name: &str, values: &[f64]| {
            let share = is_share(name, "1", values.iter().copied());
            if share { format_of_share(values.iter().copied(), true) } else { Format::Plain }
        };
        assert_eq!(of("robust_accuracy", &[0.0, 0.97]), Format::Percent);
        assert_eq!(of("attack_success_rate", &[0.5]), Format::Percent);
        assert_eq!(of("learning_rate", &[0.5]), Format::Plain);
        assert_eq!(of("bit_error_rate", &[1e-7, 1e-2]), Format::Plain);
        assert_eq!(of("accuracy", &[97.0]), Format::Plain);
        assert_eq!(of("separate", &[0.5]), Format::Plain);
        assert!(!is_share("accuracy", "%", [0.5].into_iter()));
        assert_eq!(format_of_share([0.9, 1e-6].into_iter(), false), Format::Percent);
    }
}
