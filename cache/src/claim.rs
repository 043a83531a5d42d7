//! Which folder may be a cache: an empty one, or one that is a cache already; never one with somebody's files in it.

use std::fs::{self, OpenOptions};

use crate::error::StoreError;
use crate::files::{make_folder, read_file, write_whole};
use crate::layout::{ENTRIES, LOCKS, Layout, OBJECTS, QUARANTINE, RECORDS, TAG, TAG_MARK, TAG_TEXT};

/// Makes a folder a cache, unless it is one or holds something else.
pub(crate) fn claim(layout: &Layout) -> Result<(), StoreError> {
    let tag = layout.tag();
    if let Some(text) = read_file(&tag)? {
        if !String::from_utf8_lossy(&text).contains(TAG_MARK) {
            // Ours all the same where our buckets are in it: the tag was damaged, and is written again.
            if !layout.bucket(ENTRIES).is_dir() {
                return Err(not_a_cache(layout, "its CACHEDIR.TAG says that it is another program's"));
            }
            write_whole(&tag, TAG_TEXT.as_bytes())?;
        }
    } else {
        make_folder(layout.root())?;
        let listing = fs::read_dir(layout.root()).map_err(|error| StoreError::io("list", layout.root(), error))?;
        for file in listing.flatten() {
            let name = file.file_name();
            let name = name.to_string_lossy();
            let ours = [OBJECTS, ENTRIES, RECORDS, LOCKS, QUARANTINE].contains(&name.as_ref());
            if !ours && !name.starts_with('.') && name != "lost+found" && name != TAG {
                return Err(not_a_cache(layout, &format!("it holds `{name}`, which is none of ours")));
            }
        }
        write_whole(&tag, TAG_TEXT.as_bytes())?;
    }
    // Where the cache cannot be written to, it can still be read.
    if !layout.cache_lock().exists() && make_folder(&layout.bucket(LOCKS)).is_ok() {
        let _ = OpenOptions::new().append(true).create(true).open(layout.cache_lock());
    }
    Ok(())
}

fn not_a_cache(layout: &Layout, reason: &str) -> StoreError {
    StoreError::NotACache { path: layout.root().to_owned(), reason: reason.to_owned() }
}
