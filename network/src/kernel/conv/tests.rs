//! Convolutions against their definition.

use proptest::prelude::*;

use super::*;
use crate::kernel::matmul::Around;
use crate::kernel::{InstructionSet, Threads};
use crate::random::Stream;

fn random(purpose: &str, len: usize) -> Vec<f32> {
    let mut values = vec![0.0; len];
    Stream::new(5, purpose, &[len as u64]).fill_normal(&mut values, 0.0, 1.0);
    values
}

/// Calls `f(index of x, index of the weight, index of y)` for every product of the definition.
fn products(conv: &Convolution, images: usize, mut f: impl FnMut(usize, usize, usize)) {
    let ([h, w, c], [ho, wo, co]) = (conv.input, conv.output());
    let (gi, go) = (conv.group_inputs(), conv.group_outputs());
    for n in 0..images {
        for (oy, ox, o) in (0..ho * wo * co).map(|i| (i / co / wo, i / co % wo, i % co)) {
            for (ky, kx, i) in (0..conv.taps() * gi).map(|k| (k / gi / conv.kernel[1], k / gi % conv.kernel[1], k % gi))
            {
                let y = (oy * conv.stride[0] + ky * conv.dilation[0]) as isize - conv.padding[0] as isize;
                let x = (ox * conv.stride[1] + kx * conv.dilation[1]) as isize - conv.padding[1] as isize;
                if (0..h as isize).contains(&y) && (0..w as isize).contains(&x) {
                    let at = ((n * h + y as usize) * w + x as usize) * c + o / go * gi + i;
                    let weight = ((o * gi + i) * conv.kernel[0] + ky) * conv.kernel[1] + kx;
                    f(at, weight, ((n * ho + oy) * wo + ox) * co + o);
                }
            }
        }
    }
}

fn close(found: &[f32], wanted: &[f64], what: &str) {
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        assert!((f64::from(*a) - b).abs() <= 1e-4 * (1.0 + b.abs()), "{what} [{i}]: {a} instead of {b}");
    }
}

fn check(conv: &Convolution, images: usize) {
    let x = random("x", images * conv.input_len());
    let (weight, bias) = (random("w", conv.weight_len()), random("b", conv.outputs));
    let dy = random("dy", images * conv.output_len());
    let mut y = vec![0.0f64; dy.len()];
    let (mut dx, mut dw) = (vec![1.0f64; x.len()], vec![0.0f64; weight.len()]);
    y.iter_mut().enumerate().for_each(|(i, y)| *y = f64::from(bias[i % conv.outputs]));
    products(conv, images, |xi, wi, yi| {
        y[yi] += f64::from(x[xi]) * f64::from(weight[wi]);
        dx[xi] += f64::from(weight[wi]) * f64::from(dy[yi]);
        dw[wi] += f64::from(x[xi]) * f64::from(dy[yi]);
    });
    let mut first: Option<[Vec<f32>; 3]> = None;
    for set in InstructionSet::available() {
        for threads in [Threads::One, Threads::Pool] {
            let how = (set, threads);
            let mut found = [vec![f32::NAN; y.len()], vec![1.0; x.len()], vec![f32::NAN; weight.len()]];
            let around = Around { bias: Some(&bias), ..Around::default() };
            forward(how, conv, &PackedForward::new(set, conv, &weight), &x, &around, &mut found[0]);
            backward_input(how, conv, &PackedBackward::new(set, conv, &weight), &dy, true, &mut found[1]);
            backward_weight(how, conv, &x, &dy, &mut found[2]);
            if let Some(first) = &first {
                assert_eq!(&found, first, "{} {conv:?}", set.name());
            } else {
                close(&found[0], &y, "y");
                close(&found[1], &dx, "dx");
                close(&found[2], &dw, "dw");
                first = Some(found);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn values_and_gradients_are_those_of_the_definition_with_the_same_bits_everywhere(
        (h, w, images) in (1usize..12, 1usize..12, 1usize..5),
        (groups, gi, go) in (1usize..4, 1usize..6, prop_oneof![1usize..7, 15usize..40]),
        kernel in [1usize..4, 1usize..4],
        stride in [1usize..4, 1usize..4],
        padding in [0usize..3, 0usize..3, 0usize..3, 0usize..3],
        dilation in [1usize..3, 1usize..3],
    ) {
        let conv = Convolution { input: [h, w, groups * gi], outputs: groups * go, kernel, stride, padding, dilation, groups };
        check(&conv, images);
    }
}

#[test]
fn depthwise_and_pointwise_convolutions_are_those_of_the_definition() {
    for (c, stride, kernel) in [(3, 1, 3), (16, 2, 3), (35, 1, 5), (64, 2, 3)] {
        let padding = [kernel / 2; 4];
        let conv = Convolution {
            input: [9, 10, c],
            outputs: c,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding,
            dilation: [1, 1],
            groups: c,
        };
        check(&conv, 3);
        let pointwise =
            Convolution { outputs: 2 * c, kernel: [1; 2], stride: [1; 2], padding: [0; 4], groups: 1, ..conv };
        check(&pointwise, 20);
    }
}
