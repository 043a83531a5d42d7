//! Published numbers, on real data that lie beside the checkout; each test says so where they do not.

mod campaign;
mod data;
mod mnist;
mod pretrained;
mod protections;
mod sparse_robust;
