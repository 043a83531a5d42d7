//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread;

use tempfile::NamedTempFile;

use crate::error::StoreError;
use crate::layout::TEMPORARY;

/// Files that are being written, beside their places. Dropping it removes them; [`Batch::commit`] lets them appear.
#[derive(Debug, Default)]
pub(crate) struct Batch(Vec<(NamedTempFile, PathBuf)>);

impl Batch {
    /// Writes one more file.
    pub(crate) fn add(&mut self, path: PathBuf, bytes: &[u8]) -> Result<(), StoreError> {
        let folder = folder_of(&path);
        make_folder(folder)?;
        let written = temporary(folder).and_then(|mut file| file.write_all(bytes).map(|()| file));
        let file = written.map_err(|error| StoreError::io("write", &path, error))?;
        self.0.push((file, path));
        Ok(())
    }

    /// Syncs all files, then renames them in the order they were added, then syncs the folder of the last. Whoever finds
    /// the last file thus finds the others. Where a rename before it is lost in a power cut, sizes and digests tell.
    pub(crate) fn commit(self) -> Result<(), StoreError> {
        // A disk that has several syncs to do at once does them in about the time of one.
        thread::scope(|scope| {
            let others = self.0.iter().skip(1).map(|file| scope.spawn(|| sync(file))).collect::<Vec<_>>();
            let first = self.0.first().map_or(Ok(()), sync);
            let results = others.into_iter().map(|it| it.join().expect("syncing a file does not panic"));
            results.fold(first, Result::and)
        })?;
        let last = self.0.last().map(|(_, path)| folder_of(path).to_owned());
        for (file, path) in self.0 {
            file.persist(&path).map_err(|error| StoreError::io("write", &path, error.error))?;
        }
        if let Some(folder) = last {
            sync_folder(&folder);
        }
        Ok(())
    }
}

fn sync((file, path): &(NamedTempFile, PathBuf)) -> Result<(), StoreError> {
    file.as_file().sync_all().map_err(|error| StoreError::io("write", path, error))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Writes one file so that it appears whole or not at all. Where that fails, what was there stays.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    batch.add(path.to_owned(), bytes)?;
    batch.commit()
}

/// A file in `folder` to be renamed when it is whole, readable for whoever the user's mask allows.
pub(crate) fn temporary(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Makes a folder and those above it, unless they are there.
pub(crate) fn make_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(|error| StoreError::io("make folder", path, error))?;
    path.parent().into_iter().for_each(sync_folder);
    Ok(())
}

/// The bytes of a file; `None` where there is none.
pub(crate) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path, error)),
    }
}

/// Makes a rename last through a power cut. Not every file system can; there, the digests tell what was lost.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}
