//! What a cache on disk holds, for people who want to look.

use crate::artifact::Entry;
use crate::disk::DiskStore;
use crate::error::StoreError;
use crate::layout::{ENTRIES, Member};
use crate::store::Store;
use crate::walk::members;

/// Every intact entry, in the order of the keys.
///
/// # Errors
/// Where the cache cannot be read; damaged entries are [`Finding`](crate::Finding)s.
pub fn entries(store: &DiskStore) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    for found in members(&store.layout, ENTRIES)? {
        if let Member::Entry(key) = found.member {
            entries.extend(store.entry(&key)?);
        }
    }
    Ok(entries)
}
