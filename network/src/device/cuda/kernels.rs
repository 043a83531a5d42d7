//! The kernels: their names, and the source that they are compiled from.

/// The files in the order in which a compiler is given them, as one source.
pub(super) const FILES: &[(&str, &str)] = &[
    ("prelude.cuh", include_str!("kernels/prelude.cuh")),
    ("tile.cuh", include_str!("kernels/tile.cuh")),
    ("elementwise.cu", include_str!("kernels/elementwise.cu")),
    ("copy.cu", include_str!("kernels/copy.cu")),
    ("pick.cu", include_str!("kernels/pick.cu")),
    ("product.cu", include_str!("kernels/product.cu")),
    ("convolution.cu", include_str!("kernels/convolution.cu")),
    ("pool.cu", include_str!("kernels/pool.cu")),
    ("norm.cu", include_str!("kernels/norm.cu")),
    ("sequence.cu", include_str!("kernels/sequence.cu")),
];

/// Threads of every block; `THREADS` in `prelude.cuh`.
pub(super) const THREADS: usize = 256;

/// One source of all files.
pub(super) fn source() -> String {
    FILES.iter().map(|(_, text)| *text).collect()
}

macro_rules! kernels {
    ($($kernel:ident $name:literal $meeting:literal;)+) => {
        /// A kernel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Kernel {
            $($kernel),+
        }

        impl Kernel {
            /// All of them, in the order of their numbers.
            pub(super) const ALL: &[Self] = &[$(Self::$kernel),+];

            /// Its name in the sources, behind `duress_`.
            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$kernel => $name),+
                }
            }

            /// Whether threads of a block wait for each other.
            pub(super) const fn meets(self) -> bool {
                match self {
                    $(Self::$kernel => $meeting),+
                }
            }
        }
    };
}

kernels! {
    Fill "fill" false;
    Activation "activation" false;
    ActivationBackward "activation_backward" false;
    RectifyGradient "rectify_gradient" false;
    Add "add" false;
    Multiply "multiply" false;
    AddToEach "add_to_each" false;
    ScaleShift "scale_shift" false;
    Normalise "normalise" false;
    Clamp "clamp" false;
    ClampBackward "clamp_backward" false;
    Combine "combine" false;
    Adam "adam" false;
    Copy "copy" false;
    Scatter "scatter" false;
    Gather "gather" false;
    PickRows "pick_rows" false;
    PickColumns "pick_columns" false;
    Take "take" false;
    Put "put" false;
    MultiplyEach "multiply_each" false;
    Largest "largest" false;
    Differences "differences" false;
    PutPlanes "put_planes" false;
    Product "product" true;
    PackForward "pack_forward" false;
    PackBackward "pack_backward" false;
    Convolution "convolution" true;
    ConvolutionBackwardInput "convolution_backward_input" true;
    ConvolutionBackwardWeight "convolution_backward_weight" true;
    AddChunks "add_chunks" false;
    Depthwise "depthwise" false;
    DepthwiseBackwardInput "depthwise_backward_input" false;
    DepthwiseBackwardWeight "depthwise_backward_weight" false;
    Pool "pool" false;
    PoolBackward "pool_backward" false;
    Moments "moments" true;
    CombineMoments "combine_moments" false;
    GradientSums "gradient_sums" true;
    ChannelSums "channel_sums" true;
    AddImages "add_images" false;
    RowStatistics "row_statistics" false;
    LayerNorm "layer_norm" false;
    LayerNormMeans "layer_norm_means" false;
    LayerNormBackward "layer_norm_backward" false;
    LayerNormParameters "layer_norm_parameters" false;
    Softmax "softmax" false;
    SoftmaxBackward "softmax_backward" false;
    LstmCell "lstm_cell" false;
    LstmCellBackward "lstm_cell_backward" false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_is_listed_and_says_whether_its_threads_meet() {
        let mut found = Vec::new();
        for (file, text) in FILES {
            for kernel in text.split("\nKERNEL(").skip(1) {
                let (name, body) = kernel.split_once(')').unwrap();
                let meets = ["tile<", "chained("].iter().any(|call| body.contains(call));
                found.push((name.to_owned(), meets, *file));
            }
        }
        let listed: Vec<(String, bool)> = Kernel::ALL.iter().map(|k| (k.name().to_owned(), k.meets())).collect();
        let mut sources: Vec<(String, bool)> = found.into_iter().map(|(name, meets, _)| (name, meets)).collect();
        let mut sorted = listed;
        sources.sort();
        sorted.sort();
        assert_eq!(sources, sorted);
    }
}
