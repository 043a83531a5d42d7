//! What can be wrong with a spec, collected rather than thrown, so that a user sees every mistake at once.

use super::value::Span;

/// One mistake in a spec: what, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A stable kebab-case name of this sort of mistake, such as `unknown-key`; docs/errors.md has an entry for each.
    pub code: &'static str,
    /// One sentence fragment, lowercase, that names the culprit in backticks.
    pub message: String,
    /// Where the culprit stands.
    pub span: Span,
    /// What the label under the span says; short.
    pub label: String,
    /// The fix, where one is known.
    pub help: Option<String>,
}

impl Fault {
    /// A fault without a fix; add one with [`Fault::help`].
    pub fn new(code: &'static str, span: Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { code, message: message.into(), span, label: label.into(), help: None }
    }

    /// The same fault with a fix.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The faults found so far. The same fault found again (in another instance of one stage, say) is kept once.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    found: Vec<Fault>,
}

impl Faults {
    /// No faults yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault unless the same one stands at the same place already.
    pub fn push(&mut self, fault: Fault) {
        let seen =
            |other: &Fault| other.code == fault.code && other.span == fault.span && other.message == fault.message;
        if !self.found.iter().any(seen) {
            self.found.push(fault);
        }
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many were found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// The faults in the order of the text.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Fault> {
        self.found.sort_by(|a, b| (a.span, a.code).cmp(&(b.span, b.code)));
        self.found
    }
}

/// Adds the faults one by one, as [`Faults::push`] does.
impl Extend<Fault> for Faults {
    fn extend<I: IntoIterator<Item = Fault>>(&mut self, faults: I) {
        faults.into_iter().for_each(|fault| self.push(fault));
    }
}
