//! Exit codes: part of the interface, so that scripts can tell what happened without reading messages.

use std::process::ExitCode;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The number the shell sees.
    pub code: u8,
    /// Its name in the documentation.
    pub name: &'static str,
    /// When it is used, one line.
    pub doc: &'static str,
}

/// Everything that was asked for was done.
pub const OK: Exit = Exit { code: 0, name: "ok", doc: "everything that was asked for was done" };
/// A stage failed, or a file could not be read or written.
pub const FAILED: Exit =
    Exit { code: 1, name: "failed", doc: "a stage failed, or a file could not be read or written" };
/// The command line was not understood; clap's own code.
pub const USAGE: Exit = Exit { code: 2, name: "usage", doc: "the command line was not understood" };
/// A spec has faults; all of them were printed.
pub const SPEC: Exit = Exit { code: 3, name: "spec", doc: "a spec has faults; all of them were printed" };
/// Every stage ran, but an `[[expect]]` does not hold.
pub const UNMET: Exit = Exit { code: 4, name: "unmet", doc: "every stage ran, but an [[expect]] does not hold" };
/// The cache could not be used, or `cache verify` found corrupt objects.
pub const CACHE: Exit = Exit { code: 5, name: "cache", doc: "the cache could not be used, or holds corrupt objects" };
/// What was asked for has not been computed yet.
pub const NOT_COMPUTED: Exit =
    Exit { code: 6, name: "not-computed", doc: "what was asked for has not been computed yet" };
/// The run was stopped with Ctrl-C or SIGTERM; what was finished is in the cache.
pub const INTERRUPTED: Exit =
    Exit { code: 130, name: "interrupted", doc: "stopped with Ctrl-C; what was finished is in the cache" };

/// Every exit code, in the order of the documentation.
pub const ALL: &[Exit] = &[OK, FAILED, USAGE, SPEC, UNMET, CACHE, NOT_COMPUTED, INTERRUPTED];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code)
    }
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn codes_and_names_are_unique_and_ascending() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
        let mut names: Vec<_> = ALL.iter().map(|exit| exit.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
