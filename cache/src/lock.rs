//! Locks that end with the process that holds them: the operating system's, on files that say who holds them.
//!
//! Such a lock belongs to what was opened, not to who opened it: a process that is just being started holds a copy of every
//! open file of its parent until its own program begins. So a lock is given back by saying so, since closing the file would
//! leave it to that copy.
//!
//! A lock file is removed by whoever gives the lock back. Another process may have opened it just before; its lock
//! would then be on a file that nobody finds any more. So whoever gets a lock looks whether the path still leads to the
//! file that was locked, and starts over where it does not.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher as _, RandomState};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store::Held;

/// Who holds a lock, as its file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pid: u32,
    host: String,
    /// Tells this holder from an earlier process of the same number.
    token: String,
}

impl Holder {
    pub(crate) fn this_process(host: &str) -> Self {
        let token = format!("{:016x}", RandomState::new().build_hasher().finish());
        Self { pid: std::process::id(), host: host.to_owned(), token }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {}", self.pid)?;
        if self.host.is_empty() { Ok(()) } else { write!(f, " on {}", self.host) }
    }
}

/// A file that is locked, shared or alone; given back when dropped.
#[derive(Debug)]
pub(crate) struct Locked(pub(crate) File);

impl Drop for Locked {
    fn drop(&mut self) {
        // Where this fails, the lock ends with the last copy of the file.
        let _ = self.0.unlock();
    }
}

/// An exclusive lock; given back when dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: Locked,
    path: PathBuf,
}

impl Held for FileLock {}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Removed while still held, so that nobody can lock a file that is about to go. Where that fails, an empty file
        // stays: nobody is taken for its holder.
        if fs::remove_file(&self.path).is_err() {
            let _ = self.file.0.set_len(0);
        }
    }
}

/// A lock that was got, and who had held it without giving it back.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) lock: FileLock,
    pub(crate) left_by: Option<String>,
}

/// Takes the lock at `path`, whose folder exists; `None` where another process or thread holds it.
pub(crate) fn try_lock(path: &Path, holder: &Holder) -> io::Result<Option<Taken>> {
    loop {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if !leads_to(path, &file) {
            drop(Locked(file));
            continue;
        }
        let left_by = read_holder(&mut file);
        // On a full disk the lock is as good without its holder's name.
        let _ = file.set_len(0).and_then(|()| file.rewind());
        let _ = file.write_all(serde_json::to_string(holder).unwrap_or_default().as_bytes());
        return Ok(Some(Taken { lock: FileLock { file: Locked(file), path: path.to_owned() }, left_by }));
    }
}

/// Who holds the lock at `path`; `None` where nobody does.
pub(crate) fn holder(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_holder(&mut file).unwrap_or_else(|| "another process".to_owned())),
        Ok(()) => {
            drop(Locked(file));
            None
        }
        Err(TryLockError::Error(_)) => None,
    }
}

/// What the file says, if it says anything.
fn read_holder(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    let holder = serde_json::from_str::<Holder>(&text).map(|holder| holder.to_string());
    (!text.is_empty()).then(|| holder.unwrap_or_else(|_| "an unnamed process".to_owned()))
}

#[cfg(unix)]
fn leads_to(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(here)) => there.dev() == here.dev() && there.ino() == here.ino(),
        _ => false,
    }
}

/// Elsewhere an open file cannot be removed from under its path.
#[cfg(not(unix))]
fn leads_to(path: &Path, _file: &File) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let me = Holder::this_process("here");
        assert_eq!(holder(&path), None);
        let taken = try_lock(&path, &me).unwrap().unwrap();
        assert_eq!(taken.left_by, None);
        assert!(try_lock(&path, &me).unwrap().is_none());
        assert_eq!(holder(&path), Some(format!("process {} on here", std::process::id())));
        drop(taken);
        assert!(!path.exists());
        assert!(try_lock(&path, &me).unwrap().is_some());
    }

    #[test]
    fn a_lock_file_left_by_a_dead_process_is_taken_over_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        fs::write(&path, r#"{"pid":1,"host":"there","token":"0"}"#).unwrap();
        assert_eq!(holder(&path), None);
        let taken = try_lock(&path, &Holder::this_process("")).unwrap().unwrap();
        assert_eq!(taken.left_by.as_deref(), Some("process 1 on there"));
    }

    #[test]
    fn a_lock_that_is_given_back_is_free_although_a_copy_of_its_file_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let taken = try_lock(&path, &Holder::this_process("")).unwrap().unwrap();
        let copy = taken.lock.file.0.try_clone().unwrap();
        fs::hard_link(&path, folder.path().join("b.lock")).unwrap();
        drop(taken);
        let again = File::open(folder.path().join("b.lock")).unwrap();
        assert!(again.try_lock().is_ok());
        drop(copy);
    }

    #[test]
    fn many_threads_that_take_and_give_back_never_hold_a_lock_twice() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if let Some(guard) = try_lock(&path, &Holder::this_process("")).unwrap() {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            assert_eq!(guard.left_by, None);
                            taken.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
    }
}
