//! Masks what differs from run to run: keys, times, sizes.

/// The text with hexadecimal names as `[HEX]` and durations as `[TIME]`.
pub(crate) fn redacted(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for line in text.split('\n') {
        out.push(times(&hex(line)));
    }
    out.join("\n")
}

/// Runs of at least 8 hexadecimal digits that hold a digit become `[HEX]`.
fn hex(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let is_hex = word.len() >= 8
            && word.chars().all(|letter| letter.is_ascii_hexdigit() && !letter.is_ascii_uppercase())
            && word.chars().any(|letter| letter.is_ascii_digit());
        out.push_str(if is_hex { "[HEX]" } else { word });
        let mark = after.chars().next().map_or(0, char::len_utf8);
        out.push_str(&after[..mark]);
        rest = &after[mark..];
    }
    out
}

/// `3.2 s`, `0.02 s` become `[TIME]`.
fn times(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let number = words[at].trim_start_matches('(');
        let unit = words.get(at + 1).map(|word| word.trim_end_matches([',', ')', '.', ';']));
        if number.parse::<f64>().is_ok() && unit == Some("s") {
            let open = &words[at][..words[at].len() - number.len()];
            out.push(format!("{open}[TIME]{}", &words[at + 1][1..]));
            at += 2;
        } else {
            out.push(words[at].to_owned());
            at += 1;
        }
    }
    out.join(" ")
}
