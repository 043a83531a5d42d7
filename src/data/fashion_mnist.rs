//! `fashion-mnist`: pictures of clothes in MNIST's format, by the same file names.
//!
//! H. Xiao, K. Rasul and R. Vollgraf, *Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms*,
//! 2017, arXiv:1708.07747.

use super::facts::{Description, Moments};
use super::mnist;

/// What is known of it.
pub(super) const DESCRIPTION: Description = Description {
    name: "fashion-mnist",
    summary: "Pictures of clothes, 28 x 28 pixels",
    facts: mnist::facts(
        &["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"],
        Moments { mean: &[0.2860], std: &[0.3530] },
    ),
    origin: "https://github.com/zalandoresearch/fashion-mnist",
    licence: "MIT",
};
