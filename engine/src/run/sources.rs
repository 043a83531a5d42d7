//! The files that a study reads from outside the cache: found, hashed once each, and kept for whoever reads them later.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use duress_cache::{ContentHash as _, Digest};

use crate::plan::Plan;
use crate::stage::{HashedSource, Location, Source, SourceRoots};

/// The hashed sources of every instance of a plan.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    instances: BTreeMap<usize, Result<Vec<HashedSource>, String>>,
    locations: BTreeMap<Digest, Location>,
}

impl Sources {
    /// Finds and hashes the sources of the instances for which `wanted` holds. A source that cannot be read is kept as
    /// the message of the instance that wants it: the others may still run.
    #[must_use]
    pub fn hash(plan: &Plan, roots: &SourceRoots, wanted: impl Fn(usize) -> bool) -> Self {
        let mut sources = Self::default();
        let mut files = BTreeMap::new();
        for (index, instance) in plan.instances.iter().enumerate().filter(|(index, _)| wanted(*index)) {
            let hashed = instance.stage.sources(roots).and_then(|found| {
                found.into_iter().map(|source| hash_source(source, &mut files)).collect::<Result<Vec<_>, _>>()
            });
            match hashed {
                Ok(none) if none.is_empty() => {}
                Ok(hashed) => {
                    sources.locations.extend(hashed.iter().map(|source| (source.digest, source.location.clone())));
                    sources.instances.insert(index, Ok(hashed));
                }
                Err(message) => {
                    sources.instances.insert(index, Err(message));
                }
            }
        }
        sources
    }

    /// The sources of an instance, in the order it names them; empty for most.
    ///
    /// # Errors
    /// Why they cannot be read, and what to do about it.
    pub fn of(&self, instance: usize) -> Result<&[HashedSource], &str> {
        match self.instances.get(&instance) {
            Some(Ok(hashed)) => Ok(hashed),
            Some(Err(message)) => Err(message),
            None => Ok(&[]),
        }
    }

    /// Where the bytes with that digest are, if any source of the plan has it.
    #[must_use]
    pub fn location(&self, digest: &Digest) -> Option<&Location> {
        self.locations.get(digest)
    }
}

fn hash_source(source: Source, files: &mut BTreeMap<PathBuf, Result<Digest, String>>) -> Result<HashedSource, String> {
    let Source { name, location } = source;
    let digest = match &location {
        Location::Embedded(bytes) => Digest::of_bytes(bytes),
        Location::File(path) => hash_once(&name, path, files)?,
        Location::Files(bundle) => {
            let hashed = bundle.iter().map(|(inner, path)| Ok((inner.clone(), hash_once(&name, path, files)?)));
            hashed.collect::<Result<Vec<_>, String>>()?.digest()
        }
    };
    Ok(HashedSource { name, location, digest })
}

/// The digest of a file, hashed unless that was done before.
fn hash_once(name: &str, path: &Path, files: &mut BTreeMap<PathBuf, Result<Digest, String>>) -> Result<Digest, String> {
    let hash = || {
        hash_file(path).map_err(|error| {
            format!(
                "could not read the source `{name}` at `{}`: {error}; check the path and its permissions",
                path.display()
            )
        })
    };
    files.entry(path.to_owned()).or_insert_with(hash).clone()
}

fn hash_file(path: &Path) -> io::Result<Digest> {
    Digest::of_reader(File::open(path)?).map(|(digest, _)| digest)
}
