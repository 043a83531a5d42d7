//! Killed, starved, damaged, doubled.

mod a_flipped_byte_is_found_named_and_healed;
mod a_full_disk_leaves_an_intact_cache;
mod a_killed_training_goes_on_at_its_last_part;
mod interrupted_runs_stop_cleanly;
mod killed_runs_resume_to_the_same_tables;
mod two_processes_compute_each_key_once;
