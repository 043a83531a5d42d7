//! What the names of sections and axes may look like.

use super::fault::Fault;
use super::reference::is_name_char;
use super::value::Span;

/// The fault of a name that could not be referred to: names are letters, digits, `-` and `_`.
pub(super) fn fault(what: &str, name: &str, span: Span) -> Option<Fault> {
    let help = || {
        let fixed: String = name.chars().map(|c| if is_name_char(c) { c } else { '-' }).collect();
        if fixed.contains(|c: char| c.is_ascii_alphanumeric()) {
            format!("names are made of letters, digits, `-` and `_`: perhaps `{fixed}`")
        } else {
            "names are made of letters, digits, `-` and `_`".to_owned()
        }
    };
    let bad = name.chars().find(|&c| !is_name_char(c));
    let label = match bad {
        _ if name.is_empty() => "empty".to_owned(),
        Some(sign) => format!("`{sign}` cannot be referred to"),
        None => return None,
    };
    Some(
        Fault::new("bad-name", span, format!("`{name}` cannot be the name of {} {what}", article(what)), label)
            .help(help()),
    )
}

fn article(what: &str) -> &'static str {
    if what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
