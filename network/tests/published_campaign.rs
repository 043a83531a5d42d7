//! Faults of a published campaign do here what they did there.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod resnet20;

use duress_network::campaign::{Campaign, Examples, Method, Options, Outcome, Run};
use resnet20::{Published, Setting};

/// What `faults` do to the first `images` images.
fn outcomes(setting: &Setting, faults: &[&Published], method: Method, images: usize) -> Vec<Outcome> {
    let x = &setting.pixels[..images * 3072];
    let examples = Examples { x, labels: Some(&setting.labels[..images]) };
    let campaign = Campaign::new(&setting.weights, examples, Options { method, ..Options::default() }).unwrap();
    if images == 10_000 {
        let correct = campaign.correct().unwrap();
        assert!(correct.abs_diff(9148) <= 2, "{correct} of 10000 images are classified as labelled");
    }
    let runs: Vec<Run<'_>> = faults.iter().map(|published| Run::all(&published.fault)).collect();
    campaign.evaluate(&runs).unwrap()
}

#[test]
#[ignore = "takes about half a minute"]
fn published_outcomes_of_faults_on_all_images() {
    let Some(setting) = resnet20::setting() else { return };
    let Some(list) = resnet20::published(&setting.weights) else { return };
    let every =
        |layer: &str, step: usize| list.iter().filter(move |p| p.layer == layer).step_by(step).collect::<Vec<_>>();
    let mut faults = every("linear", 1);
    for (layer, step) in
        [("layer3.2.conv2", 20), ("layer3.2.conv1", 80), ("layer3.0.conv1", 400), ("layer2.1.conv1", 200)]
    {
        faults.extend(every(layer, step));
    }
    // Of an infinite output, of an early layer.
    faults.extend(list.iter().filter(|p| [2, 471].contains(&p.number)));
    let found = outcomes(&setting, &faults, Method::Exact, 10_000);
    for (p, o) in faults.iter().zip(&found) {
        let (found, published) = ([o.masked, o.non_critical, o.critical], [p.masked, p.non_critical, p.critical]);
        println!("{} {} bit {}: {found:?}, published {published:?}", p.number, p.layer, p.bit);
    }
    let off = |limit: u32| faults.iter().zip(&found).filter(|(p, o)| p.critical.abs_diff(o.critical) > limit).count();
    println!("{} faults: {} off by more than 3, {} by more than 10", faults.len(), off(3), off(10));
    assert!(off(3) <= faults.len() / 100 && off(10) == 0);
}

#[test]
fn verdicts_on_a_trained_network_are_those_of_whole_runs() {
    let Some(setting) = resnet20::setting() else { return };
    let Some(list) = resnet20::published(&setting.weights) else { return };
    // Early and late layers, and bits of all kinds; bit 30 on its own.
    let faults: Vec<&Published> =
        list.iter().step_by(997).chain(list.iter().filter(|p| p.bit == 30).step_by(60)).collect();
    let full = outcomes(&setting, &faults, Method::Full, 150);
    let exact = outcomes(&setting, &faults, Method::Exact, 150);
    for ((fault, full), exact) in faults.iter().zip(&full).zip(&exact) {
        let what = |o: &Outcome| (o.images, o.critical, o.non_finite, o.correct, o.correct_top5);
        assert_eq!(what(full), what(exact), "{fault:?}");
    }
    assert!(exact.iter().any(|o| o.critical > 50) && exact.iter().any(|o| o.masked > 50));
}
