//! The spec language as a JSON schema (draft 2020-12), so that editors complete and check specs as they are written.

use serde_json::Value as Json;

use crate::stage::Registry;

/// The schema of a whole spec, for the kinds, data and definitions of a registry.
#[must_use]
pub fn json_schema(_registry: &Registry) -> Json {
    todo!()
}
