//! Faults put where they tell most of the critical rate, in rounds: a pilot of every stratum, then Neyman's allocation by what
//! was seen so far.
//!
//! Within a stratum a later round goes on with the same random order, so that what is drawn there stays a simple random
//! sample; how far it goes depends on the spread that was seen, which is never taken for none.

use duress_network::Weights;

use super::design::{By, Chosen, Design};
use super::space::FaultSpace;
use crate::nn::statistics::{Moments, Share, Survey, neyman};

/// What rounds there are to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// What tells strata apart, as far as there are faults enough.
    pub by: By,
    /// Faults in all.
    pub faults: u64,
    /// Faults of each stratum in the first round.
    pub pilot: u64,
    /// Rounds after the first.
    pub rounds: u64,
    /// [`Survey::unseen`] of the allocation.
    pub unseen: f64,
    /// Seed of the draws.
    pub seed: u64,
}

/// A campaign in rounds.
#[derive(Clone, Debug)]
pub struct Rounds {
    plan: Plan,
    design: Design,
    drawn: Vec<u64>,
    /// Rounds that were drawn.
    done: u64,
}

impl Rounds {
    /// Before the first round.
    #[must_use]
    pub fn new(space: &FaultSpace, weights: &Weights, plan: Plan) -> Self {
        let design = Design::fitting(space, weights, plan.by, plan.faults, plan.pilot);
        Self { drawn: vec![0; design.strata().len()], design, plan, done: 0 }
    }

    /// The strata.
    #[must_use]
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// The faults of the next round; none once all rounds are through. `seen` is the stratum and the critical rate of every
    /// fault so far.
    pub fn next(&mut self, seen: impl Iterator<Item = (usize, f64)>) -> Vec<Chosen> {
        let populations = self.design.populations();
        let more = if self.done == 0 {
            populations.iter().map(|all| self.plan.pilot.min(all.unwrap_or(u64::MAX))).collect()
        } else if self.done > self.plan.rounds {
            return Vec::new();
        } else {
            let left = self.plan.faults.saturating_sub(self.drawn.iter().sum());
            neyman(&self.shares(&populations, seen), left / (self.plan.rounds + 1 - self.done))
        };
        self.done += 1;
        let mut chosen = Vec::new();
        for (stratum, more) in more.into_iter().enumerate() {
            let before = self.drawn[stratum];
            chosen.extend(self.design.draw(stratum, before + more, self.plan.seed).split_off(before as usize));
            self.drawn[stratum] += more;
        }
        chosen
    }

    /// The strata as an allocation sees them.
    fn shares(&self, populations: &[Option<u64>], seen: impl Iterator<Item = (usize, f64)>) -> Vec<Share> {
        let survey = Survey { populations: populations.to_vec(), trials: None, unseen: self.plan.unseen };
        let mut spread = vec![Moments::default(); populations.len()];
        for (stratum, rate) in seen {
            spread[stratum].push(rate);
        }
        let share = |((all, drawn), seen): ((&Option<u64>, &u64), &Moments)| Share {
            population: all.unwrap_or(u64::MAX),
            drawn: *drawn,
            // As if all images had been seen: what a few hide is the interval's business.
            deviation: survey.deviation(*drawn, seen.sample_std().unwrap_or(0.0).powi(2), f64::INFINITY),
        };
        populations.iter().zip(&self.drawn).zip(&spread).map(share).collect()
    }
}

#[cfg(test)]
mod tests {
    use duress_network::campaign::{Campaign, Examples, Fault, Options, Run};

    use super::*;
    use crate::nn::fault::design::{Fineness, Sampling, choose, images_of};
    use crate::nn::fault::protect::Protected;
    use crate::nn::fault::space::Targets;
    use crate::nn::mlp::Mlp;
    use crate::nn::statistics::{Cluster, Drawn, two_stage_rate};
    use crate::nn::{Activation, Init, Scheme, Stream};

    const IMAGES: usize = 60;

    /// The critical verdicts of every fault of a network of 36 weights, for every image.
    fn census() -> (Weights, FaultSpace, Vec<Vec<bool>>) {
        let network = Mlp::new(4, &[6], 2, Activation::relu(), true).graph().expect("a network");
        let weights = network.initialize(&Scheme::new(Init::HeNormal, Init::Normal { std: 0.2 }), 6);
        let mut x = vec![0.0; 4 * IMAGES];
        Stream::new(3, "x", &[]).fill_normal(&mut x, 0.0, 1.0);
        let space = FaultSpace::new(&network, &Targets::default(), 1).expect("weights");
        let (_, chosen) = choose(&space, &weights, Sampling::Exhaustive, 1);
        let plain = Protected::plain(&weights, 1);
        let faults: Vec<Fault> = chosen
            .iter()
            .map(|one| space.site(one.number).and_then(|site| plain.fault(&site)).expect("within"))
            .collect();
        let campaign =
            Campaign::new(&weights, Examples { x: &x, labels: None }, Options::default()).expect("examples fit");
        let singles: Vec<[u32; 1]> = (0..IMAGES as u32).map(|image| [image]).collect();
        let verdicts = |fault: &Fault| -> Vec<bool> {
            let runs: Vec<Run<'_>> = singles.iter().map(|image| Run { fault, images: Some(image) }).collect();
            campaign.evaluate(&runs).expect("sound").iter().map(|outcome| outcome.critical == 1).collect()
        };
        let all = faults.iter().map(verdicts).collect();
        (weights, space, all)
    }

    fn plan(faults: u64, seed: u64) -> Plan {
        let by = By { layer: true, bit: Fineness::Each, sign: true };
        Plan { by, faults, pilot: 8, rounds: 4, unseen: 0.03, seed }
    }

    /// Runs a campaign on recorded verdicts: `images` redrawn per fault, or all of them.
    fn estimate(
        (weights, space, verdicts): &(Weights, FaultSpace, Vec<Vec<bool>>),
        plan: Plan,
        images: usize,
    ) -> crate::nn::statistics::ClusteredRate {
        let mut rounds = Rounds::new(space, weights, plan);
        let mut drawn: Vec<Drawn> = Vec::new();
        loop {
            let seen = |d: &Drawn| (d.stratum, d.cluster.successes as f64 / d.cluster.trials as f64);
            let chosen = rounds.next(drawn.iter().map(seen).collect::<Vec<_>>().into_iter());
            if chosen.is_empty() {
                break;
            }
            for one in chosen {
                let of = &verdicts[one.number as usize];
                let seen: Vec<bool> = match images_of(one.number, images, IMAGES, plan.seed) {
                    Some(images) => images.into_iter().map(|image| of[image as usize]).collect(),
                    None => of.clone(),
                };
                let successes = seen.iter().filter(|critical| **critical).count() as u64;
                drawn.push(Drawn { stratum: one.stratum, cluster: Cluster { successes, trials: seen.len() as u64 } });
            }
        }
        let survey =
            Survey { populations: rounds.design().populations(), trials: Some(IMAGES as u64), unseen: plan.unseen };
        survey.rate(&drawn).expect("faults")
    }

    #[test]
    fn rounds_add_up_and_no_fault_is_drawn_twice() {
        let census = census();
        let mut rounds = Rounds::new(&census.1, &census.0, plan(300, 9));
        let mut all = std::collections::BTreeSet::new();
        let (mut count, mut sizes) = (0, Vec::new());
        loop {
            let chosen = rounds.next([(0, 0.5), (0, 0.0)].into_iter());
            if chosen.is_empty() {
                break;
            }
            count += chosen.len();
            sizes.push(chosen.len());
            all.extend(chosen.into_iter().map(|one| one.number));
        }
        assert_eq!((count, all.len(), sizes.len()), (300, 300, 5));
    }

    /// Over a thousand repetitions the interval covers the exhaustive campaign's rate in 95 +- 2 % of them.
    #[test]
    fn stratified_intervals_cover_the_rate_of_the_exhaustive_campaign() {
        let census = census();
        let clusters = census.2.iter().map(|of| of.iter().filter(|critical| **critical).count() as u64);
        let truth = clusters.sum::<u64>() as f64 / (census.2.len() * IMAGES) as f64;
        for images in [IMAGES, 20] {
            let mut covered = 0;
            let (mut variance, mut plain) = (0.0, 0.0);
            for seed in 0..1000 {
                let rate = estimate(&census, plan(400, seed), images);
                let interval = rate.interval(0.95).expect("an interval");
                covered += u32::from(interval.lo <= truth && truth <= interval.hi);
                variance += (rate.rate - truth).powi(2) / 1000.0;
                let (_, chosen) = choose(&census.1, &census.0, Sampling::Random(400), seed);
                let cluster = |one: &Chosen| Cluster {
                    successes: census.2[one.number as usize].iter().filter(|critical| **critical).count() as u64,
                    trials: IMAGES as u64,
                };
                let clusters: Vec<Cluster> = chosen.iter().map(cluster).collect();
                let simple =
                    two_stage_rate(&clusters, Some(census.2.len() as u64), Some(IMAGES as u64)).expect("faults");
                plain += (simple.rate - truth).powi(2) / 1000.0;
            }
            println!("{images} images: covered {covered}, variance ratio {}, truth {truth}", plain / variance);
            assert!((930..=970).contains(&covered), "{images} images: {covered} of 1000");
            assert!(plain > 2.0 * variance, "{images} images: {plain} {variance}");
        }
    }
}
