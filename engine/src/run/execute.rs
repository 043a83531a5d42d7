//! Runs one stage body and judges how it ended.

use std::any::Any;
use std::collections::BTreeSet;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use duress_cache::{Artifact, Entry, KeyParts};

use super::context::RunContext;
use crate::stage::StageError;

/// How a stage ended.
pub(super) enum End {
    /// Its result is in the cache.
    Stored { entry: Arc<Entry>, seconds: f64 },
    /// Another process put the same result into the cache meanwhile.
    Superseded(Arc<Entry>),
    /// The results of these instances, which it reads, are damaged or gone.
    Lost { inputs: BTreeSet<usize>, error: String },
    /// It was asked to stop.
    Cancelled,
    /// It failed.
    Failed(String),
}

/// Runs the stage and keeps its result.
pub(super) fn run(cx: &RunContext<'_>, parts: &KeyParts) -> End {
    let (host, store) = (cx.session.host, cx.session.store);
    let (started_unix_ms, start) = (host.now_unix_ms(), host.elapsed_seconds());
    let artifact = match body(cx) {
        Ok(artifact) => artifact,
        Err(end) => return end,
    };
    let seconds = host.elapsed_seconds() - start;
    let provenance = cx.session.provenance(started_unix_ms, seconds);
    match store.put(parts.clone(), &cx.key, &artifact, provenance) {
        Ok(entry) => {
            keep_decoded(cx, &artifact, &entry);
            End::Stored { entry: Arc::new(entry), seconds }
        }
        Err(error) => End::Failed(with_causes(&error)),
    }
}

/// Runs the stage and compares its result with the cached one, which stays as it is.
pub(super) fn compare(cx: &RunContext<'_>, cached: &Entry) -> Result<(), End> {
    let artifact = body(cx)?;
    for (name, table) in &cached.tables {
        let again = artifact.table(name).map(duress_cache::Table::digest);
        if again != Some(table.digest) {
            let again = again.map_or_else(|| "nothing".to_owned(), |digest| digest.short());
            return Err(End::Failed(format!(
                "its table `{name}` came out as {again} and is cached as {}: the stage likely depends on untracked state, \
                 such as the clock, unkeyed randomness, the order of threads, or a file that is not among its sources",
                table.digest.short()
            )));
        }
    }
    Ok(())
}

fn body(cx: &RunContext<'_>) -> Result<Artifact, End> {
    let stage = &cx.instance().stage;
    // What the stage shares with others is behind locks that survive a panic, so nothing half-done is seen.
    match catch_unwind(AssertUnwindSafe(|| stage.run(cx))) {
        Ok(Ok(artifact)) => whole(cx, artifact),
        Ok(Err(error)) => Err(ended(cx, &error)),
        Err(panic) => Err(End::Failed(internal(panic_message(panic.as_ref())))),
    }
}

/// The artifact, if it has every table that the plan promised.
fn whole(cx: &RunContext<'_>, artifact: Artifact) -> Result<Artifact, End> {
    match cx.instance().facts.keys().find(|name| artifact.table(name).is_none()) {
        Some(name) => Err(End::Failed(internal(&format!("it made no table `{name}`")))),
        None => Ok(artifact),
    }
}

fn ended(cx: &RunContext<'_>, error: &StageError) -> End {
    if cx.superseded.load(Ordering::SeqCst) {
        return match cx.session.store.entry(&cx.key) {
            Ok(Some(entry)) => End::Superseded(Arc::new(entry)),
            Ok(None) => End::Failed("another process's result vanished; run again".to_owned()),
            Err(error) => End::Failed(with_causes(&error)),
        };
    }
    let lost: BTreeSet<usize> = cx.lost.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
    if !lost.is_empty() {
        return End::Lost { inputs: lost, error: error.to_string() };
    }
    match error {
        StageError::Cancelled if cx.session.cancel.requested() => End::Cancelled,
        error => End::Failed(with_causes(error)),
    }
}

/// What was just computed need not be decoded by whoever reads it next.
fn keep_decoded(cx: &RunContext<'_>, artifact: &Artifact, entry: &Entry) {
    for (name, table) in &artifact.tables {
        if let Some(reference) = entry.tables.get(name) {
            // The closure cannot fail, and a table that is not kept is read from the cache later.
            drop(cx.session.tables.get(reference.digest, || Ok(table.clone())));
        }
    }
}

/// A message for what only a mistake in the program can cause.
pub(super) fn internal(what: &str) -> String {
    format!("internal error: {what}; please report this with the spec and the program's version")
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => message,
        (_, Some(message)) => message,
        _ => "a panic without a message",
    }
}

/// An error and what caused it, a line each.
fn with_causes(error: &dyn Error) -> String {
    let mut lines = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        lines.push(error.to_string());
        cause = error.source();
    }
    // A transparent wrapper says what its cause says.
    lines.dedup();
    lines.join("\n")
}
