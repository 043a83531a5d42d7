//! Sizes, ages and durations, as people write and read them.

/// Bytes from `512M`, `10G`, `1.5 GiB` or a plain number; the letters are powers of 1024.
///
/// # Errors
/// Where the text is no size.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text).ok_or_else(|| format!("`{text}` is no size; write one such as 512M or 10G"))?;
    let unit = unit.to_ascii_lowercase();
    let power = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(format!("`{text}` is no size; its unit is one of K, M, G, T")),
    };
    Ok((number * 1024_f64.powi(power)) as u64)
}

/// Seconds from `30d`, `12h`, `45m`, `10s` or `2w`.
///
/// # Errors
/// Where the text is no age.
pub(crate) fn parse_age(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no age; write one such as 30d, 12h or 45m");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let unit = match unit {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 7.0 * 86_400.0,
        _ => return Err(wrong()),
    };
    Ok((number * unit) as u64)
}

fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim()))
}

/// Bytes for people: `812 B`, `3.4 MiB`.
#[must_use]
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter().peekable();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1024.0 && units.peek().is_some() {
        value /= 1024.0;
        unit = units.next().unwrap_or_default();
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

/// Seconds for people: `0.02 s`, `4.1 s`, `3 min 5 s`, `2 h 10 min`.
#[must_use]
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..10 if seconds < 1.0 => format!("{seconds:.2} s"),
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// `1 stage`, `3 stages`.
#[must_use]
pub(crate) fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// A number with its thousands apart: `17 173 504`.
#[must_use]
pub(crate) fn spaced(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("512M"), Ok(512 << 20));
        assert_eq!(parse_size("1.5 GiB"), Ok(3 << 29));
        assert_eq!(parse_size("100"), Ok(100));
        assert!(parse_size("10 apples").is_err());
        assert!(parse_size("").is_err());
        assert_eq!(size(812), "812 B");
        assert_eq!(size(3_565_158), "3.4 MiB");
    }

    #[test]
    fn ages_know_minutes_from_megabytes() {
        assert_eq!(parse_age("30d"), Ok(30 * 86_400));
        assert_eq!(parse_age("45m"), Ok(2700));
        assert!(parse_age("30").is_err());
        assert!(parse_age("30 G").is_err());
    }

    #[test]
    fn durations_keep_what_matters() {
        assert_eq!(duration(0.021), "0.02 s");
        assert_eq!(duration(4.13), "4.1 s");
        assert_eq!(duration(185.2), "3 min 5 s");
        assert_eq!(duration(7800.0), "2 h 10 min");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([spaced(7), spaced(1000), spaced(17_173_504)], ["7", "1 000", "17 173 504"]);
    }
}
