//! The same study gives the same bytes.

mod a_shuffled_spec_gives_the_same_tables;
mod batches_of_evaluation_do_not_matter;
mod threads_do_not_matter;
