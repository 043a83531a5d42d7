//! `duress stages`: what can be written in a spec, from the same registry that reads it.

use std::fmt::Write;

use clap::Args;
use duress_engine::spec::{Record, Schema, Variant, describe};
use duress_engine::stage::{Definition, Kind, Tolerance};

use super::error::CommandError;
use super::session::{Paint, Session};
use super::{columns, suggest};
use crate::exit::{self, Exit};
use crate::stages::REGISTRY;

/// List the kinds of stages, or document one of them
#[derive(Args, Debug)]
pub(super) struct Stages {
    /// A kind, such as `train`; or `data`, or a section such as `model`
    kind: Option<String>,
}

impl Stages {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        let paint = Paint::of(session.settings.stdout);
        let text = match &self.kind {
            None => list(paint),
            Some(name) => document(name, paint)?,
        };
        session.print(&text)?;
        Ok(exit::OK)
    }
}

fn list(paint: Paint) -> String {
    let mut kinds = columns::Columns::new(&["", "", ""]);
    for kind in REGISTRY.kinds {
        kinds.row([kind.name.to_owned(), kind.summary.to_owned(), String::new()]);
    }
    let mut rest = columns::Columns::new(&["", "", ""]);
    for source in REGISTRY.sources {
        rest.row([source.section.to_owned(), source.kind.summary.to_owned(), String::new()]);
    }
    for definition in REGISTRY.definitions {
        rest.row([definition.section.to_owned(), definition.summary.to_owned(), String::new()]);
    }
    format!(
        "{}\n{}\n{}\n{}\n`duress stages NAME` documents every key.\n",
        paint.strong("kinds of [stage.X]"),
        kinds.print(paint),
        paint.strong("other sections"),
        rest.print(paint)
    )
}

fn document(name: &str, paint: Paint) -> Result<String, CommandError> {
    if let Some(kind) = REGISTRY.kind(name) {
        return Ok(kind_page(kind, &format!("[stage.X], kind = \"{name}\""), paint));
    }
    if let Some(source) = REGISTRY.sources.iter().find(|source| source.section == name) {
        return Ok(kind_page(&source.kind, &format!("[{name}.X]"), paint));
    }
    if let Some(definition) = REGISTRY.definitions.iter().find(|definition| definition.section == name) {
        return Ok(definition_page(definition, paint));
    }
    let sources = REGISTRY.sources.iter().map(|source| source.section);
    let there = REGISTRY.kinds.iter().map(|kind| kind.name).chain(sources);
    Err(suggest::unknown("kind", name, there.chain(REGISTRY.definitions.iter().map(|definition| definition.section))))
}

fn kind_page(kind: &Kind, heading: &str, paint: Paint) -> String {
    let record = kind.record();
    let mut out = format!("{}\n\n{}\n", paint.strong(heading), kind.summary);
    if !record.doc.trim().is_empty() {
        let _ = writeln!(out, "\n{}", record.doc.trim());
    }
    let _ = writeln!(out, "\n{}\n", paint.strong("keys"));
    keys(&mut out, &record, 1, paint);
    let _ = writeln!(out, "{}\n", paint.strong("outputs"));
    let mut outputs = columns::Columns::new(&["", "", ""]);
    for output in kind.outputs {
        outputs.row([output.name.to_owned(), output.artifact.to_owned(), output.doc.to_owned()]);
    }
    out.push_str(&outputs.print(paint));
    if let Tolerance::Relative(tolerance) = kind.tolerance {
        let _ = writeln!(
            out,
            "\nOther devices agree with the CPU within {tolerance:e} (relative); the key names their class."
        );
    }
    let _ = writeln!(out, "\n{}\n", paint.strong("example"));
    indented(&mut out, kind.example.trim(), 1);
    out
}

fn definition_page(definition: &Definition, paint: Paint) -> String {
    let mut out = format!("{}\n\n{}\n", paint.strong(&format!("[{}.X]", definition.section)), definition.summary);
    let _ = writeln!(out, "\n{}\n", paint.strong("keys"));
    nested(&mut out, &(definition.schema)(), 1, paint);
    out
}

/// Every key of a record: its type, default and unit on a line, its help below.
fn keys(out: &mut String, record: &Record, depth: usize, paint: Paint) {
    for field in &record.fields {
        let mut line = format!("{}{}: {}", "  ".repeat(depth), paint.strong(field.name), describe(&field.schema));
        if !field.unit.is_empty() {
            let _ = write!(line, ", in {}", field.unit);
        }
        match &field.default {
            _ if field.required => line.push_str(", required"),
            Some(default) => {
                let _ = write!(line, ", default {default}");
            }
            None => line.push_str(", optional"),
        }
        let _ = writeln!(out, "{line}");
        indented(out, field.doc.trim(), depth + 2);
        nested(out, &field.schema, depth + 1, paint);
        if depth == 1 {
            out.push('\n');
        }
    }
}

/// The keys inside a value, where it has any.
fn nested(out: &mut String, schema: &Schema, depth: usize, paint: Paint) {
    match schema {
        Schema::Record(record) => keys(out, record, depth, paint),
        Schema::List(inner) | Schema::Map(inner) => nested(out, inner, depth, paint),
        Schema::Named { content, .. } => nested(out, content, depth, paint),
        Schema::AnyOf(shapes) => shapes.iter().for_each(|shape| nested(out, shape, depth, paint)),
        Schema::Choice(variants) => variants.iter().for_each(|variant| alternative(out, variant, depth, paint)),
        _ => {}
    }
}

fn alternative(out: &mut String, variant: &Variant, depth: usize, paint: Paint) {
    let doc = variant.doc.lines().next().unwrap_or_default();
    let colon = if doc.is_empty() { "" } else { ": " };
    let _ = writeln!(out, "{}\"{}\"{colon}{doc}", "  ".repeat(depth), paint.strong(variant.name));
    if let Some(content) = &variant.content {
        nested(out, content, depth + 1, paint);
    }
}

fn indented(out: &mut String, text: &str, depth: usize) {
    for line in text.lines() {
        let line = if line.is_empty() { String::new() } else { format!("{}{}", "  ".repeat(depth), line.trim_end()) };
        let _ = writeln!(out, "{line}");
    }
}
