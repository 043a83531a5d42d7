//! The documents that repeat what the program knows.

mod every_fault_has_an_entry;
mod the_reference_is_what_the_program_says;
