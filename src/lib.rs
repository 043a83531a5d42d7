//! Duress.
