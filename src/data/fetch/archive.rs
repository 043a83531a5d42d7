//! Sets that are published as archives: what those must hold, and how it gets to its place.
//!
//! An archive is unpacked into a folder of its own (`NAME.unpacking`), looked through on the way, and what it holds is moved to
//! its place in one step; a process that is killed leaves a download to go on with, and nothing that looks like data. Beside
//! the data stands `NAME.sha256`, which says as `sha256sum` does which archive they came from.

use std::fs;
use std::io;
use std::path::Path;

use super::download::Wanted;
use super::job::{Job, Unfit};
use super::unpack::{Unpacked, unpack, whole};
use super::{Events, FetchError, FetchEvent};

/// An archive: tar under gzip, or zip.
#[derive(Clone, Copy, Debug)]
pub struct RemoteArchive<'a> {
    /// Its name on the mirror.
    pub name: &'a str,
    /// About how many bytes are downloaded.
    pub bytes: u64,
    /// The MD5 digest that it is known by, in hexadecimal digits.
    pub md5: &'a str,
    /// The folder in it, or the file, below which all members lie: what is moved to its place.
    pub root: &'a str,
    /// What is taken from it; whatever else it holds is not.
    pub members: &'a [Member<'a>],
}

/// Files of an archive.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Their path in it; `*` at the beginning of a name stands for any characters.
    pub path: &'a str,
    /// How many there must be.
    pub count: usize,
    /// What they hold.
    pub content: Content,
}

/// What a file must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Binary records.
    Records {
        /// How many.
        rows: usize,
        /// Bytes of each.
        bytes: usize,
        /// Which of them is the class.
        label: usize,
        /// Classes are below this.
        classes: u8,
    },
    /// A binary PPM picture, in a folder that is named by its class where there are classes.
    Picture {
        /// Classes are below this.
        classes: Option<u32>,
    },
    /// The table of the classes of so many test pictures of `gtsrb`.
    SignTable {
        /// How many.
        rows: usize,
    },
}

impl Job<'_> {
    /// Downloads and unpacks `archive`, unless what it holds is there; one that the user put into the folder is used.
    pub(super) fn archive(&self, archive: &RemoteArchive<'_>, events: &mut Events<'_>) -> Result<(), FetchError> {
        let pin = self.options.pins.iter().find(|pin| pin.archive == archive.name).map(|pin| pin.sha256.as_str());
        if self.present(archive, pin)? {
            events(FetchEvent::Present { file: archive.name });
            return Ok(());
        }
        let mut partial = self.open(archive.name)?;
        let staging = self.folder.join(format!("{}.unpacking", archive.name));
        let mut unpacked = self.given(archive, pin, &staging, events)?;
        if unpacked.is_none() {
            let wanted = Wanted { name: archive.name, bytes: archive.bytes, most: archive.bytes + archive.bytes / 4 };
            let mut accept = |path: &Path| unpack(path, archive, pin, &staging).map(|done| unpacked = Some(done));
            if let Err(error) = self.download(wanted, &mut partial, &mut accept, events) {
                partial.abandon();
                return Err(error);
            }
        }
        let Unpacked { sha256, files } = unpacked.unwrap_or_default();
        let write = |cause| FetchError::Write { path: self.folder.join(archive.root), cause };
        self.install(archive, &staging, &sha256).map_err(write)?;
        partial.discard().map_err(write)?;
        events(FetchEvent::Unpacked { archive: archive.name, sha256: &sha256, files });
        Ok(())
    }

    /// Whether what `archive` holds is in its place.
    fn present(&self, archive: &RemoteArchive<'_>, pin: Option<&str>) -> Result<bool, FetchError> {
        let path = self.folder.join(archive.root);
        let in_the_way =
            |problem| FetchError::InTheWay { archive: archive.name.to_owned(), path: path.clone(), problem };
        if !path.exists() {
            return Ok(false);
        }
        whole(self.folder, archive).map_err(&in_the_way)?;
        let Some(pin) = pin else { return Ok(true) };
        let origin = fs::read_to_string(self.folder.join(format!("{}.sha256", archive.name))).unwrap_or_default();
        match origin.split_whitespace().next() {
            Some(sha256) if sha256 == pin => Ok(true),
            Some(sha256) => Err(in_the_way(format!("came from an archive of SHA-256 {sha256} and not {pin}"))),
            None => Err(in_the_way(format!("came from an archive of unknown SHA-256, and {pin} is wanted"))),
        }
    }

    /// Unpacks the archive that the user put into the folder, if there is one and it is right.
    fn given(
        &self,
        archive: &RemoteArchive<'_>,
        pin: Option<&str>,
        staging: &Path,
        events: &mut Events<'_>,
    ) -> Result<Option<Unpacked>, FetchError> {
        let path = self.folder.join(archive.name);
        if !path.is_file() {
            return Ok(None);
        }
        match unpack(&path, archive, pin, staging) {
            Ok(unpacked) => Ok(Some(unpacked)),
            Err(Unfit::Write(path, cause)) => Err(FetchError::Write { path, cause }),
            Err(Unfit::Wrong(problem)) => {
                let problem = format!("the archive in {} {problem}; another is downloaded", self.folder.display());
                events(FetchEvent::Trouble { file: archive.name, problem });
                Ok(None)
            }
        }
    }

    /// Moves what was unpacked to its place. Where it came from is written before, so that data never lack it.
    fn install(&self, archive: &RemoteArchive<'_>, staging: &Path, sha256: &str) -> io::Result<()> {
        fs::write(self.folder.join(format!("{}.sha256", archive.name)), format!("{sha256}  {}\n", archive.name))?;
        let place = self.folder.join(archive.root);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(staging.join(archive.root), place)?;
        fs::remove_dir_all(staging)
    }
}

#[cfg(test)]
mod tests;
