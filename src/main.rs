//! Duress.
fn main() {}
