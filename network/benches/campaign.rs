//! Seconds per fault of the published campaign on ResNet-20: whole runs, runs of what differs, screened runs.
//!
//!   cargo bench -p duress-network --bench campaign -- [--device DEVICE] METHOD FAULTS IMAGES [AUDIT SAFETY LARGEST]
//!
//! `METHOD` is `full`, `exact` or `screened`; `FAULTS` faults are taken at equal distances from the published list.
//! `benches/campaign.sh` sets `PyTorch` beside it. The first line after the time sums up the outcomes, so that both sides can be
//! compared.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark reads the clock and prints"
)]

#[path = "processor/mod.rs"]
mod processor;
#[path = "../tests/resnet20/mod.rs"]
mod resnet20;

use std::time::Instant;

use duress_network::campaign::{Examples, Method, Options, Outcome, Run, Screening};
use duress_network::chosen::ChosenCampaign;

/// Its settings from the words after the number of images.
fn screening(words: &[String]) -> Screening {
    let usual = Screening::default();
    let number = |at: usize, usual: f64| words.get(at).map_or(usual, |word| word.parse().unwrap());
    Screening {
        audit: number(3, usual.audit),
        safety: number(4, usual.safety),
        largest: number(5, usual.largest),
        ..usual
    }
}

fn main() {
    let (processor, words) = processor::of_arguments();
    let word = |at: usize, usual: &str| words.get(at).map_or_else(|| usual.to_owned(), Clone::clone);
    let (method, count, images) = (word(0, "exact"), word(1, "60").parse().unwrap(), word(2, "2000").parse().unwrap());
    let Some(setting) = resnet20::setting() else { return };
    let Some(list) = resnet20::published(&setting.weights) else { return };
    let step = (list.len() / std::cmp::min(count, list.len())).max(1);
    let faults: Vec<_> = list.iter().step_by(step).take(count).collect();
    let method = match method.as_str() {
        "full" => Method::Full,
        "exact" => Method::Exact,
        "screened" => Method::Screened(screening(&words)),
        other => panic!("no method {other}"),
    };
    let labels = Some(&setting.labels[..images]);
    let examples = Examples { x: &setting.pixels[..images * 3072], labels };
    let options = Options { method, ..Options::default() };
    let campaign = ChosenCampaign::on(&processor, &setting.weights, examples, options).unwrap();
    let runs: Vec<Run<'_>> = faults.iter().map(|published| Run::all(&published.fault)).collect();
    let start = Instant::now();
    let outcomes = campaign.evaluate(&runs).unwrap();
    let seconds = start.elapsed().as_secs_f64() / runs.len() as f64;
    println!("ours\t{}\t{seconds:.4} s per fault\t{} faults\t{images} images", word(0, "exact"), runs.len());
    let sum = |f: fn(&Outcome) -> u32| outcomes.iter().map(f).sum::<u32>();
    let (out, audited, wrong) = (sum(|o| o.screened_out), sum(|o| o.audited), sum(|o| o.audit_wrong));
    println!("screened out {out} audited {audited} of which critical {wrong}");
    println!("masked {} non-critical {} critical {}", sum(|o| o.masked), sum(|o| o.non_critical), sum(|o| o.critical));
    if images == 10_000 {
        let of = |f: fn(&resnet20::Published) -> u32| faults.iter().map(|p| f(p)).sum::<u32>();
        let (masked, rest, critical) = (of(|p| p.masked), of(|p| p.non_critical), of(|p| p.critical));
        println!("published: masked {masked} non-critical {rest} critical {critical}");
        for (p, found) in faults.iter().zip(&outcomes).filter(|(p, o)| p.critical.abs_diff(o.critical) > 3) {
            println!("{} {} bit {}: {} instead of {}", p.number, p.layer, p.bit, found.critical, p.critical);
        }
    }
}
