//! "Did you mean ...?", the same for keys, kinds, sections, stages, axes, outputs, axis values and variants.

use super::fault::Fault;
use super::value::Span;

/// The candidate that `name` was most probably meant to be, where one is close enough.
///
/// Close is a Damerau-Levenshtein distance of at most a third of the longer name's length (at least one), or the same letters
/// in another case or with other separators, or one name beginning with the other.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name);
    let score = |candidate: &str| {
        let other = folded(candidate);
        let (shorter, longer) = if wanted.len() < other.len() { (&wanted, &other) } else { (&other, &wanted) };
        let distance = strsim::damerau_levenshtein(&wanted, &other);
        let allowed = (longer.chars().count() / 3).max(1);
        let begins = shorter.chars().count() >= 3 && longer.starts_with(shorter.as_str());
        (distance <= allowed || begins).then_some(distance)
    };
    if wanted.is_empty() {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| score(candidate).map(|distance| (distance, candidate)))
        .filter(|(_, candidate)| {
            candidate.chars().count() > 1 || name.chars().count() == 1 && folded(candidate) == wanted
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A fault about a name that is not among the known ones: the label guesses, the help lists.
pub(super) fn unknown<'a>(
    code: &'static str,
    span: Span,
    message: String,
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
    called: &str,
) -> Fault {
    let label = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "not known".to_owned(),
    };
    let listed = listed(known);
    let fault = Fault::new(code, span, message, label);
    if listed.is_empty() {
        fault.help(format!("there are no {called}"))
    } else {
        fault.help(format!("{called}: {listed}"))
    }
}

/// The names in backticks with commas between them, the first dozen of them.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 16;
    let mut names = names.into_iter();
    let mut shown: Vec<String> = names.by_ref().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.next().is_some() {
        shown.push("...".to_owned());
    }
    shown.join(", ")
}

/// Lower case, with one sort of separator.
fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).map(|c| if c == '-' || c == ' ' { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_understood() {
        let keys = ["learning_rate", "batch", "steps", "seed"];
        assert_eq!(nearest("learning_rat", keys), Some("learning_rate"));
        assert_eq!(nearest("bacth", keys), Some("batch"));
        assert_eq!(nearest("Learning-Rate", keys), Some("learning_rate"));
        assert_eq!(nearest("step", keys), Some("steps"));
    }

    #[test]
    fn what_resembles_nothing_gets_no_guess() {
        assert_eq!(nearest("colour", ["learning_rate", "batch"]), None);
        assert_eq!(nearest("", ["a", "batch"]), None);
        assert_eq!(nearest("z", ["a", "b"]), None);
    }

    #[test]
    fn long_lists_end_in_dots() {
        let names: Vec<String> = (0..20).map(|i| format!("n{i}")).collect();
        assert!(listed(names.iter().map(String::as_str)).ends_with("`n15`, ..."));
    }
}
