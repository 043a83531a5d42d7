//! Listing what is in a cache folder, for those who look at all of it.

use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::layout::{Layout, Member};

/// A file in a bucket whose name is one of ours.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) member: Member,
    pub(crate) path: PathBuf,
}

/// What is directly in `folder`, by name; nothing where it is not there.
pub(crate) fn list(folder: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let failed = |error| StoreError::io("list", folder, error);
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = listing.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    files.sort_by_key(DirEntry::file_name);
    Ok(files)
}

/// The folders in a bucket, `ab/` and the like.
pub(crate) fn shards(layout: &Layout, bucket: &str) -> Result<Vec<PathBuf>, StoreError> {
    let folders = list(&layout.bucket(bucket))?;
    Ok(folders
        .into_iter()
        .filter(|file| file.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|file| file.path())
        .collect())
}

/// Every member of a bucket, in the order of their digests. Files with other names are none of ours.
pub(crate) fn members(layout: &Layout, bucket: &str) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    for shard in shards(layout, bucket)? {
        let shard_name = shard.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for file in list(&shard)? {
            let name = format!("{bucket}/{shard_name}/{}", file.file_name().to_string_lossy());
            if let Some(member) = Member::parse(&name) {
                found.push(Found { member, path: file.path() });
            }
        }
    }
    Ok(found)
}
