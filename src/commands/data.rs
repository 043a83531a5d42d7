//! `duress data`: which data sets there are, what is known of one, and downloading.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::error::CommandError;
use super::session::Session;
use crate::data::fetch::{self, FetchError, FetchEvent, FetchOptions, SETS};
use crate::data::{DataConfig, DataRoots, Description, SOURCES, Source, SourceBytes, SplitName, Task, describe};
use crate::exit::{self, Exit};

#[derive(Debug, Subcommand)]
pub(super) enum DataCommand {
    /// List the sources of data, and whether they are here
    List,
    /// Tell what is known of a source
    Show(Show),
    /// Download a data set, checked and resumable
    Fetch(Fetch),
}

#[derive(Args, Debug)]
pub(super) struct Show {
    /// The source, such as mnist
    name: String,
}

#[derive(Args, Debug)]
pub(super) struct Fetch {
    /// The data set, such as mnist
    name: String,
    /// The folder for its files, instead of one of its name in the first data folder
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// The SHA-256 that its archive must have, or `NAME=DIGITS` for one of several archives
    #[arg(long, value_name = "DIGITS")]
    sha256: Vec<String>,
}

impl DataCommand {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        match self {
            Self::List => session.print(&list(&roots(session)))?,
            Self::Show(Show { name }) => {
                let source = describe(&name).ok_or_else(|| unknown(name, SOURCES.iter().map(|source| source.name)))?;
                session.print(&show(source, &roots(session)))?;
            }
            Self::Fetch(command) => command.execute(session)?,
        }
        Ok(exit::OK)
    }
}

impl Fetch {
    fn execute(self, session: &Session) -> Result<(), CommandError> {
        let Some(set) = fetch::set(&self.name) else {
            return Err(unknown(self.name, SETS.iter().map(|set| set.name)));
        };
        let folder = match self.to {
            Some(folder) => folder,
            None => session.settings.data.first().cloned().unwrap_or_else(|| PathBuf::from("data")).join(set.name),
        };
        // The error says itself what failed.
        let failed =
            |error: FetchError| CommandError::Failed { doing: "fetch data".to_owned(), cause: error.to_string() };
        let pins = self.sha256.iter().map(|text| set.pin(text)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let bar = session.settings.stderr.terminal.then(progress_bar);
        let options = FetchOptions { pins: &pins, ..FetchOptions::default() };
        let outcome = fetch::fetch(set, &folder, &options, &mut |event| {
            tell(session, bar.as_ref(), &folder, &event);
        });
        if let Some(bar) = &bar {
            bar.finish_and_clear();
        }
        outcome.map_err(failed)?;
        session.print(&format!("{}\n", folder.display()))
    }
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:28} {bar:30} {bytes:>10} of {total_bytes}, {eta} to go") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn tell(session: &Session, bar: Option<&ProgressBar>, folder: &Path, event: &FetchEvent<'_>) {
    let line = match event {
        FetchEvent::Progress { file, done, total } => {
            if let Some(bar) = bar {
                bar.set_message((*file).to_owned());
                bar.set_length(*total);
                bar.set_position(*done);
            }
            return;
        }
        FetchEvent::Present { file } => format!("{file}: is in {} already", folder.display()),
        FetchEvent::Trouble { file, problem } => format!("{file}: {problem}"),
        FetchEvent::Done { file, bytes } => format!("{file}: {bytes} bytes, checksum right"),
        FetchEvent::Unpacked { archive, sha256, files } => {
            format!("{archive}: {files} files unpacked, checksum right; pin it by `--sha256 {archive}={sha256}`")
        }
    };
    match bar {
        Some(bar) => bar.suspend(|| session.note(&line)),
        None => session.note(&line),
    }
}

fn unknown(name: String, known: impl Iterator<Item = &'static str>) -> CommandError {
    let help = format!("one of {}", known.collect::<Vec<_>>().join(", "));
    CommandError::Unknown { what: "data set", name, help }
}

fn roots(session: &Session) -> DataRoots {
    DataRoots { spec: PathBuf::new(), data: session.settings.data.clone() }
}

/// Where a source is, in words.
fn whereabouts(description: &Description, roots: &DataRoots) -> String {
    let Some(source) = Source::published(description.name) else {
        return "your file".to_owned();
    };
    let files = DataConfig::new(source).files(roots).ok();
    match files.as_ref().and_then(|files| files.first()).map(|file| &file.bytes) {
        Some(SourceBytes::File(path)) => path.parent().unwrap_or(path).display().to_string(),
        Some(SourceBytes::Files(files)) => match files.first() {
            Some((_, path)) => path.parent().unwrap_or(path).display().to_string(),
            None => "an empty folder".to_owned(),
        },
        Some(SourceBytes::Embedded(_)) => "part of the program".to_owned(),
        None if fetch::set(description.name).is_some() => format!("`duress data fetch {}`", description.name),
        None => "not here".to_owned(),
    }
}

fn list(roots: &DataRoots) -> String {
    let number = |number: Option<usize>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let mut text = format!("{:14} {:>6} {:>6} {:>9} {:>8}  where\n", "source", "train", "test", "features", "classes");
    for source in &SOURCES {
        let facts = &source.facts;
        let _ = writeln!(
            text,
            "{:14} {:>6} {:>6} {:>9} {:>8}  {}",
            source.name,
            number(facts.train_rows),
            number(facts.test_rows),
            number(facts.features()),
            number(facts.classes),
            whereabouts(source, roots)
        );
    }
    text
}

fn show(source: &Description, roots: &DataRoots) -> String {
    let facts = &source.facts;
    let mut text = format!("{}: {}\n\n", source.name, source.summary);
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "{key:12} {value}");
    };
    line("where", whereabouts(source, roots));
    line("task", if facts.task == Task::Classification { "classification" } else { "regression" }.to_owned());
    if let Some(shape) = facts.shape {
        line("shape", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x "));
    }
    if !facts.class_names.is_empty() {
        line("classes", facts.class_names.join(", "));
    }
    if let Some(config) = Source::published(source.name).map(DataConfig::new) {
        for split in [SplitName::Train, SplitName::Test] {
            let note = if split == SplitName::Test && !config.has_test_part() { ", a fifth held back" } else { "" };
            line(split.name(), format!("{} rows{note}", config.rows(split).unwrap_or_default()));
        }
    }
    line("origin", source.origin.to_owned());
    line("licence", source.licence.to_owned());
    let _ = write!(text, "\nIn a spec:\n\n    [data.images]\n    source = \"{}\"\n", source.name);
    if Source::published(source.name).is_none() {
        let path = match source.name {
            "folder" => "pictures/train\"\n    size = 32".to_owned(),
            name => format!("file.{name}\""),
        };
        let _ = writeln!(text, "    path = \"{path}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_is_listed_and_shown_with_where_it_is() {
        let roots = DataRoots::default();
        let listed = list(&roots);
        for source in &SOURCES {
            assert!(listed.contains(source.name), "{listed}");
            assert!(show(source, &roots).contains(&format!("source = \"{}\"", source.name)));
        }
        assert!(listed.contains("`duress data fetch mnist`") && listed.contains("part of the program"), "{listed}");
        let digits = show(describe("digits").expect("known"), &roots);
        assert!(
            digits.contains("train        1438 rows") && digits.contains("359 rows, a fifth held back"),
            "{digits}"
        );
    }
}
