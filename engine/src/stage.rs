//! What the engine knows of a stage: [`Stage`], the trait; [`Kind`], its entry in the [`Registry`].
//!
//! The implementing type *is* its table in a spec: its fields are keys, their documentation is the help. The registry is
//! a plain list; parser, documentation and JSON schema derive from it.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use duress_cache::{Artifact, Digest, Tree};

use crate::run::RunContext;
use crate::spec::{Faults, Field, FromSpec, Node, Record, Schema, Scope, Span};

/// A configured stage, ready to reason about and to run.
pub trait Stage: fmt::Debug + Send + Sync {
    /// Plan time: what will come out of what comes in. Reports every fault that can be known without data.
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact>;

    /// The configuration as it enters the key. Configurations that mean the same must be equal here: a kind drops
    /// what has no effect (adversarial training of share 0 is plain training).
    fn config(&self) -> Tree;

    /// Files outside the cache whose bytes are read; most stages have none.
    ///
    /// # Errors
    /// Where a file cannot be found; the message says where it was looked for and how to get it.
    fn sources(&self, _roots: &SourceRoots) -> Result<Vec<Source>, String> {
        Ok(Vec::new())
    }

    /// About how much memory `run` needs beyond its inputs, in bytes.
    fn memory(&self, _inputs: &InputFacts) -> u64 {
        64 << 20
    }

    /// What a plan should say of it before it runs, a line each; most stages have nothing to say.
    fn notes(&self, _inputs: &InputFacts) -> Vec<String> {
        Vec::new()
    }

    /// Run time: a pure function of the configuration, the inputs and the context.
    ///
    /// # Errors
    /// Whatever keeps the stage from its result, and [`StageError::Cancelled`] where the context asked it to stop.
    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError>;
}

/// What a kind of stage says of itself; [`Kind::of`] turns it into a registry entry.
pub trait StageKind: Stage + FromSpec + 'static {
    /// The word after `kind =`, kebab-case.
    const KIND: &'static str;
    /// Part of every key: to be raised when the same configuration and inputs would yield another table.
    const REVISION: u32;
    /// One line, at most 72 characters.
    const SUMMARY: &'static str;
    /// A complete spec in which a stage of this kind runs in seconds; tests check, plan and run it.
    const EXAMPLE: &'static str;
    /// What comes out. The first output of a type is the one meant by a reference that names none.
    const OUTPUTS: &'static [OutputDoc];
    /// How closely other devices agree with the CPU; anything but exact puts their class into the key.
    const TOLERANCE: Tolerance = Tolerance::Exact;
}

/// One named output of a kind.
#[derive(Clone, Copy, Debug)]
pub struct OutputDoc {
    /// Its name in references, such as `curve`.
    pub name: &'static str,
    /// Its artifact type, such as `weights` or `table`.
    pub artifact: &'static str,
    /// One line.
    pub doc: &'static str,
}

/// How closely two devices must agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Bit for bit.
    Exact,
    /// Within this relative difference.
    Relative(f64),
}

/// A type's entry in the registry.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The word after `kind =` (after `source`'s section for data).
    pub name: &'static str,
    /// Raised when results change.
    pub revision: u32,
    /// One line.
    pub summary: &'static str,
    /// A complete spec that uses it.
    pub example: &'static str,
    /// What comes out.
    pub outputs: &'static [OutputDoc],
    /// How closely two devices agree.
    pub tolerance: Tolerance,
    schema: fn() -> Schema,
    parse: fn(&Node, &mut Scope<'_>) -> Option<Box<dyn Stage>>,
}

impl Kind {
    /// The entry of `T`.
    #[must_use]
    pub const fn of<T: StageKind>() -> Self {
        Self {
            name: T::KIND,
            revision: T::REVISION,
            summary: T::SUMMARY,
            example: T::EXAMPLE,
            outputs: T::OUTPUTS,
            tolerance: T::TOLERANCE,
            schema: T::schema,
            parse: |node, scope| T::from_spec(node, scope).map(|stage| Box::new(stage) as Box<dyn Stage>),
        }
    }

    /// The keys of its table, without `kind` itself.
    ///
    /// # Panics
    /// Never for a kind made by the `config!` macro, whose schema is a record.
    #[must_use]
    pub fn record(&self) -> Record {
        match (self.schema)() {
            Schema::Record(record) => record,
            other => Record {
                doc: String::new(),
                fields: vec![Field {
                    name: "value",
                    doc: String::new(),
                    schema: other,
                    required: true,
                    default: None,
                    unit: "",
                }],
            },
        }
    }

    /// Reads a stage of this kind from its table.
    pub fn parse(&self, node: &Node, scope: &mut Scope<'_>) -> Option<Box<dyn Stage>> {
        (self.parse)(node, scope)
    }
}

/// Everything that can be written in a spec.
#[derive(Clone, Copy, Debug)]
pub struct Registry {
    /// The kinds of `[stage.X]`, in the order of the reference page.
    pub kinds: &'static [Kind],
    /// Sections such as `[data.X]`, each of which is a stage that depends on files alone.
    pub sources: &'static [SourceSection],
    /// Sections whose tables are read where a stage names them, such as `model`.
    pub definitions: &'static [Definition],
}

/// A section whose tables are stages of one kind, which depend on files alone.
#[derive(Clone, Copy, Debug)]
pub struct SourceSection {
    /// The section's name, such as `data`.
    pub section: &'static str,
    /// What one of its tables is, such as "data set".
    pub noun: &'static str,
    /// What its tables are.
    pub kind: Kind,
}

/// A section whose tables take the place of their names.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// The section's name, such as `model`.
    pub section: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What such a table looks like.
    pub schema: fn() -> Schema,
}

impl Registry {
    /// The kind of that name.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<&'static Kind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }
}

/// What is known of an artifact at plan time.
#[derive(Clone)]
pub struct Fact {
    /// The artifact type, such as `weights`.
    pub artifact: &'static str,
    /// The columns of the table, empty where they cannot be known yet.
    pub columns: Vec<Column>,
    /// The metrics that a tidy table reports in its `metric` column, empty where there are none or they are not known.
    pub metrics: Vec<String>,
    /// What the product knows of it (a network's shape, the features of a data set); read with [`Fact::detail`].
    pub known: Option<Arc<dyn Any + Send + Sync>>,
}

impl Fact {
    /// The product's own knowledge, if it is a `T`.
    #[must_use]
    pub fn detail<T: 'static>(&self) -> Option<&T> {
        self.known.as_ref().and_then(|known| known.downcast_ref())
    }
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fact").field("artifact", &self.artifact).field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// A column of a table, as known at plan time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether its values are numbers.
    pub numeric: bool,
}

/// The fact of one named output.
#[derive(Clone, Debug)]
pub struct OutputFact {
    /// The output's name, one of the kind's [`OutputDoc`]s.
    pub name: &'static str,
    /// What is known of it.
    pub fact: Fact,
}

/// The facts of an instance's inputs, by slot.
#[derive(Clone, Debug, Default)]
pub struct InputFacts {
    /// One fact a slot; `None` where the stage that makes it has faults of its own.
    pub slots: Vec<Option<Fact>>,
}

impl InputFacts {
    /// The fact of the artifact in `slot`.
    #[must_use]
    pub fn slot(&self, slot: usize) -> Option<&Fact> {
        self.slots.get(slot).and_then(Option::as_ref)
    }
}

/// What a stage reasons with at plan time.
pub struct InferContext<'a> {
    /// The facts of its inputs.
    pub inputs: &'a InputFacts,
    /// Where faults go.
    pub faults: &'a mut Faults,
    /// The stage's own table, to find where a key stands.
    pub table: &'a Node,
}

impl InferContext<'_> {
    /// Where the value of the key `path` (dotted) stands; the nearest enclosing table where it is not written.
    #[must_use]
    pub fn span_of(&self, path: &str) -> Span {
        let mut node = self.table;
        for key in path.split('.') {
            match &node.value {
                crate::spec::Value::Table(table) => match table.get(key) {
                    Some(entry) => node = &entry.node,
                    None => break,
                },
                _ => break,
            }
        }
        node.span
    }
}

/// Where a run looks for source files.
#[derive(Clone, Debug, Default)]
pub struct SourceRoots {
    /// The folder of the spec; relative paths start there.
    pub spec: PathBuf,
    /// Folders that hold data sets, in the order they are searched.
    pub data: Vec<PathBuf>,
}

/// A file outside the cache that a stage reads.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name in the key, the same on every machine, such as `train-images`.
    pub name: String,
    /// Where its bytes are.
    pub location: Location,
}

/// Where a source's bytes are.
#[derive(Clone, Debug)]
pub enum Location {
    /// In a file.
    File(PathBuf),
    /// In many files that are one source, such as a folder of images: each with its name within the source, which is part
    /// of the digest as its bytes are.
    Files(Arc<[(String, PathBuf)]>),
    /// In the program itself.
    Embedded(&'static [u8]),
}

/// A source whose bytes were hashed.
#[derive(Clone, Debug)]
pub struct HashedSource {
    /// Its name in the key.
    pub name: String,
    /// Where its bytes are.
    pub location: Location,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// Why a stage ended without its result.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The run was asked to stop.
    #[error("stopped before the stage was done")]
    Cancelled,
    /// The cache failed.
    #[error(transparent)]
    Store(#[from] duress_cache::StoreError),
    /// The stage's own reason.
    #[error("{0}")]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl StageError {
    /// A failure with the stage's own error or message.
    pub fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}
