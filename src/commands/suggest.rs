//! Names a user may have meant.

use duress_engine::plan::Plan;
use duress_engine::spec::nearest;

use super::error::CommandError;

/// The section of that name, or an error that lists what there is.
pub(super) fn section<'a>(plan: &'a Plan, name: &str) -> Result<&'a str, CommandError> {
    let known = plan.axes.keys().find(|section| section.as_str() == name);
    known.map(String::as_str).ok_or_else(|| unknown("stage", name, plan.axes.keys().map(String::as_str)))
}

/// That there is nothing of that name, with what there is.
pub(super) fn unknown<'a>(what: &'static str, name: &str, there: impl Iterator<Item = &'a str>) -> CommandError {
    let there: Vec<&str> = there.collect();
    let near = nearest(name, there.iter().copied());
    let help = match near {
        Some(other) => format!("did you mean `{other}`?"),
        None if there.len() > 24 => format!("there are {}, such as {}", there.len(), there[..12].join(", ")),
        None => format!("there are {}", there.join(", ")),
    };
    CommandError::Unknown { what, name: name.to_owned(), help }
}
