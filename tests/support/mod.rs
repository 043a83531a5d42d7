//! A sandbox for the program.

mod log;
mod redact;
mod study;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) use log::Log;
pub(crate) use redact::redacted;
pub(crate) use study::{STAGES, STUDY, edited};

/// A folder with a cache of its own, in which the program sees nothing of the machine's settings.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
}

/// What the program said and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The exit code; -1 where a signal ended it.
    pub(crate) code: i32,
}

impl Sandbox {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made") }
    }

    /// A folder with `study.toml` in it.
    pub(crate) fn with(spec: &str) -> Self {
        let sandbox = Self::new();
        sandbox.write("study.toml", spec);
        sandbox
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the sandbox can be written");
    }

    /// The folder of the cache.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// The program, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duress"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.folder.path()).env("DURESS_CACHE", self.cache()).env("HOSTNAME", "sandbox");
        command.env("DURESS_DATA", self.path("data"));
        // A compiler finds its parts by this.
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command
    }

    /// Runs the program to its end.
    pub(crate) fn duress(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().expect("the program can be started");
        Output {
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Runs `study.toml` with these options; it must succeed.
    pub(crate) fn run(&self, options: &[&str]) -> Log {
        let output = self.duress(&[&["run", "study.toml", "--json"], options].concat());
        assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
        Log::parse(&output.stdout)
    }

    /// The Parquet bytes of the tables of these stages.
    pub(crate) fn tables(&self, stages: &[&str]) -> BTreeMap<String, Vec<u8>> {
        self.tables_with(stages, &[])
    }

    /// [`Sandbox::tables`] with these options.
    pub(crate) fn tables_with(&self, stages: &[&str], options: &[&str]) -> BTreeMap<String, Vec<u8>> {
        let read = |stage: &&str| {
            let file = self.path("collected.parquet");
            let name = file.to_str().expect("temporary paths are plain");
            let output = self.duress(&[&["table", "study.toml", stage, "--output", name], options].concat());
            assert_eq!(output.code, 0, "{stage}: {}", output.stderr);
            ((*stage).to_owned(), fs::read(&file).expect("the table was written"))
        };
        stages.iter().map(read).collect()
    }
}

impl Output {
    /// Both streams and the exit code as one text for a snapshot, with what changes from run to run masked.
    pub(crate) fn whole(&self) -> String {
        let mut text = String::new();
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                let _ = write!(text, "--- {name}\n{}", redacted(stream));
            }
        }
        let _ = write!(text, "--- code {}", self.code);
        text
    }
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
