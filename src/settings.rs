//! What the program takes from its surroundings: the one place where the environment is read, but for the kernels' instructions.
//!
//! | variable | meaning |
//! |---|---|
//! | `DURESS_CACHE` | folder of the cache; `--cache` wins |
//! | `DURESS_DATA` | folders that hold data sets, separated like `PATH`; `--data` wins |
//! | `DURESS_INSTRUCTIONS` | `portable` or `avx2`: no wider instructions than these, for tests; read by the kernels |
//! | `NO_COLOR` | no colours if set to anything; `--color` wins |
//! | `XDG_CACHE_HOME`, `XDG_DATA_HOME`, `HOME`, `LOCALAPPDATA` | where the platform keeps such folders |

use std::env;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::ColorChoice;

use crate::device::{CPU, Choice};

/// The options of every command, as given on the command line.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--cache`.
    pub cache: Option<PathBuf>,
    /// `--data`, in order.
    pub data: Vec<PathBuf>,
    /// `--color`.
    pub color: ColorChoice,
    /// `--device`; the CPU where nothing is said.
    pub device: Option<Choice>,
}

/// Everything that a command may know of where it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cache's folder.
    pub cache: PathBuf,
    /// Folders that hold data sets, in the order they are searched; the first is where `data fetch` puts them.
    pub data: Vec<PathBuf>,
    /// The device to compute on, and whose results are looked at.
    pub device: Choice,
    /// Where kernels are kept that were compiled for this machine's GPUs.
    pub kernels: PathBuf,
    /// What standard output can show.
    pub stdout: Stream,
    /// What standard error can show.
    pub stderr: Stream,
    /// The machine's name as the environment tells it.
    pub host_name: Option<String>,
}

/// What one of the output streams can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Whether a person reads it as it is written.
    pub terminal: bool,
    /// Whether to write ANSI colours.
    pub color: bool,
}

impl Settings {
    /// Reads the environment; what the command line says wins.
    #[must_use]
    pub fn read(overrides: Overrides) -> Self {
        let color = |terminal| wants_color(overrides.color, terminal, &variable);
        let stream = |terminal| Stream { terminal, color: color(terminal) };
        Self {
            cache: cache_folder(overrides.cache, &variable),
            data: data_folders(overrides.data, &variable),
            device: overrides.device.unwrap_or_else(|| Choice::Named(CPU.to_owned())),
            kernels: kernels_folder(&variable),
            stdout: stream(std::io::stdout().is_terminal()),
            stderr: stream(std::io::stderr().is_terminal()),
            host_name: variable("HOSTNAME")
                .or_else(|| variable("COMPUTERNAME"))
                .and_then(|name| name.into_string().ok()),
        }
    }
}

/// The value of an environment variable that is set to something.
#[expect(clippy::disallowed_methods, reason = "this module is the door to the environment")]
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

fn cache_folder(given: Option<PathBuf>, get: Variables<'_>) -> PathBuf {
    given
        .or_else(|| get("DURESS_CACHE").map(PathBuf::from))
        .or_else(|| absolute(get("XDG_CACHE_HOME")).map(|folder| folder.join("duress")))
        .or_else(|| get("LOCALAPPDATA").map(|folder| Path::new(&folder).join("duress").join("cache")))
        .or_else(|| get("HOME").map(|home| Path::new(&home).join(".cache").join("duress")))
        .unwrap_or_else(|| PathBuf::from(".duress-cache"))
}

fn data_folders(given: Vec<PathBuf>, get: Variables<'_>) -> Vec<PathBuf> {
    if !given.is_empty() {
        return given;
    }
    if let Some(list) = get("DURESS_DATA") {
        return env::split_paths(&list).collect();
    }
    let platform = absolute(get("XDG_DATA_HOME"))
        .map(|folder| folder.join("duress"))
        .or_else(|| get("LOCALAPPDATA").map(|folder| Path::new(&folder).join("duress").join("data")))
        .or_else(|| get("HOME").map(|home| Path::new(&home).join(".local").join("share").join("duress")));
    vec![platform.unwrap_or_else(|| PathBuf::from("data"))]
}

/// Beside the cache's usual place and not in it: caches are shared, and what is in them is never executed.
fn kernels_folder(get: Variables<'_>) -> PathBuf {
    absolute(get("XDG_CACHE_HOME"))
        .or_else(|| get("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|folder| folder.join("duress-kernels"))
        .or_else(|| get("LOCALAPPDATA").map(|folder| Path::new(&folder).join("duress").join("kernels")))
        .unwrap_or_else(|| PathBuf::from(".duress-kernels"))
}

/// The XDG base directory specification has relative values ignored.
fn absolute(value: Option<OsString>) -> Option<PathBuf> {
    value.map(PathBuf::from).filter(|path| path.is_absolute())
}

fn wants_color(choice: ColorChoice, terminal: bool, get: Variables<'_>) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => terminal && get("NO_COLOR").is_none() && get("TERM").is_none_or(|term| term != "dumb"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_platform() {
        let all = with(&[("DURESS_CACHE", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")]);
        assert_eq!(cache_folder(Some("/given".into()), &all), PathBuf::from("/given"));
        assert_eq!(cache_folder(None, &all), PathBuf::from("/a"));
        assert_eq!(cache_folder(None, &with(&[("XDG_CACHE_HOME", "/b"), ("HOME", "/c")])), PathBuf::from("/b/duress"));
        assert_eq!(cache_folder(None, &with(&[("HOME", "/c")])), PathBuf::from("/c/.cache/duress"));
    }

    #[test]
    fn a_relative_xdg_folder_is_ignored() {
        let get = with(&[("XDG_CACHE_HOME", "b"), ("HOME", "/c")]);
        assert_eq!(cache_folder(None, &get), PathBuf::from("/c/.cache/duress"));
    }

    #[cfg(unix)]
    #[test]
    fn data_folders_are_a_list_like_path() {
        let get = with(&[("DURESS_DATA", "/a:/b")]);
        assert_eq!(data_folders(Vec::new(), &get), [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(data_folders(vec!["/x".into()], &get), [PathBuf::from("/x")]);
    }

    #[test]
    fn colours_need_a_terminal_and_no_objection() {
        let none = with(&[]);
        assert!(wants_color(ColorChoice::Auto, true, &none));
        assert!(!wants_color(ColorChoice::Auto, false, &none));
        assert!(!wants_color(ColorChoice::Auto, true, &with(&[("NO_COLOR", "1")])));
        assert!(!wants_color(ColorChoice::Auto, true, &with(&[("TERM", "dumb")])));
        assert!(wants_color(ColorChoice::Always, false, &with(&[("NO_COLOR", "1")])));
        assert!(!wants_color(ColorChoice::Never, true, &none));
    }
}
