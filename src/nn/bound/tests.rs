//! The bounds against published numbers, exact enumeration and each other.

use super::*;
use crate::nn::activation::Activation;
use crate::nn::crash_rates::CrashRatesError;
use serde_json::Value;

/// A fixture of the crash study, or `None` (said aloud) where the shared data are not at hand.
fn fixture(name: &str) -> Option<Value> {
    let path = format!("{}/../shared/reference/fixtures/fault-tolerance/{name}", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {name} is not in ../shared");
        return None;
    };
    Some(serde_json::from_str(&text).expect("the fixture is JSON"))
}

fn numbers(v: &Value) -> Vec<f64> {
    match v {
        Value::Array(all) => all.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().expect("a number")],
    }
}

/// The network of a fixture: a hidden activation, and a linear last layer.
fn network(v: &Value, hidden: Activation) -> Chain {
    let (w, b) = (v["W"].as_array().expect("layers"), v["B"].as_array().expect("layers"));
    let layer = |(l, (w, b)): (usize, (&Value, &Value))| {
        let rows = w.as_array().expect("rows").len();
        let values = numbers(w);
        DenseLayer {
            weight: Matrix::new(rows, values.len() / rows, values).expect("a matrix"),
            bias: numbers(b),
            activation: if l + 1 == b_len(v) { Activation::Identity } else { hidden },
        }
    };
    Chain::dense(w.iter().zip(b).enumerate().map(layer).collect()).expect("layers fit")
}

fn b_len(v: &Value) -> usize {
    v["B"].as_array().map_or(0, Vec::len)
}

const RELU: Activation = Activation::Relu { slope: 1.0 };
const AS_PUBLISHED: CrashForm = CrashForm {
    variance: Variance::Published,
    norm_of: NormOf::Input,
    without: Without { norms: false, expansions: false },
};

#[track_caller]
fn close(got: f64, want: f64, tolerance: f64, what: &str) {
    assert!((got - want).abs() <= tolerance, "{what}: got {got}, want {want}, off by {:e}", (got - want).abs());
}

/// Rates with `p` at one layer.
fn only(chain: &Chain, layer: usize, p: f64) -> Vec<f64> {
    (0..=chain.depth()).map(|l| if l == layer { p } else { 0.0 }).collect()
}

/// The matrix and the biases of a dense layer.
fn dense(layer: &Layer) -> (&Matrix, &[f64]) {
    match &layer.maps[..] {
        [Map::Dense { weight, bias }] => (weight, bias),
        _ => panic!("a dense layer"),
    }
}

fn pick(spreads: &[Spread], mean: bool) -> f64 {
    if mean { spreads[0].mean } else { spreads[0].std }
}

#[test]
fn every_bound_equals_the_published_ones_of_a_random_network() {
    let Some(f) = fixture("fixture_random_single_network.json") else { return };
    let chain = network(&f, RELU);
    let rates = only(&chain, 1, f["p"].as_f64().expect("p"));
    let rows = crash_bounds(&chain, &numbers(&f["X"]), &rates, AS_PUBLISHED).expect("valid");
    let better = crash_bounds(&chain, &numbers(&f["X"]), &rates, CrashForm::default()).expect("valid");
    assert_eq!(rows.len(), 100);
    let (mean, std) = (&f["re_mean"], &f["re_std"]);
    for (i, row) in rows.iter().enumerate() {
        let m = |name: &str| numbers(&mean[name])[i];
        let s = |name: &str| numbers(&std[name])[i];
        close(row.output[0], numbers(&f["output"])[i], 1e-12, "output");
        for (name, bound) in [("b2", &row.b2), ("b3", &row.b3), ("b4", &row.b4)] {
            close(pick(bound, true), m(name), 1e-10, name);
            close(pick(bound, false), s(name), 1e-10, name);
            close(pick(bound, true), numbers(&f["repo_mean"][name])[i], 1e-7, name);
            close(pick(bound, false), numbers(&f["repo_std"][name])[i], 1e-7, name);
        }
        for (k, norm) in ["1norm", "2norm", "infnorm"].iter().enumerate() {
            close(row.b1[k], m(&format!("b1_{norm}")), 1e-10, norm);
            close(row.b1[k], numbers(&f["repo_mean"][format!("b1_{norm}")])[i], 1e-7, norm);
            close(better[i].b1[k], m(&format!("b1y_{norm}")), 1e-10, norm);
        }
    }
    let sums = norm_sums(&chain);
    for (name, got) in [
        ("sum_1norm", sums.one),
        ("sum_2norm", sums.two),
        ("sum_infnorm", sums.infinity),
        ("sum_fronorm", sums.frobenius),
    ] {
        close(got, numbers(&mean[name])[0], 1e-10, name);
    }
}

#[test]
fn every_bound_equals_the_published_ones_of_twenty_random_networks() {
    let Some(f) = fixture("fixture_random_networks.json") else { return };
    for (i, net) in f["networks"].as_array().expect("networks").iter().enumerate() {
        let chain = network(net, RELU);
        let rates = only(&chain, 1, 0.01);
        let row = &crash_bounds(&chain, &numbers(&f["x"]), &rates, AS_PUBLISHED).expect("valid")[0];
        let m = |name: &str| f["repo_mean"][i][name].as_f64().expect(name);
        for (name, bound) in [("b2", &row.b2), ("b3", &row.b3), ("b4", &row.b4)] {
            close(pick(bound, true), m(name), 1e-7, name);
            close(pick(bound, false), f["repo_std"][i][name].as_f64().expect(name), 1e-7, name);
        }
        for (k, norm) in ["b1_1norm", "b1_2norm", "b1_infnorm"].iter().enumerate() {
            close(row.b1[k], m(norm), 1e-6, norm);
        }
        close(norm_sums(&chain).two, m("sum_2norm"), 1e-6, "sum_2norm");
    }
}

#[test]
fn stored_predictions_of_a_hundred_networks_rank_them_as_published() {
    let Some(f) = fixture("fixture_random_networks.json") else { return };
    let column = |name: &str| -> Vec<f64> {
        f["repo_mean"].as_array().expect("networks").iter().map(|m| m[name].as_f64().expect(name)).collect()
    };
    let correlation = |a: &[f64], b: &[f64]| {
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let (ma, mb) = (mean(a), mean(b));
        let cross =
            |u: &[f64], mu: f64, v: &[f64], mv: f64| u.iter().zip(v).map(|(u, v)| (u - mu) * (v - mv)).sum::<f64>();
        cross(a, ma, b, mb) / (cross(a, ma, a, ma) * cross(b, mb, b, mb)).sqrt()
    };
    let measured = column("experiment");
    close(correlation(&measured, &column("b4")), 0.99920, 5e-6, "b4");
    close(correlation(&measured, &column("b3")), 0.99602, 5e-6, "b3");
}

#[test]
fn eulers_identity_holds_at_every_layer_of_the_sigmoid_network() {
    let Some(f) = fixture("fixture_th7.json") else { return };
    let chain = network(&f, Activation::Sigmoid { gain: 4.0 });
    let x = numbers(&f["x"]);
    let trace = chain.trace(&x);
    let jacobians = chain.jacobians(&trace, 0);
    for l in 0..4 {
        let by_values: f64 = jacobians[l][0].iter().zip(&trace.h[l]).map(|(j, h)| j * h).sum();
        let layer = &chain.layers()[l];
        // dy/dW_ij = dy/dz_i h_j, the other side of the identity.
        let by_weights: f64 = dense(layer)
            .0
            .row_slices()
            .enumerate()
            .map(|(i, row)| {
                let delta = jacobians[l + 1][0][i] * layer.activation.derivative(trace.z[l][i]);
                row.iter().zip(&trace.h[l]).map(|(w, h)| delta * h * w).sum::<f64>()
            })
            .sum();
        close(by_values, by_weights, 1e-10, "Euler");
        let published = numbers(&f["euler_repo"][l]);
        // The authors' single precision leaves layer 0, a sum of cancelling terms, with four digits.
        let tolerance = if l == 0 { 1e-3 } else { 1e-6 };
        for want in published {
            close(by_values / want, 1.0, tolerance, "published Euler sum");
        }
    }
    let row = &crash_bounds(&chain, &x, &only(&chain, 1, 0.01), AS_PUBLISHED).expect("valid")[0];
    for (name, bound) in [("b2", &row.b2), ("b3", &row.b3), ("b4", &row.b4)] {
        let want = numbers(&f["re"][name]);
        close(bound[0].mean, want[0], 1e-12, name);
        close(bound[0].std, want[1], 1e-12, name);
    }
    close(row.b3[0].mean, -5.00702e-5, 1e-9, "b3");
    close(row.b4[0].mean, -5.409_956e-5, 1e-9, "b4");
    // The million-repetition experiment, within four of its standard errors.
    close(row.b4[0].mean, f["experiment_mean_1e6_reps"].as_f64().expect("a mean"), 4.0 * 4.4e-7, "experiment");
}

#[test]
fn crashes_at_several_layers_add_up_to_the_measured_mean_and_variance() {
    let Some(f) = fixture("fixture_additivity.json") else { return };
    let chain = network(&f, RELU);
    let inputs = numbers(&f["X"]);
    let relative = |got: &[f64], want: &[f64]| {
        let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
        norm(&mut got.iter().zip(want).map(|(g, w)| g - w)) / norm(&mut want.iter().copied())
    };
    let configs = f["configs"].as_object().expect("configurations");
    assert_eq!(configs.len(), 16);
    for (bits, measured) in configs {
        let rates: Vec<f64> = bits.chars().map(|b| if b == '1' { 0.01 } else { 0.0 }).collect();
        let rows = crash_bounds(&chain, &inputs, &rates, CrashForm::default()).expect("valid");
        let column = |f: &dyn Fn(&Spread) -> f64| rows.iter().flat_map(|r| r.b3.iter().map(f)).collect::<Vec<_>>();
        let (mean, var) = (column(&|s| s.mean), column(&|s| s.std * s.std));
        if bits == "0000" {
            assert!(mean.iter().chain(&var).all(|v| v.abs() < f64::MIN_POSITIVE));
            continue;
        }
        let (em, ev) =
            (relative(&mean, &numbers(&measured["exp_mean"])), relative(&var, &numbers(&measured["exp_var"])));
        // Crashing inputs flip ReLUs, which first order cannot see; means cancel, so their relative error is the larger one.
        assert!(em <= if bits.starts_with('1') { 0.11 } else { 0.05 }, "{bits}: mean off by {em}");
        assert!(ev <= 0.081, "{bits}: variance off by {ev}");
        if bits == "0100" {
            assert!(em <= 0.0068 && ev <= 0.0085, "{bits}: {em}, {ev}");
            // No ReLU changes side when one neuron of the first hidden layer crashes.
            for (b3, b4) in rows.iter().flat_map(|r| r.b3.iter().zip(&r.b4)) {
                close(b3.mean, b4.mean, 1e-12, bits);
                close(b3.std, b4.std, 1e-12, bits);
            }
        }
    }
}

/// A small net with fixed, unremarkable weights.
fn small(hidden: Activation, widths: &[usize]) -> Chain {
    let mut state = 1u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 23) - 1.0
    };
    let layers = widths.windows(2).enumerate().map(|(l, w)| DenseLayer {
        weight: Matrix::new(w[1], w[0], (0..w[0] * w[1]).map(|_| draw()).collect()).expect("counts agree"),
        bias: (0..w[1]).map(|_| draw()).collect(),
        activation: if l + 2 == widths.len() { Activation::Identity } else { hidden },
    });
    Chain::dense(layers.collect()).expect("widths agree")
}

/// Exact mean, mean absolute and standard deviation of delta, over all crash patterns of the chosen layers.
fn enumerate(chain: &Chain, x: &[f64], rates: &[f64]) -> Vec<(f64, f64, f64)> {
    let sites: Vec<(usize, usize)> =
        (0..rates.len()).filter(|l| rates[*l] > 0.0).flat_map(|l| (0..chain.width(l)).map(move |i| (l, i))).collect();
    assert!(sites.len() <= 14, "2^{} patterns", sites.len());
    let clean = chain.trace(x).h[chain.depth()].clone();
    let mut sums = vec![(0.0, 0.0, 0.0); clean.len()];
    for pattern in 0u32..1 << sites.len() {
        let dead = |l: usize, i: usize| sites.iter().position(|s| *s == (l, i)).is_some_and(|b| pattern >> b & 1 == 1);
        let chance: f64 = sites.iter().map(|(l, i)| if dead(*l, *i) { rates[*l] } else { 1.0 - rates[*l] }).product();
        let mut h: Vec<f64> = x.iter().enumerate().map(|(i, v)| if dead(0, i) { 0.0 } else { *v }).collect();
        for (l, layer) in (1..).zip(chain.layers()) {
            let (weight, bias) = dense(layer);
            let sums =
                weight.row_slices().zip(bias).map(|(row, b)| row.iter().zip(&h).map(|(w, h)| w * h).sum::<f64>() + b);
            h = sums.enumerate().map(|(i, z)| if dead(l, i) { 0.0 } else { layer.activation.value(z) }).collect();
        }
        for ((s, y), c) in sums.iter_mut().zip(&h).zip(&clean) {
            *s = (s.0 + chance * (y - c), s.1 + chance * (y - c).abs(), s.2 + chance * (y - c).powi(2));
        }
    }
    sums.into_iter().map(|(m, a, s): (f64, f64, f64)| (m, a, (s - m * m).max(0.0).sqrt())).collect()
}

#[test]
fn certified_bounds_hold_over_all_crash_patterns_at_every_rate() {
    for hidden in [RELU, Activation::Sigmoid { gain: 4.0 }, Activation::Tanh, Activation::Relu { slope: 2.0 }] {
        let chain = small(hidden, &[3, 5, 4, 2]);
        let x = [0.7, -1.3, 0.4];
        for p in [0.01, 0.3, 0.9, 1.0] {
            for rates in [[0.0, p, 0.0, 0.0], [0.0, 0.0, p, 0.0], [p, p, p, p], [p, 0.0, p / 2.0, 0.0]] {
                let row = &crash_bounds(&chain, &x, &rates, CrashForm::default()).expect("valid")[0];
                let exact = enumerate(&chain, &x, &rates);
                for (b2, (_, abs, _)) in row.b2.iter().zip(&exact) {
                    assert!(b2.mean >= abs - 1e-12, "{hidden:?} {rates:?}: {} < {abs}", b2.mean);
                }
                let sum: f64 = row.b2.iter().map(|s| s.mean).sum();
                assert!(row.b1[0] >= sum - 1e-12, "{hidden:?} {rates:?}");
                assert!(row.b1[2] >= row.b2.iter().map(|s| s.mean).fold(0.0, f64::max) - 1e-12);
                if rates.iter().filter(|p| **p > 0.0).count() == 1 {
                    let means: Vec<f64> = row.b3.iter().map(|s| s.mean).collect();
                    for (norm, b1) in Norm::ALL.iter().zip(&row.b1) {
                        assert!(*b1 >= norm.of_vector(&means) - 1e-12, "{norm:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_linear_last_stretch_makes_all_spreads_equal_and_the_binomial_one_exact() {
    let chain = small(RELU, &[4, 9, 3]);
    let x = [0.3, 1.1, -0.6, 0.9];
    let p = 0.3;
    let rates = only(&chain, 1, p);
    let row = &crash_bounds(&chain, &x, &rates, CrashForm::default()).expect("valid")[0];
    let exact_form = CrashForm { variance: Variance::Binomial, ..CrashForm::default() };
    let binomial = &crash_bounds(&chain, &x, &rates, exact_form).expect("valid")[0];
    for (k, (mean, _, std)) in enumerate(&chain, &x, &rates).into_iter().enumerate() {
        close(row.b3[k].mean, mean, 1e-12, "mean");
        close(row.b4[k].mean, mean, 1e-12, "mean");
        close(row.b2[k].std, row.b3[k].std, 1e-12, "b2 std");
        close(row.b4[k].std, row.b3[k].std, 1e-12, "b4 std");
        close(std / row.b3[k].std, (1.0 - p).sqrt(), 1e-12, "published over-estimate");
        close(binomial.b3[k].std, std, 1e-12, "binomial");
        assert!(!row.taylor_fails[k]);
    }
}

#[test]
fn means_scale_with_the_rate_and_deviations_with_its_root() {
    let chain = small(Activation::Tanh, &[3, 6, 5, 2]);
    let x = [0.2, -0.8, 1.4];
    let at = |p| crash_bounds(&chain, &x, &only(&chain, 1, p), CrashForm::default()).expect("valid").remove(0);
    let (one, four, none) = (at(0.01), at(0.04), at(0.0));
    for (a, b) in one.b3.iter().chain(&one.b4).zip(four.b3.iter().chain(&four.b4)) {
        close(b.mean, 4.0 * a.mean, 1e-15, "mean");
        close(b.std, 2.0 * a.std, 1e-15, "std");
    }
    for s in none.b2.iter().chain(&none.b3).chain(&none.b4) {
        assert!(s.mean.abs() + s.std.abs() < f64::MIN_POSITIVE);
    }
}

#[test]
fn the_two_norm_is_only_an_estimate_as_the_hadamard_network_shows() {
    let n = 64usize;
    let hadamard: Vec<f64> =
        (0..n * n).map(|i| if ((i / n) & (i % n)).count_ones().is_multiple_of(2) { 0.125 } else { -0.125 }).collect();
    let identity: Vec<f64> = (0..n * n).map(|i| f64::from(u8::from(i / n == i % n))).collect();
    let w2 = Matrix::new(n, n, hadamard).expect("square");
    let bias: Vec<f64> = w2.row_slices().map(|row| -row.iter().sum::<f64>()).collect();
    let dense = |weight, bias, activation| DenseLayer { weight, bias, activation };
    let chain = Chain::dense(vec![
        dense(Matrix::new(n, n, identity).expect("square"), vec![], RELU),
        dense(w2, bias, RELU),
        dense(Matrix::new(1, n, vec![0.125; n]).expect("a row"), vec![], Activation::Identity),
    ])
    .expect("widths agree");
    let row = &crash_bounds(&chain, &vec![1.0; n], &only(&chain, 1, 1e-3), CrashForm::default()).expect("valid")[0];
    close(row.b1[0], 0.064, 1e-12, "1-norm");
    close(row.b1[1], 0.008, 1e-12, "2-norm");
    close(row.b1[2], 0.064, 1e-12, "infinity-norm");
    close(row.b2[0].mean, 0.064, 1e-12, "b2");
    close(row.b4[0].mean, 0.0315, 5e-5, "b4");
    assert!(row.b1[1] < row.b4[0].mean);
    assert!(row.taylor_fails[0], "every ReLU stands at its kink");
    assert_eq!(CrashBounds::b1_guarantee(Norm::Two, CrashForm::default()), Guarantee::Estimate);
    assert_eq!(CrashBounds::b1_guarantee(Norm::One, CrashForm::default()), Guarantee::Certified);
    assert_eq!(CrashBounds::b1_guarantee(Norm::One, AS_PUBLISHED), Guarantee::Estimate);
}

#[test]
fn a_saturated_network_is_flagged() {
    // A neuron of value 1 crashing under a weight of 20 runs down the whole sigmoid, which the tangent at the top cannot see.
    let dense =
        |w: f64, activation| DenseLayer { weight: Matrix::new(1, 1, vec![w]).expect("one"), bias: vec![], activation };
    let chain = Chain::dense(vec![
        dense(1.0, RELU),
        dense(20.0, Activation::Sigmoid { gain: 1.0 }),
        dense(1.0, Activation::Identity),
    ])
    .expect("widths agree");
    let row = &crash_bounds(&chain, &[1.0], &only(&chain, 1, 0.01), CrashForm::default()).expect("valid")[0];
    assert!(row.taylor_fails[0]);
}

#[test]
fn rates_and_inputs_that_do_not_fit_are_refused() {
    let chain = small(RELU, &[2, 3, 1]);
    let form = CrashForm::default();
    assert_eq!(crash_bounds(&chain, &[0.0; 2], &[0.1], form), Err(CrashRatesError::Count { got: 1, want: 3 }.into()));
    let bad = crash_bounds(&chain, &[0.0; 2], &[0.0, 1.5, 0.0], form);
    assert_eq!(bad, Err(CrashRatesError::Rate { layer: 1, rate: 1.5 }.into()));
    assert!(crash_bounds(&chain, &[0.0; 2], &[0.0, f64::NAN, 0.0], form).is_err());
    assert_eq!(crash_bounds(&chain, &[0.0; 3], &[0.0; 3], form), Err(CrashError::Inputs { got: 3, width: 2 }));
}

#[test]
fn bounds_do_not_depend_on_the_number_of_threads() {
    let chain = small(Activation::Tanh, &[5, 8, 6, 3]);
    let inputs: Vec<f64> = (0..50).map(|i| f64::from(i % 13) / 7.0 - 0.8).collect();
    let rates = [0.01, 0.02, 0.0, 0.03];
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| crash_bounds(&chain, &inputs, &rates, CrashForm::default()).expect("valid"))
    };
    assert_eq!(with(1), with(3));
}
