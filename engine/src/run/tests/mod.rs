//! Runs of toy plans, judged by what happened.

mod chain;
mod collecting;
mod incremental;
mod parallel;
mod parts;
mod toys;
mod trouble;
