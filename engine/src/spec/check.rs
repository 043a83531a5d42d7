//! What a spec means, as far as it can be known without filling in its axes: [`check`].

use std::collections::BTreeSet;
use std::sync::Arc;

use super::axes::{self, Axis};
use super::error::SpecErrors;
use super::exclude::{self, Exclude};
use super::expect::{self, Expect};
use super::fault::{Fault, Faults};
use super::figure::{self, Figure};
use super::from_spec::{Connection, FromSpec, Request, Scope, Surroundings};
use super::raw::{RawSpec, SourceText};
use super::sections;
use super::suggest::unknown;
use super::usage;
use super::value::{Entry, Node, Span, Table, Value};
use crate::config;
use crate::stage::{Kind, Registry};

/// A spec that was checked as far as it can be without filling in its axes.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The text it came from.
    pub source: Arc<SourceText>,
    /// What the study is called, and its seed.
    pub study: Study,
    /// What varies, in the order of the text.
    pub axes: Vec<Axis>,
    /// Data and stages, in the order of the text.
    pub sections: Vec<Section>,
    /// Tables that stages name, such as `[model.X]`.
    pub definitions: Vec<DefinitionTable>,
    /// Combinations of axis values that are left out.
    pub excludes: Vec<Exclude>,
    /// Plots.
    pub figures: Vec<Figure>,
    /// Assertions.
    pub expects: Vec<Expect>,
    /// Names of sections and axes that were left out since they have faults of their own; to name one is no new fault.
    pub left_out: BTreeSet<String>,
}

config! {
    /// What the study is called, and the seed of what has none of its own.
    #[derive(Clone, Default, PartialEq, Eq)]
    pub struct Study {
        /// Its name, which reports and records go by.
        name: String,
        /// What it is about, in a sentence.
        about: String = String::new(),
        /// The seed of every stage that is given none.
        seed: u64 = 0,
    }
}

/// A `[data.X]` or a `[stage.X]`.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub name_span: Span,
    /// The section of sources it is a table of, such as `data`; nothing for a `[stage.X]`.
    pub source: Option<&'static str>,
    /// Its kind.
    pub kind: &'static Kind,
    /// Its table, without `kind`.
    pub table: Node,
}

/// A `[section.X]` that stages name.
#[derive(Clone, Debug)]
pub struct DefinitionTable {
    /// The section, such as `model`.
    pub section: &'static str,
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub name_span: Span,
    /// Its table.
    pub table: Node,
}

/// Parses and checks a spec.
///
/// # Errors
/// Everything that is wrong with it, as far as it can be known without filling in its axes.
pub fn check(source: SourceText, registry: &Registry) -> Result<Spec, SpecErrors> {
    let (spec, faults) = check_collecting(source, registry);
    if faults.is_empty() { Ok(spec) } else { Err(SpecErrors::new(spec.source, faults)) }
}

/// Parses and checks a spec, and keeps what is right of it beside the faults, so that a plan can look for more of them.
#[must_use]
pub fn check_collecting(source: SourceText, registry: &Registry) -> (Spec, Faults) {
    let mut faults = Faults::new();
    let raw = RawSpec::parse(source, &mut faults);
    let parsed_whole = faults.is_empty();
    let mut spec = Spec {
        source: raw.source,
        study: Study::default(),
        axes: Vec::new(),
        sections: Vec::new(),
        definitions: Vec::new(),
        excludes: Vec::new(),
        figures: Vec::new(),
        expects: Vec::new(),
        left_out: BTreeSet::new(),
    };
    if !raw.readable {
        return (spec, faults);
    }
    refuse_unknown_sections(&raw.root, registry, &mut faults);
    spec.study = study(&raw.root, &mut faults);
    read_axes(&raw.root, &mut spec, &mut faults);
    sections::read(&raw.root, registry, &mut spec, &mut faults);
    let excludes = each_of(&raw.root, "exclude", &mut faults);
    spec.excludes = excludes.into_iter().filter_map(|node| exclude::read(node, &spec, &mut faults)).collect();
    read_views(&raw.root, &mut spec, &mut faults);
    if parsed_whole {
        usage::check(&spec, &raw.root, registry, &mut faults);
    }
    (spec, faults)
}

fn refuse_unknown_sections(root: &Table, registry: &Registry, faults: &mut Faults) {
    let known = section_names(registry);
    for entry in root.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        let message = format!("`{}` is not a section of a spec", entry.key);
        faults.push(unknown("unknown-section", entry.key_span, message, &entry.key, known.iter().copied(), "sections"));
    }
}

/// The names of all top-level sections, in the order of the documentation.
pub(super) fn section_names(registry: &Registry) -> Vec<&'static str> {
    let definitions = registry.definitions.iter().map(|definition| definition.section);
    let sources = registry.sources.iter().map(|source| source.section);
    ["study", "axes"]
        .into_iter()
        .chain(sources)
        .chain(definitions)
        .chain(["stage", "figure", "expect", "exclude"])
        .collect()
}

fn study(root: &Table, faults: &mut Faults) -> Study {
    let Some(entry) = root.get("study") else {
        let fault = Fault::new("missing-section", Span::default(), "there is no `[study]`", "begins without it");
        faults.push(fault.help("add `[study]` with `name = \"...\"`"));
        return Study::default();
    };
    let study = reading(faults, "study", |scope| Study::from_spec(&entry.node, scope)).unwrap_or_default();
    if let Value::Table(table) = &entry.node.value
        && let Some(name) = table.get("name")
        && matches!(&name.node.value, Value::String(text) if text.trim().is_empty())
    {
        let fault = Fault::new("bad-name", name.node.span, "a study needs a name that says something", "empty");
        faults.push(fault.help("reports and records go by it: `name = \"sparse-robust\"`, say"));
    }
    study
}

fn read_axes(root: &Table, spec: &mut Spec, faults: &mut Faults) {
    let Some(entry) = root.get("axes") else { return };
    let Value::Table(table) = &entry.node.value else {
        let label = format!("expected a table, found {}", entry.node.value.describe());
        let fault = Fault::new("wrong-type", entry.node.span, "`axes` has the wrong type", label);
        faults.push(fault.help("write `[axes]` and a line `name = [...]` for each"));
        return;
    };
    spec.axes = axes::read(table, spec.study.seed, faults);
    let read: BTreeSet<&str> = spec.axes.iter().map(|axis| axis.name.as_str()).collect();
    let lost = table.entries.iter().filter(|entry| !read.contains(entry.key.as_str()));
    spec.left_out.extend(lost.map(|entry| entry.key.clone()));
}

fn read_views(root: &Table, spec: &mut Spec, faults: &mut Faults) {
    let before = faults.len();
    let figures = named(root, "figure", faults);
    let known = |fault: &Fault| fault.code == "unknown-stage";
    let mut views = Faults::new();
    spec.figures = figures
        .into_iter()
        .filter_map(|entry| {
            let path = format!("figure.{}", entry.key);
            reading(&mut views, &path, |scope| figure::read(entry, &spec.sections, &spec.axes, scope))
        })
        .collect();
    let expects = each_of(root, "expect", faults);
    spec.expects = expects
        .into_iter()
        .filter_map(|node| reading(&mut views, "expect", |scope| expect::read(node, &spec.sections, &spec.axes, scope)))
        .collect();
    let nothing_lost = spec.left_out.is_empty() && faults.len() == before;
    views.sorted().into_iter().filter(|fault| nothing_lost || !known(fault)).for_each(|fault| faults.push(fault));
}

/// The tables `[section.X]` of a section.
pub(super) fn named<'r>(root: &'r Table, section: &str, faults: &mut Faults) -> Vec<&'r Entry> {
    let Some(entry) = root.get(section) else { return Vec::new() };
    let wrong = |node: &Node, what: &str, faults: &mut Faults| {
        let label = format!("expected a table, found {}", node.value.describe());
        let fault = Fault::new("wrong-type", node.span, format!("`{what}` has the wrong type"), label);
        faults.push(fault.help(format!("write `[{section}.X]` in single brackets, with its keys below")));
    };
    let Value::Table(table) = &entry.node.value else {
        wrong(&entry.node, section, faults);
        return Vec::new();
    };
    let (tables, others): (Vec<_>, Vec<_>) =
        table.entries.iter().partition(|entry| matches!(entry.node.value, Value::Table(_)));
    for other in others {
        wrong(&other.node, &format!("{section}.{}", other.key), faults);
    }
    tables
}

/// The tables `[[section]]` of a section.
fn each_of<'r>(root: &'r Table, section: &str, faults: &mut Faults) -> Vec<&'r Node> {
    let Some(entry) = root.get(section) else { return Vec::new() };
    match &entry.node.value {
        Value::Array(items) => items.iter().collect(),
        other => {
            let label = format!("expected a list of tables, found {}", other.describe());
            let fault = Fault::new("wrong-type", entry.node.span, format!("`{section}` has the wrong type"), label);
            faults.push(fault.help(format!("write `[[{section}]]` in double brackets: there may be several")));
            Vec::new()
        }
    }
}

/// Reads something that depends on nothing but its own text.
pub(super) fn reading<T>(faults: &mut Faults, path: &str, read: impl FnOnce(&mut Scope<'_>) -> T) -> T {
    let mut surroundings = Nothing;
    read(&mut Scope { faults, surroundings: &mut surroundings, path: vec![path.to_owned()] })
}

/// The surroundings of what has none.
struct Nothing;

impl Surroundings for Nothing {
    fn seed(&self) -> u64 {
        0
    }

    fn definition(&mut self, section: &'static str, name: &str, span: Span, faults: &mut Faults) -> Option<Node> {
        faults.push(Fault::new(
            "unknown-definition",
            span,
            format!("there is no `[{section}.{name}]` here"),
            "not known",
        ));
        None
    }

    fn connect(&mut self, request: &Request<'_>, faults: &mut Faults) -> Option<Connection> {
        let message = format!("`{}` cannot be connected here", request.field);
        faults.push(Fault::new("bad-reference", request.span, message, "no stage reads this"));
        None
    }
}
