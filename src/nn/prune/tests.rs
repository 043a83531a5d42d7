use std::collections::BTreeMap;

use duress_network::arch::catalogue;
use duress_network::{Init, Scheme, Stream};

use super::*;
use crate::nn::Examples;
use crate::nn::activation::Activation;
use crate::nn::mlp::Mlp;
use crate::nn::train::{Loss, score};

fn lottery_rates() -> Amount {
    Amount::PerLayer(BTreeMap::from([("hidden.*".to_owned(), 0.2), ("output".to_owned(), 0.1)]))
}

fn with(criterion: Criterion<'_>, amount: Amount) -> Recipe<'_> {
    Recipe { criterion, ..Recipe::magnitude(amount) }
}

fn published(amount: Amount) -> Recipe<'static> {
    Recipe { cutoff: Cutoff::Published, ..Recipe::magnitude(amount) }
}

fn small() -> Weights {
    let net = Mlp::new(4, &[5], 3, Activation::relu(), false).graph().unwrap();
    net.initialize(&Scheme::new(Init::HeNormal, Init::Zeros), 4)
}

#[test]
fn the_published_rule_gives_the_published_schedule_for_all_twenty_rounds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference/tables/sparsity_schedule.csv");
    let Ok(table) = std::fs::read_to_string(path) else {
        println!("skipped: {path} is absent");
        return;
    };
    let net = Mlp::new(784, &[300, 100], 10, Activation::relu(), false).graph().unwrap();
    let mut mask = Mask::full(&net);
    for (round, line) in table.lines().skip(1).enumerate() {
        if round > 0 {
            // Values without ties, drawn anew each round as if trained.
            let mut weights = Weights::zeros(&net);
            for (t, values) in weights.values_mut().enumerate() {
                let order = Stream::new(round as u64, "order", &[t as u64]).permutation(values.len());
                for (value, rank) in values.iter_mut().zip(order) {
                    *value = (rank + 1) as f32;
                }
            }
            let pruned = prune(&weights, Some(&mask), &published(lottery_rates())).unwrap();
            mask = pruned.0;
        }
        let wanted: Vec<usize> = line.split(',').skip(1).take(4).map(|cell| cell.parse().unwrap()).collect();
        let kept: Vec<usize> = mask.tensors.iter().map(MaskTensor::kept).collect();
        assert_eq!((&kept[..], mask.kept()), (&wanted[..3], wanted[3]), "round {round}");
    }
}

#[test]
fn the_exact_rule_removes_exactly_the_smallest() {
    let weights = small();
    let (mask, counts) = prune(&weights, None, &Recipe::magnitude(Amount::EveryLayer(0.25))).unwrap();
    assert_eq!(counts[0].removed_now, 5);
    assert_eq!((counts[1].weights, counts[1].kept), (15, 11));
    for (weight, tensor) in weights.weight_tensors().zip(&mask.tensors) {
        let magnitude = |kept: bool| {
            let pairs = weight.values.iter().zip(&tensor.keep);
            pairs.filter(move |(_, keep)| **keep == kept).map(|(w, _)| w.abs())
        };
        assert!(magnitude(false).fold(0.0, f32::max) < magnitude(true).fold(f32::MAX, f32::min));
    }
}

#[test]
fn global_pruning_ranks_all_layers_together() {
    let mut weights = small();
    weights.get_mut("output.weight").unwrap().iter_mut().for_each(|v| *v *= 1e-3);
    let (_, counts) = prune(&weights, None, &Recipe::magnitude(Amount::Global(15.0 / 35.0))).unwrap();
    assert_eq!((counts[0].kept, counts[1].kept), (20, 0));
}

#[test]
fn equal_magnitudes_are_removed_in_order_of_position() {
    let mut weights = small();
    weights.get_mut("hidden.1.weight").unwrap().fill(-1.0);
    let amount = Amount::PerLayer(BTreeMap::from([("hidden.1".to_owned(), 0.25)]));
    let (mask, _) = prune(&weights, None, &Recipe::magnitude(amount)).unwrap();
    assert!(mask.tensors[0].keep.iter().enumerate().all(|(i, keep)| *keep == (i >= 5)));
    assert_eq!(mask.tensors[1].kept(), 15);
}

#[test]
fn sparsity_is_of_all_weights_whatever_is_gone_already() {
    let weights = small();
    let (first, _) = prune(&weights, None, &Recipe::magnitude(Amount::SparsityEveryLayer(0.4))).unwrap();
    let random = with(Criterion::Random { seed: 1 }, Amount::SparsityEveryLayer(0.6));
    let (second, counts) = prune(&weights, Some(&first), &random).unwrap();
    assert_eq!((counts[0].kept, counts[1].kept), (8, 6));
    let pairs = first.tensors.iter().zip(&second.tensors);
    assert!(pairs.flat_map(|(a, b)| a.keep.iter().zip(&b.keep)).all(|(before, after)| *before || !*after));
    let global = Amount::SparsityGlobal(0.6);
    let (mask, _) = prune(&weights, Some(&first), &Recipe::magnitude(global)).unwrap();
    assert_eq!(mask.kept(), 14);
}

#[test]
fn random_pruning_depends_on_its_seed_alone() {
    let drawn = |seed, weights: &Weights| {
        prune(weights, None, &with(Criterion::Random { seed }, Amount::EveryLayer(0.5))).unwrap().0
    };
    assert_eq!(drawn(1, &small()), drawn(1, &Weights::zeros(small().network())));
    assert_ne!(drawn(1, &small()), drawn(2, &small()));
}

#[test]
fn patterns_match_with_stars_and_the_longest_wins() {
    assert!(matches("hidden.*", "hidden.12") && matches("*", "output") && matches("*.1", "hidden.1"));
    assert!(!matches("hidden", "hidden.1") && !matches("hidden.*.x", "hidden.1"));
    let rates = BTreeMap::from([("*".to_owned(), 0.5), ("output".to_owned(), 0.0)]);
    let (_, counts) = prune(&small(), None, &Recipe::magnitude(Amount::PerLayer(rates))).unwrap();
    assert_eq!((counts[0].removed_now, counts[1].removed_now), (10, 0));
}

#[test]
fn mistakes_are_explained() {
    let error = |amount: Amount| prune(&small(), None, &Recipe::magnitude(amount)).unwrap_err().to_string();
    assert!(error(Amount::EveryLayer(1.5)).contains("share to remove is 1.5"));
    let nowhere = Amount::PerLayer(BTreeMap::from([("conv.*".to_owned(), 0.1)]));
    assert!(error(nowhere).contains("`conv.*` matches no layer; the layers are `hidden.1`, `output`"));
    let mut broken = small();
    broken.value_mut(1)[0] = f32::NAN;
    let outcome = prune(&broken, None, &Recipe::magnitude(Amount::Global(0.1)));
    assert_eq!(outcome.unwrap_err(), PruneError::NotANumber("output.weight".into()));
}

/// An architecture of the catalogue with weights drawn as its authors do.
fn drawn(name: &str, input: &[usize]) -> Weights {
    let architecture = catalogue().iter().find(|entry| entry.name == name).unwrap();
    architecture.network(input, 4).unwrap().initialize(&Scheme::new(Init::HeNormal, Init::Zeros), 2)
}

fn rows(features: usize, count: usize) -> Examples {
    let mut x = vec![0.0; features * count];
    Stream::new(3, "rows", &[]).fill_normal(&mut x, 0.0, 1.0);
    let labels = (0..count).map(|row| (row % 3) as u32).collect();
    Examples { features, classes: 3, x, labels, targets: None, ..Examples::default() }
}

/// A perceptron with hyperbolic tangents and no biases in double precision: gradients of the mean cross-entropy of its
/// logits over `temperature`, written from the chain rule.
struct Naive {
    layers: Vec<(usize, usize, Vec<f64>)>,
}

impl Naive {
    fn of(weights: &Weights) -> Self {
        let layers = weights
            .weight_tensors()
            .map(|t| (t.shape[0], t.shape[1], t.values.iter().map(|v| f64::from(*v)).collect()));
        Self { layers: layers.collect() }
    }

    fn gradient(&self, data: &Examples, temperature: f64) -> Vec<Vec<f64>> {
        let mut gradients: Vec<Vec<f64>> = self.layers.iter().map(|layer| vec![0.0; layer.2.len()]).collect();
        let last = self.layers.len() - 1;
        for (x, &label) in data.x.chunks(data.features).zip(&data.labels) {
            let mut values = vec![x.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>()];
            for (l, (outputs, inputs, w)) in self.layers.iter().enumerate() {
                let z = (0..*outputs).map(|o| (0..*inputs).map(|i| w[o * inputs + i] * values[l][i]).sum::<f64>());
                values.push(if l == last { z.collect() } else { z.map(f64::tanh).collect() });
            }
            let e: Vec<f64> = values[last + 1].iter().map(|z| (z / temperature).exp()).collect();
            let sum: f64 = e.iter().sum();
            let count = data.labels.len() as f64;
            let hit = |o: usize| f64::from(u8::from(o == label as usize));
            let mut d: Vec<f64> = (0..e.len()).map(|o| (e[o] / sum - hit(o)) / temperature / count).collect();
            for (l, (outputs, inputs, w)) in self.layers.iter().enumerate().rev() {
                for o in 0..*outputs {
                    (0..*inputs).for_each(|i| gradients[l][o * inputs + i] += d[o] * values[l][i]);
                }
                let back = |i: usize| (0..*outputs).map(|o| w[o * inputs + i] * d[o]).sum::<f64>();
                d = (0..*inputs).map(|i| back(i) * (1.0 - values[l][i] * values[l][i])).collect();
            }
        }
        gradients
    }

    fn moved(&self, along: &[Vec<f64>], step: f64) -> Self {
        let layers =
            self.layers.iter().zip(along).map(|((outputs, inputs, w), d)| {
                (*outputs, *inputs, w.iter().zip(d).map(|(w, d)| w + step * d).collect())
            });
        Self { layers: layers.collect() }
    }
}

fn tanh_net() -> Weights {
    let net = Mlp::new(5, &[7, 6], 3, Activation::Tanh, false).graph().unwrap();
    net.initialize(&Scheme::new(Init::GlorotUniform, Init::Zeros), 9)
}

/// Asserts that scores are these up to a share of the largest.
fn assert_scores(found: &[Vec<f64>], wanted: &[Vec<f64>], tolerance: f64) {
    let largest = wanted.iter().flatten().fold(0.0_f64, |most, score| most.max(score.abs()));
    assert!(largest > 0.0);
    for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
        assert!((found - wanted).abs() <= tolerance * largest, "{found} {wanted} of {largest}");
    }
}

#[test]
fn snip_is_the_absolute_product_of_weight_and_gradient() {
    let (weights, data) = (tanh_net(), rows(5, 12));
    let naive = Naive::of(&weights);
    let products = naive.layers.iter().zip(naive.gradient(&data, 1.0));
    let wanted: Vec<Vec<f64>> =
        products.map(|((_, _, w), g)| w.iter().zip(g).map(|(w, g)| (w * g).abs()).collect()).collect();
    let found = Criterion::Snip(Sample { rows: &data, seed: 0 }).scores(&weights, &Mask::full(weights.network()));
    assert_scores(&found.unwrap(), &wanted, 1e-5);
}

#[test]
fn grasp_is_the_product_of_weight_and_hessian_times_gradient() {
    let (weights, data) = (tanh_net(), rows(5, 12));
    let naive = Naive::of(&weights);
    let along = naive.gradient(&data, 200.0);
    // In double precision a difference over a step this short has six digits of the derivative and more.
    let step = 1e-3 / along.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
    let [ahead, behind] = [step, -step].map(|step| naive.moved(&along, step).gradient(&data, 200.0));
    let wanted: Vec<Vec<f64>> = (0..3)
        .map(|l| {
            let change = ahead[l].iter().zip(&behind[l]).map(|(a, b)| (a - b) / (2.0 * step));
            naive.layers[l].2.iter().zip(change).map(|(w, h)| w * h).collect()
        })
        .collect();
    let found = Criterion::Grasp(Sample { rows: &data, seed: 0 }).scores(&weights, &Mask::full(weights.network()));
    assert_scores(&found.unwrap(), &wanted, 2e-3);
}

#[test]
fn gradients_of_a_convolutional_network_follow_finite_differences_of_its_loss() {
    let weights = drawn("lenet-5", &[1, 28, 28]);
    let data = rows(784, 6);
    let scores = Criterion::Snip(Sample { rows: &data, seed: 0 }).scores(&weights, &Mask::full(weights.network()));
    let scores = scores.unwrap();
    for (layer, tensor) in weights.weight_tensors().enumerate() {
        let top = (0..tensor.values.len()).max_by(|a, b| scores[layer][*a].total_cmp(&scores[layer][*b])).unwrap();
        let at = |share: f32| {
            let mut moved = weights.clone();
            moved.get_mut(&tensor.name).unwrap()[top] *= 1.0 + share;
            score(&moved, &data, Loss::CrossEntropy).unwrap().0
        };
        let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
        assert!((slope.abs() - scores[layer][top]).abs() < 0.02 * slope.abs(), "{} {slope}", tensor.name);
    }
}

#[test]
fn the_flow_through_a_perceptron_is_the_sum_over_its_paths() {
    let weights = small();
    let [first, second] = [0, 1].map(|l| weights.weight_tensors().nth(l).unwrap().values.clone());
    let mut wanted = vec![vec![0.0; 20], vec![0.0; 15]];
    for i in 0..4 {
        for h in 0..5 {
            for o in 0..3 {
                let path = f64::from(first[h * 4 + i].abs()) * f64::from(second[o * 5 + h].abs());
                wanted[0][h * 4 + i] += path;
                wanted[1][o * 5 + h] += path;
            }
        }
    }
    let found = Criterion::SynFlow.scores(&weights, &Mask::full(weights.network())).unwrap();
    assert_scores(&found, &wanted, 1e-6);
}

/// Theorem 1 of Tanaka et al. 2020: what flows into a cut of the network flows out of it.
#[test]
fn synaptic_flow_is_conserved_from_layer_to_layer() {
    let sums = |weights: &Weights| -> Vec<f64> {
        let scores = Criterion::SynFlow.scores(weights, &Mask::full(weights.network())).unwrap();
        scores.iter().map(|layer| layer.iter().sum()).collect()
    };
    let assert_near = |sums: &[f64]| {
        assert!(sums[0] > 0.0 && sums.iter().all(|sum| (sum / sums[0] - 1.0).abs() < 1e-4), "{sums:?}");
    };
    assert_near(&sums(&drawn("lenet-5", &[1, 28, 28])));
    let mut biased = drawn("lenet-5", &[1, 28, 28]);
    biased.get_mut("conv1.bias").unwrap().fill(3.0);
    assert_near(&sums(&biased));
    // All paths of a residual network lead through its first and its last layer.
    for name in ["resnet-20", "resnet-56"] {
        let residual = sums(&drawn(name, &[3, 8, 8]));
        assert_near(&[residual[0], residual[residual.len() - 1]]);
    }
}

#[test]
fn networks_that_are_not_linear_have_no_synaptic_flow() {
    let weights = drawn("lstm", &[4, 4]);
    let outcome = prune(&weights, None, &with(Criterion::SynFlow, Amount::Global(0.5)));
    assert!(matches!(outcome, Err(PruneError::NotLinear { op: "lstm", .. })), "{outcome:?}");
}

#[test]
fn synaptic_flow_in_rounds_keeps_a_way_through_where_all_at_once_does_not() {
    let net = Mlp::new(20, &[40, 40], 4, Activation::relu(), false).graph().unwrap();
    let weights = net.initialize(&Scheme::new(Init::HeNormal, Init::Zeros), 1);
    let collapsed = |rounds: u64| {
        let course = Course { rounds, ..Course::default() };
        let amount = Amount::SparsityGlobal(1.0 - 12.0 / weights.network().weight_count() as f64);
        let recipe = Recipe { course, ..with(Criterion::SynFlow, amount) };
        let (mask, counts) = prune(&weights, None, &recipe).unwrap();
        assert_eq!(mask.kept(), 12);
        counts.iter().any(LayerCount::is_collapsed)
    };
    assert!(collapsed(1) && !collapsed(100));
}

#[test]
fn every_criterion_hits_its_density_exactly_on_any_network_and_never_brings_a_weight_back() {
    let data = rows(192, 6);
    let sample = Sample { rows: &data, seed: 4 };
    let weights = drawn("resnet-20", &[3, 8, 8]);
    let total = weights.network().weight_count();
    let (first, _) = prune(&weights, None, &Recipe::magnitude(Amount::Global(0.3))).unwrap();
    for criterion in
        [Criterion::Random { seed: 1 }, Criterion::Snip(sample), Criterion::Grasp(sample), Criterion::SynFlow]
    {
        for shape in [Shape::Exponential, Shape::Linear, Shape::Cubic] {
            let course = Course { shape, rounds: 2, only: None };
            let recipe = Recipe { course, ..with(criterion, Amount::SparsityGlobal(0.9)) };
            let (mask, counts) = prune(&weights, Some(&first), &recipe).unwrap();
            assert_eq!(mask.kept(), total - (0.9 * total as f64).round_ties_even() as usize, "{criterion:?}");
            assert_eq!(counts.iter().map(|c| c.removed_now).sum::<usize>(), first.kept() - mask.kept());
            assert!(is_within(&mask, &first));
        }
    }
}

/// Whether `outer` keeps all that `inner` keeps.
fn is_within(inner: &Mask, outer: &Mask) -> bool {
    let pairs = inner.tensors.iter().zip(&outer.tensors);
    pairs.flat_map(|(a, b)| a.keep.iter().zip(&b.keep)).all(|(inner, outer)| *outer || !*inner)
}

#[test]
fn one_round_of_a_schedule_leaves_what_the_schedule_says_for_it() {
    let weights = drawn("lenet-5", &[1, 28, 28]);
    let total = weights.network().weight_count();
    let mut mask = Mask::full(weights.network());
    for round in 0..=4 {
        let course = Course { shape: Shape::Cubic, rounds: 4, only: Some(round) };
        let recipe = Recipe { course, ..Recipe::magnitude(Amount::SparsityGlobal(0.8)) };
        let next = prune(&weights, Some(&mask), &recipe).unwrap().0;
        assert!(is_within(&next, &mask));
        let t = 1.0 - round as f64 / 4.0;
        let sparsity = 0.8 - 0.8 * t * t * t;
        assert!((next.density() - (1.0 - sparsity)).abs() <= 1.0 / total as f64, "{round}");
        mask = next;
    }
}

#[test]
fn rows_go_whole_the_smallest_norm_first_and_the_classes_stay() {
    let weights = drawn("lenet-5", &[1, 28, 28]);
    for norm in [Norm::L1, Norm::L2] {
        let recipe = Recipe { structure: Structure::Rows(norm), ..Recipe::magnitude(Amount::EveryLayer(0.5)) };
        let (mask, counts) = prune(&weights, None, &recipe).unwrap();
        for (layer, (tensor, mask)) in weights.weight_tensors().zip(&mask.tensors).enumerate() {
            let width = tensor.values.len() / tensor.shape[0];
            let rows = tensor.values.chunks(width).zip(mask.keep.chunks(width));
            let size = |row: &[f32]| match norm {
                Norm::L1 => row.iter().map(|v| f64::from(v.abs())).sum::<f64>(),
                Norm::L2 => row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>(),
            };
            let (mut gone, mut least) = (Vec::new(), f64::MAX);
            for (row, keep) in rows {
                assert!(keep.iter().all(|k| *k == keep[0]), "a row goes whole");
                if keep[0] { least = least.min(size(row)) } else { gone.push(size(row)) }
            }
            let is_last = layer + 1 == counts.len();
            assert_eq!(gone.len(), if is_last { 0 } else { tensor.shape[0] / 2 }, "{}", tensor.name);
            assert!(gone.iter().all(|row| *row <= least));
        }
    }
}

#[test]
fn protected_layers_keep_all_and_are_not_counted() {
    let weights = drawn("lenet-5", &[1, 28, 28]);
    let recipe = Recipe { protect: vec!["conv*".to_owned()], ..Recipe::magnitude(Amount::SparsityGlobal(0.5)) };
    let (mask, counts) = prune(&weights, None, &recipe).unwrap();
    let free: usize = counts.iter().filter(|c| !c.layer.starts_with("conv")).map(|c| c.weights).sum();
    assert_eq!(mask.total() - mask.kept(), free / 2);
    assert!(counts.iter().filter(|c| c.layer.starts_with("conv")).all(|c| c.removed_now == 0 && c.weights > 0));
    let nowhere = Recipe { protect: vec!["head".to_owned()], ..Recipe::magnitude(Amount::Global(0.5)) };
    assert!(matches!(prune(&weights, None, &nowhere), Err(PruneError::NoSuchLayer { .. })));
}

#[test]
fn random_pruning_can_keep_in_each_layer_what_another_mask_keeps_there() {
    let weights = drawn("lenet-5", &[1, 28, 28]);
    let (reference, _) = prune(&weights, None, &with(Criterion::SynFlow, Amount::SparsityGlobal(0.8))).unwrap();
    let random = with(Criterion::Random { seed: 3 }, Amount::Like(reference.clone()));
    let (mask, _) = prune(&weights, None, &random).unwrap();
    let kept = |mask: &Mask| mask.tensors.iter().map(MaskTensor::kept).collect::<Vec<_>>();
    assert_eq!(kept(&mask), kept(&reference));
    assert_ne!(mask, reference);
}

#[test]
fn the_controls_shuffle_within_layers_and_drop_the_highest() {
    let weights = drawn("lenet-5", &[1, 28, 28]);
    let (before, _) = prune(&weights, None, &Recipe::magnitude(Amount::Global(0.2))).unwrap();
    let recipe = Recipe::magnitude(Amount::Global(0.5));
    let (plain, _) = prune(&weights, Some(&before), &recipe).unwrap();
    let shuffled = |seed| prune(&weights, Some(&before), &Recipe { shuffle: Some(seed), ..recipe.clone() }).unwrap().0;
    let kept = |mask: &Mask| mask.tensors.iter().map(MaskTensor::kept).collect::<Vec<_>>();
    assert_eq!(kept(&shuffled(1)), kept(&plain));
    assert!(is_within(&shuffled(1), &before) && shuffled(1) != plain && shuffled(1) != shuffled(2));
    let (inverted, _) = prune(&weights, Some(&before), &Recipe { invert: true, ..recipe }).unwrap();
    let magnitudes = |kept: bool| {
        let tensors = weights.weight_tensors().zip(before.tensors.iter().zip(&inverted.tensors));
        let each = tensors.flat_map(|(t, (was, is))| t.values.iter().zip(was.keep.iter().zip(&is.keep)));
        each.filter(move |(_, (was, is))| **was && **is == kept).map(|(w, _)| w.abs()).collect::<Vec<f32>>()
    };
    let (kept, gone) = (magnitudes(true), magnitudes(false));
    assert!(kept.iter().copied().fold(0.0, f32::max) <= gone.iter().copied().fold(f32::MAX, f32::min));
    assert!(!gone.is_empty() && !kept.is_empty());
}

#[test]
fn the_published_rule_takes_one_more_even_of_a_share_that_rounds_to_none_but_nothing_of_no_share() {
    let weights = small();
    let gone = |share: f64| prune(&weights, None, &published(Amount::EveryLayer(share))).unwrap().1;
    assert_eq!(gone(0.01).iter().map(|c| c.removed_now).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(gone(0.0).iter().map(|c| c.removed_now).collect::<Vec<_>>(), [0, 0]);
    assert_eq!(gone(1.0).iter().map(|c| c.kept).collect::<Vec<_>>(), [0, 0]);
}

#[test]
fn multiply_adds_are_counted_by_place_and_collapse_is_told() {
    let weights = drawn("lenet-5", &[1, 28, 28]);
    let amount = Amount::PerLayer(BTreeMap::from([("conv1".to_owned(), 0.5), ("fc2".to_owned(), 1.0)]));
    let (_, counts) = prune(&weights, None, &Recipe::magnitude(amount)).unwrap();
    let by_name = |name: &str| counts.iter().find(|count| count.layer == name).unwrap();
    // LeNet-5: six kernels of 5 x 5 over 28 x 28 places; 120 x 84 weights read once.
    assert_eq!((by_name("conv1").macs, by_name("conv1").macs_kept), (6 * 25 * 784, 3 * 25 * 784));
    assert_eq!((by_name("fc2").macs, by_name("fc2").macs_kept), (120 * 84, 0));
    assert!(by_name("fc2").is_collapsed() && !by_name("conv1").is_collapsed());
    let whole = whole(weights.network(), &counts);
    assert_eq!(whole.macs, weights.network().macs());
    assert_eq!(whole.macs - whole.macs_kept, 3 * 25 * 784 + 120 * 84);
    let sequence = drawn("lstm", &[4, 4]);
    let counts = prune(&sequence, None, &Recipe::magnitude(Amount::Global(0.0))).unwrap().1;
    assert_eq!(counts.iter().map(|count| count.macs).sum::<u64>(), sequence.network().macs());
}

#[test]
fn rows_for_gradients_are_as_many_of_each_class_as_asked() {
    let labels: Vec<u32> = (0..50).map(|row| row % 3).collect();
    let rows = rows_per_class(&labels, 4, 5, 1);
    let count = |class| rows.iter().filter(|row| labels[**row] == class).count();
    assert_eq!([count(0), count(1), count(2), rows.len()], [5, 5, 5, 15]);
    assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
    assert_ne!(rows, rows_per_class(&labels, 4, 5, 2));
    assert_eq!(rows_per_class(&labels, 3, 99, 1).len(), 50);
}
