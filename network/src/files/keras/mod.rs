//! Keras models in HDF5: their weights in this program's names and layouts, and their description as a network.

pub(super) mod weights;
