//! [`Value`]: what stands on an axis, in a legend or above a panel; it has one order and one way to be printed.

use std::cmp::Ordering;

use super::number::{Format, printed};

/// One value of an axis or a column.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A truth value.
    Boolean(bool),
    /// A finite number.
    Number(f64),
    /// Text. `rank` is its place on the axis it comes from, so that an axis keeps the order in which a spec lists it.
    Text { rank: usize, text: String },
    /// A null, or a number that is none.
    Missing,
}

impl Value {
    /// A number; what is not finite is missing, and there is one zero.
    pub(super) fn number(number: f64) -> Self {
        if number.is_finite() { Self::Number(number + 0.0) } else { Self::Missing }
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// As a reader sees it.
    pub(super) fn print(&self, format: Format) -> String {
        match self {
            Self::Boolean(truth) => truth.to_string(),
            Self::Number(number) => printed(*number, format),
            Self::Text { text, .. } => text.clone(),
            Self::Missing => "none".to_owned(),
        }
    }

    fn class(&self) -> u8 {
        match self {
            Self::Boolean(_) => 0,
            Self::Number(_) => 1,
            Self::Text { .. } => 2,
            Self::Missing => 3,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text { rank: i, text: a }, Self::Text { rank: j, text: b }) => {
                i.cmp(j).then_with(|| natural(a, b)).then_with(|| a.cmp(b))
            }
            _ => self.class().cmp(&other.class()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

/// Runs of digits compare as numbers, so that `hidden.2` comes before `hidden.10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (left, right) = (piece(a), piece(b));
        if left.is_empty() || right.is_empty() {
            return left.len().cmp(&right.len());
        }
        let digits = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let order = if digits(left) && digits(right) {
            let (m, n) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
            m.len().cmp(&n.len()).then_with(|| m.cmp(n))
        } else {
            left.cmp(right)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (&a[left.len()..], &b[right.len()..]);
    }
}

/// The first run of digits or of other letters.
fn piece(text: &str) -> &str {
    let first = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != first).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text { rank: 0, text: text.to_owned() }
    }

    #[test]
    fn numbers_in_text_compare_as_numbers() {
        let mut names = ["hidden.10", "output", "hidden.2", "hidden", "hidden.02"].map(text);
        names.sort();
        let printed: Vec<String> = names.iter().map(|name| name.print(Format::Plain)).collect();
        assert_eq!(printed, ["hidden", "hidden.02", "hidden.2", "hidden.10", "output"]);
    }

    #[test]
    fn the_order_of_an_axis_comes_before_the_alphabet() {
        let first = Value::Text { rank: 0, text: "z".into() };
        let second = Value::Text { rank: 1, text: "a".into() };
        assert!(first < second);
    }

    #[test]
    fn there_is_one_zero_and_no_value_that_is_not_finite() {
        assert_eq!(Value::number(-0.0), Value::number(0.0));
        assert_eq!(Value::number(f64::NAN), Value::Missing);
        assert_eq!(Value::number(f64::INFINITY), Value::Missing);
    }
}
