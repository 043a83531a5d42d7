//! How wide text will be, without a font: by classes of letters, on the generous side of what common sans-serif fonts do.

/// The width of `text` at a font size, in the units of that size.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// The text, or as much of its beginning as fits with an ellipsis behind it.
pub(super) fn fitted(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut left = room - width("…", size);
    let kept: String = text
        .chars()
        .take_while(|&letter| {
            left -= advance(letter) * size;
            left >= 0.0
        })
        .collect();
    format!("{}…", kept.trim_end())
}

/// The text, or as much of its beginning and its end as fits: names that count differ at their ends.
pub(super) fn fitted_around(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let half = (room - width("…", size)) / 2.0;
    let letters: Vec<char> = text.chars().collect();
    let taken = |letters: &mut dyn Iterator<Item = &char>| {
        let mut left = half;
        letters
            .take_while(|&&letter| {
                left -= advance(letter) * size;
                left >= 0.0
            })
            .count()
    };
    let (front, back) = (taken(&mut letters.iter()), taken(&mut letters.iter().rev()));
    let end = letters.len() - back;
    letters[..front].iter().chain(&['…']).chain(&letters[end..]).collect()
}

/// The text in as many lines as it needs, broken at spaces; a word that is wider than the room is cut.
pub(super) fn wrapped(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(" ", size) + width(word, size) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fitted(word, size, room)),
        }
    }
    lines
}

/// In ems.
fn advance(letter: char) -> f64 {
    match letter {
        'i' | 'j' | 'l' | '\'' | '|' | '.' | ',' | ':' | ';' | '!' | ' ' => 0.31,
        'f' | 't' | 'r' | 'I' | '(' | ')' | '[' | ']' | '/' | '-' | '\u{2070}'..='\u{207f}' | '¹' | '²' | '³' => {
            0.41
        }
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 0.95,
        'A'..='Z' => 0.71,
        '0'..='9' | 'a'..='z' | '_' => 0.6,
        other if (other as u32) < 0x1100 => 0.66,
        // Ideographs and everything after them stand in squares.
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_so_that_it_fits() {
        let text = "a rather long label of a series";
        let cut = fitted(text, 12.0, 100.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0) <= 100.0, "{cut}");
        assert_eq!(fitted("short", 12.0, 100.0), "short");
        assert_eq!(fitted("anything", 12.0, 1.0), "…");
        let around = fitted_around("block.with.a.long.name.17", 12.0, 90.0);
        assert!(around.starts_with("bl") && around.contains('…') && around.ends_with("17"), "{around}");
        assert!(width(&around, 12.0) <= 90.0);
    }

    #[test]
    fn lines_break_at_spaces_and_none_is_wider_than_the_room() {
        let lines = wrapped("one two three four five six", 10.0, 60.0);
        assert!(lines.len() > 1 && lines.iter().all(|line| width(line, 10.0) <= 60.0), "{lines:?}");
        assert_eq!(lines.join(" "), "one two three four five six");
    }
}
