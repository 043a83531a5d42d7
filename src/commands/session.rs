//! What a command works with: settings, standard output, the cache; and how it says that something went wrong.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Style};
use duress_cache::DiskStore;
use duress_engine::run::Host;
use duress_engine::spec::SpecErrors;
use duress_engine::stage::SourceRoots;
use miette::{Diagnostic, MietteHandlerOpts, ReportHandler};

use super::error::CommandError;
use crate::exit::Exit;
use crate::host::Machine;
use crate::settings::{Settings, Stream};

/// How wide messages are where no terminal says how wide it is.
const WIDTH: usize = 100;

/// What a command works with.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) settings: Settings,
}

impl Session {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Writes to standard output. A reader that has seen enough (`| head`) is no error.
    pub(super) fn print(&self, text: &str) -> Result<(), CommandError> {
        self.write(text.as_bytes())
    }

    /// Writes bytes to standard output.
    #[expect(clippy::unused_self, reason = "printing is what a session may do, and not every function")]
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), CommandError> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|cause| match cause.kind() {
            io::ErrorKind::BrokenPipe => CommandError::Closed,
            _ => CommandError::Print { cause },
        })
    }

    /// Writes a line to standard error; that it cannot be is ignored, for there is nowhere left to say so.
    #[expect(clippy::unused_self, reason = "printing is what a session may do, and not every function")]
    pub(super) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// The cache on disk, made where there is none yet; looking at its results does not count as using them.
    pub(super) fn store(&self) -> Result<DiskStore, CommandError> {
        Ok(DiskStore::open(&self.settings.cache)?.on_host(&self.machine().name()))
    }

    /// The same, for those who use what they read: `cache gc` spares what was used lately.
    pub(super) fn store_to_use(&self) -> Result<DiskStore, CommandError> {
        Ok(self.store()?.at(self.machine().now_unix_ms()))
    }

    /// The machine, for the engine.
    pub(super) fn machine(&self) -> Machine {
        Machine::new(self.settings.host_name.clone())
    }

    /// Where a run of this spec looks for source files.
    pub(super) fn roots(&self, spec: &std::path::Path) -> SourceRoots {
        let folder = spec.parent().map_or_else(PathBuf::new, PathBuf::from);
        SourceRoots { spec: folder, data: self.settings.data.clone() }
    }

    /// Prints an error and says how the program ends because of it.
    pub(super) fn report(&self, error: &CommandError) -> Exit {
        if let CommandError::Spec(errors) = error {
            self.note(&self.faults(errors));
        } else {
            let paint = Paint::of(self.settings.stderr);
            let mut text = format!("{} {error}", paint.bad("error:"));
            if let Some(help) = error.help() {
                let _ = write!(text, "\n{} {help}", paint.strong("help:"));
            }
            self.note(&text);
        }
        error.exit()
    }

    /// Every fault of a spec, drawn under its line.
    pub(super) fn faults(&self, errors: &SpecErrors) -> String {
        Drawn { diagnostic: errors, stream: self.settings.stderr }.to_string().trim_end().to_owned()
    }
}

/// A diagnostic as miette draws it on a stream.
struct Drawn<'a> {
    diagnostic: &'a dyn Diagnostic,
    stream: Stream,
}

impl std::fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let options = MietteHandlerOpts::new().color(self.stream.color).unicode(true).terminal_links(false);
        let options = if self.stream.terminal { options } else { options.width(WIDTH) };
        options.build().debug(self.diagnostic, f)
    }
}

/// Text with or without colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    /// Colours as that stream shows them.
    pub(super) fn of(stream: Stream) -> Self {
        Self { on: stream.color }
    }

    /// Bold.
    pub(super) fn strong(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// Green: done, held, met.
    pub(super) fn good(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    /// Red and bold: failed.
    pub(super) fn bad(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }

    /// Yellow: to be done, or to be noticed.
    pub(super) fn warm(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    /// Grey: said for completeness.
    pub(super) fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.on { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
