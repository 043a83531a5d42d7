//! All the faults of a spec as one error that `miette` can render, each with its excerpt, label and fix.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use super::fault::{Fault, Faults};
use super::raw::{SYNTAX, SourceText};
use super::value::Span;

/// Everything that is wrong with a spec, in the order of its text.
#[derive(Debug, thiserror::Error)]
#[error("{} in {}", counted(.faults.len()), .source_text.name)]
pub struct SpecErrors {
    source_text: Arc<SourceText>,
    faults: Vec<SpecError>,
}

impl SpecErrors {
    /// The faults that were found in `source`.
    #[must_use]
    pub fn new(source: Arc<SourceText>, faults: Faults) -> Self {
        let code = Arc::new(NamedSource::new(&source.name, source.text.clone()).with_language("TOML"));
        let faults = without_consequences(&source, faults.sorted());
        let faults = faults.into_iter().map(|fault| SpecError { fault, code: Arc::clone(&code) }).collect();
        Self { source_text: source, faults }
    }

    /// The faults, in the order of the text.
    #[must_use]
    pub fn faults(&self) -> impl ExactSizeIterator<Item = &Fault> {
        self.faults.iter().map(|error| &error.fault)
    }

    /// The text they were found in.
    #[must_use]
    pub fn source_text(&self) -> &SourceText {
        &self.source_text
    }
}

impl Diagnostic for SpecErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.faults.iter().map(|error| error as &dyn Diagnostic)))
    }
}

/// Leaves out what follows from another fault: everything on a line that is not even TOML, since its values are not the
/// ones that were meant; and that some values lack a field where no value has it.
fn without_consequences(source: &SourceText, faults: Vec<Fault>) -> Vec<Fault> {
    let line = |fault: &Fault| source.position(fault.span.start).0;
    let broken: BTreeSet<usize> = faults.iter().filter(|fault| fault.code == SYNTAX).map(line).collect();
    let no_field: BTreeSet<Span> =
        faults.iter().filter(|fault| fault.code == "unknown-field").map(|fault| fault.span).collect();
    let follows = |fault: &Fault| {
        (fault.code != SYNTAX && broken.contains(&line(fault)))
            || (fault.code == "missing-field" && no_field.contains(&fault.span))
    };
    faults.into_iter().filter(|fault| !follows(fault)).collect()
}

fn counted(faults: usize) -> String {
    if faults == 1 { "1 mistake".to_owned() } else { format!("{faults} mistakes") }
}

/// One fault with the text it points into.
#[derive(Debug)]
struct SpecError {
    fault: Fault,
    code: Arc<NamedSource<String>>,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault.message)
    }
}

impl std::error::Error for SpecError {}

impl Diagnostic for SpecError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.fault.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.fault.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.code.as_ref())
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_with_span(Some(self.fault.label.clone()), self.fault.span);
        Some(Box::new(std::iter::once(label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_the_order_of_the_text_and_counted() {
        let source = Arc::new(SourceText { name: "a.toml".into(), text: "x = 1\ny = 2\n".into() });
        let mut faults = Faults::new();
        faults.push(Fault::new("second", Span { start: 6, end: 7 }, "b", "here"));
        faults.push(Fault::new("first", Span { start: 0, end: 1 }, "a", "here"));
        let errors = SpecErrors::new(source, faults);
        assert_eq!(errors.to_string(), "2 mistakes in a.toml");
        assert_eq!(errors.faults().map(|fault| fault.code).collect::<Vec<_>>(), ["first", "second"]);
        assert_eq!(errors.related().into_iter().flatten().count(), 2);
    }

    #[test]
    fn a_line_that_is_not_toml_has_one_fault_only() {
        let source = Arc::new(SourceText { name: "a.toml".into(), text: "x = \ny = 2\n".into() });
        let mut faults = Faults::new();
        faults.push(Fault::new(SYNTAX, Span { start: 4, end: 4 }, "no value", "here"));
        faults.push(Fault::new("wrong-type", Span { start: 0, end: 1 }, "a consequence", "here"));
        faults.push(Fault::new("wrong-type", Span { start: 5, end: 6 }, "another matter", "here"));
        let errors = SpecErrors::new(source, faults);
        assert_eq!(errors.faults().map(|fault| fault.code).collect::<Vec<_>>(), [SYNTAX, "wrong-type"]);
    }
}
