//! What runs again, asserted on the event log. File names are sentences; each is one promise of the cache.

mod a_changed_epsilon_reruns_only_its_stage;
mod a_changed_rate_reruns_what_is_pruned_by_it;
mod a_changed_seed_reruns_only_its_descendants;
mod a_new_axis_value_runs_only_new_instances;
mod an_equal_result_stops_the_reruns;
mod the_second_run_computes_nothing;
mod what_means_the_same_is_a_hit;
