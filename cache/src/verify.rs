//! [`verify`]: looks at every byte of a cache.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::artifact::TableRef;
use crate::content_hash::Digest;
use crate::disk::DiskStore;
use crate::error::{Finding, StoreError};
use crate::files::read_file;
use crate::key::Key;
use crate::layout::{ENTRIES, Member, OBJECTS, RECORDS, TEMPORARY};
use crate::store::StudyRecord;
use crate::table::Table;
use crate::walk::{list, members};

/// A table's file that was damaged or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedObject {
    /// Its digest as it should be.
    pub object: Digest,
    /// Where it is now; `None` where it was gone or could not be moved.
    pub aside: Option<PathBuf>,
    /// What is wrong.
    pub reason: String,
    /// The results that are lost with it, with the table of each.
    pub entries: Vec<(Key, String)>,
}

/// What [`verify`] saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Entries that were read.
    pub entries: usize,
    /// Objects that were read.
    pub objects: usize,
    /// Bytes of objects that were read.
    pub bytes: u64,
    /// Objects that no entry refers to.
    pub unreferenced: usize,
    /// Objects that are damaged or gone; what could be moved was set aside.
    pub damaged_objects: Vec<DamagedObject>,
    /// Entries and records that are damaged and were set aside.
    pub damaged_files: Vec<Finding>,
}

impl VerifyReport {
    /// Whether everything is as it was written.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damaged_objects.is_empty() && self.damaged_files.is_empty()
    }
}

/// Compares every entry with its checksum, every object with the digest of its bytes and, as a table, with the logical
/// digest and the number of rows that its entries say. What is damaged is set aside, so that it is computed again.
///
/// # Errors
/// Where the cache cannot be read.
pub fn verify(store: &DiskStore) -> Result<VerifyReport, StoreError> {
    let _usage = store.in_use()?;
    let mut report = VerifyReport::default();
    let mut users: BTreeMap<Digest, Vec<(Key, String, TableRef)>> = BTreeMap::new();
    for found in members(&store.layout, ENTRIES)? {
        let Member::Entry(key) = found.member else { continue };
        report.entries += 1;
        match store.load_entry(&key)? {
            Some(Ok(entry)) => {
                for (name, table) in entry.tables {
                    users.entry(table.object).or_default().push((key, name, table));
                }
            }
            Some(Err(finding)) => report.damaged_files.push(finding),
            None => {}
        }
    }
    for file in list(&store.layout.bucket(RECORDS))? {
        // What a killed process was writing is no damage; `gc` removes it.
        if file.file_name().to_string_lossy().starts_with(TEMPORARY) {
            continue;
        }
        let path = file.path();
        let record = store.load(&path, |record: &StudyRecord| store.layout.record(&record.study) == path);
        if let Some(Err(finding)) = record? {
            report.damaged_files.push(finding);
        }
    }
    for found in members(&store.layout, OBJECTS)? {
        let Member::Object(object) = found.member else { continue };
        let references = users.remove(&object).unwrap_or_default();
        report.objects += 1;
        report.unreferenced += usize::from(references.is_empty());
        let fault = match read_file(&found.path)? {
            Some(bytes) => {
                report.bytes += bytes.len() as u64;
                fault(bytes, &object, &references)
            }
            None => Some("it went away meanwhile".to_owned()),
        };
        if let Some(reason) = fault {
            let aside = store.quarantine(&found.path);
            report.damaged_objects.push(DamagedObject { object, aside, reason, entries: losers(references) });
        }
    }
    for (object, references) in users {
        let reason = "its file is gone".to_owned();
        report.damaged_objects.push(DamagedObject { object, aside: None, reason, entries: losers(references) });
    }
    Ok(report)
}

fn losers(references: Vec<(Key, String, TableRef)>) -> Vec<(Key, String)> {
    references.into_iter().map(|(key, name, _)| (key, name)).collect()
}

/// What is wrong with an object, if anything.
fn fault(bytes: Vec<u8>, object: &Digest, references: &[(Key, String, TableRef)]) -> Option<String> {
    if Digest::of_bytes(&bytes) != *object {
        return Some("its bytes have another digest".to_owned());
    }
    let length = bytes.len() as u64;
    let table = match Table::from_parquet(bytes.into()) {
        Ok(table) => table,
        Err(error) => return Some(error.to_string()),
    };
    references.iter().find_map(|(_, _, reference)| agrees(&table, length, reference).err())
}

/// Whether a table that was read is the one that an entry means.
pub(crate) fn agrees(table: &Table, bytes: u64, reference: &TableRef) -> Result<(), String> {
    if reference.bytes != bytes {
        return Err(format!("it has {bytes} bytes and not {}", reference.bytes));
    }
    if reference.rows != table.rows() as u64 {
        return Err(format!("it has {} rows and not {}", table.rows(), reference.rows));
    }
    if reference.digest != table.digest() {
        return Err(format!("as a table it has the digest {} and not {}", table.digest(), reference.digest));
    }
    Ok(())
}
