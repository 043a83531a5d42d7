//! `duress cache`: look at the cache, check it, shrink it, hand a study on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use duress_cache::{
    DiskStore, Entry, GcPolicy, GcReport, Key, Reason, VerifyReport, entries, export, gc, import, verify,
};
use duress_engine::run::Host;

use super::error::CommandError;
use super::session::{Paint, Session};
use super::{columns, resolved, study};
use crate::exit::{self, Exit};
use crate::units;

#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    /// Print the folder of the cache
    Path,
    /// List what the cache holds, by kind of stage
    List(List),
    /// Compare every file with its digest; what is damaged is set aside and will be computed again
    Verify,
    /// Remove leftovers, and results as the options say
    Gc(Gc),
    /// Pack the results of a study into one file
    Export(Export),
    /// Unpack such a file; everything in it is checked first
    Import(Import),
}

#[derive(Args, Debug)]
pub(super) struct List {
    /// List every result with its key
    #[arg(long)]
    entries: bool,
}

#[derive(Args, Debug)]
pub(super) struct Gc {
    /// Remove results that were not used for longer than this, such as 30d
    #[arg(long, value_name = "AGE", value_parser = units::parse_age)]
    max_age: Option<u64>,
    /// Remove the least recently used results until the rest is no larger than this, such as 10G
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    max_size: Option<u64>,
    /// Remove everything that these studies do not use
    #[arg(long, value_name = "SPEC", num_args = 1..)]
    keep: Vec<PathBuf>,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Debug)]
pub(super) struct Export {
    /// The spec of a study that was run
    spec: PathBuf,
    /// The file to write
    file: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct Import {
    /// The file to read
    file: PathBuf,
}

impl CacheCommand {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        match self {
            Self::Path => session.print(&format!("{}\n", session.settings.cache.display())).map(|()| exit::OK),
            Self::List(list) => list.execute(session),
            Self::Verify => check(session),
            Self::Gc(gc) => gc.execute(session),
            Self::Export(export) => export.execute(session),
            Self::Import(import) => import.execute(session),
        }
    }
}

impl List {
    fn execute(&self, session: &Session) -> Result<Exit, CommandError> {
        let entries = entries(&session.store()?)?;
        let paint = Paint::of(session.settings.stdout);
        let text = if self.entries { each(&entries) } else { by_kind(&entries, paint) };
        session.print(&text)?;
        Ok(exit::OK)
    }
}

fn each(entries: &[Entry]) -> String {
    let mut out = String::new();
    for entry in entries {
        let from = &entry.provenance;
        let part = if from.part_of.is_some() { " (part)" } else { "" };
        let (size, time) = (units::size(entry.bytes()), units::duration(from.seconds));
        let _ = writeln!(out, "{} {}{part} {size} {time}", entry.key, entry.parts.kind);
    }
    out
}

fn by_kind(entries: &[Entry], paint: Paint) -> String {
    let mut kinds: BTreeMap<&str, (usize, usize, f64)> = BTreeMap::new();
    let mut objects = BTreeMap::new();
    for entry in entries {
        let (results, parts, seconds) = kinds.entry(entry.parts.kind.as_str()).or_default();
        let is_part = entry.provenance.part_of.is_some();
        *(if is_part { parts } else { results }) += 1;
        *seconds += if is_part { 0.0 } else { entry.provenance.seconds };
        objects.extend(entry.tables.values().map(|table| (table.object, table.bytes)));
    }
    let mut table = columns::Columns::new(&["kind", ">results", ">parts", ">computed in"]);
    let number = |count: usize| if count == 0 { String::new() } else { count.to_string() };
    for (kind, (results, parts, seconds)) in kinds {
        table.row([kind.to_owned(), number(results), number(parts), units::duration(seconds)]);
    }
    let bytes = units::size(objects.values().sum());
    format!("{}{}, {bytes}\n", table.print(paint), units::count(objects.len(), "table"))
}

fn check(session: &Session) -> Result<Exit, CommandError> {
    let report = verify(&session.store()?)?;
    let paint = Paint::of(session.settings.stdout);
    session.print(&verified(&report, paint))?;
    Ok(if report.is_sound() { exit::OK } else { exit::CACHE })
}

fn verified(report: &VerifyReport, paint: Paint) -> String {
    let mut out = String::new();
    for damaged in &report.damaged_objects {
        let _ = writeln!(out, "{} object {}: {}", paint.bad("damaged"), damaged.object, damaged.reason);
        for (key, table) in &damaged.entries {
            let _ = writeln!(out, "  it was table `{table}` of {key}");
        }
        if let Some(path) = &damaged.aside {
            let _ = writeln!(out, "  set aside as {}", path.display());
        }
    }
    for finding in &report.damaged_files {
        let _ = writeln!(out, "{} {finding}", paint.bad("damaged"));
    }
    let damaged = report.damaged_objects.len() + report.damaged_files.len();
    let verdict = if damaged == 0 {
        paint.good("sound")
    } else {
        format!("{} damaged; the next run computes again what needs it", paint.bad(&damaged.to_string()))
    };
    let (results, tables) = (units::count(report.entries, "result"), units::count(report.objects, "table"));
    let _ = writeln!(out, "{results}, {tables}, {}: {verdict}", units::size(report.bytes));
    out
}

impl Gc {
    fn execute(&self, session: &Session) -> Result<Exit, CommandError> {
        let store = session.store()?;
        let policy = GcPolicy {
            max_age: self.max_age.map(Duration::from_secs),
            max_bytes: self.max_size,
            keep: self.kept(session, &store)?,
            dry_run: self.dry_run,
            now_unix_ms: session.machine().now_unix_ms(),
        };
        let report = gc(&store, &policy)?;
        session.print(&collected(&report, self.dry_run))?;
        Ok(exit::OK)
    }

    fn kept(&self, session: &Session, store: &DiskStore) -> Result<Option<BTreeSet<Key>>, CommandError> {
        if self.keep.is_empty() {
            return Ok(None);
        }
        let mut keys = BTreeSet::new();
        for spec in &self.keep {
            keys.extend(used(session, store, spec)?.into_iter().flatten());
        }
        Ok(Some(keys))
    }
}

fn collected(report: &GcReport, dry_run: bool) -> String {
    let mut out = String::new();
    let mut reasons = BTreeMap::new();
    for removed in &report.removed {
        *reasons.entry(removed.reason).or_insert(0) += 1;
    }
    let verb = if dry_run { "would remove" } else { "removed" };
    for (reason, count) in reasons {
        let _ = writeln!(out, "{verb} {} that {}", units::count(count, "result"), because(reason));
    }
    let rest = [
        (report.removed_objects, "table"),
        (report.removed_temporary, "temporary file"),
        (report.removed_locks, "lock file"),
        (report.removed_quarantined, "damaged file"),
    ];
    for (count, what) in rest.into_iter().filter(|(count, _)| *count > 0) {
        let _ = writeln!(out, "{verb} {}", units::count(count, what));
    }
    let _ = writeln!(out, "{} {}", units::size(report.freed_bytes), if dry_run { "would be freed" } else { "freed" });
    out
}

/// A reason as the rest of a sentence about several results.
fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::Broken => "had lost a table",
        Reason::SupersededPart => "had been parts of whole results",
        Reason::Unreachable => "no study to keep uses",
        Reason::Old => "had not been used for too long",
        Reason::Size => "had been used longest ago",
    }
}

/// The keys of a study's instances, where they are known.
fn used(session: &Session, store: &DiskStore, spec: &Path) -> Result<Vec<Option<Key>>, CommandError> {
    let plan = study::load(spec)?;
    let states = resolved::states(&plan, store, session, spec)?;
    Ok(states.iter().map(|state| state.entry().map(|entry| entry.key)).collect())
}

impl Export {
    fn execute(&self, session: &Session) -> Result<Exit, CommandError> {
        let store = session.store_to_use()?;
        let used = used(session, &store, &self.spec)?;
        let keys: BTreeSet<Key> = used.iter().copied().flatten().collect();
        let missing = used.iter().filter(|key| key.is_none()).count();
        if missing > 0 {
            return Err(CommandError::NotComputed {
                stage: self.spec.display().to_string(),
                missing,
                all: used.len(),
                help: format!("run it first: duress run {}", self.spec.display()),
            });
        }
        let spec = fs::read(&self.spec).map_err(|cause| CommandError::Read { path: self.spec.clone(), cause })?;
        let keys: Vec<Key> = keys.into_iter().collect();
        export(&store, &keys, &BTreeMap::from([("spec.toml".to_owned(), spec)]), &self.file)?;
        let size = fs::metadata(&self.file).map_or(0, |file| file.len());
        let (results, size) = (units::count(keys.len(), "result"), units::size(size));
        session.print(&format!("wrote {}: {results}, {size}\n", self.file.display()))?;
        Ok(exit::OK)
    }
}

impl Import {
    fn execute(&self, session: &Session) -> Result<Exit, CommandError> {
        let report = import(&session.store()?, &self.file)?;
        let mut parts = vec![units::count(report.imported.len(), "new result")];
        parts.push(format!("{} here already", report.present.len()));
        if !report.replaced.is_empty() {
            parts.push(format!("{} replaced", report.replaced.len()));
        }
        let (parts, size) = (parts.join(", "), units::size(report.bytes));
        session.print(&format!(
            "read {}: {parts}; {}, {size}\n",
            self.file.display(),
            units::count(report.objects, "table")
        ))?;
        Ok(exit::OK)
    }
}
