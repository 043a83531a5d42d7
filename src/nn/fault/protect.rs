//! A network under a protection: what it computes without faults, and what the faults of the unprotected one become.
//!
//! The same faults hit every protection, so that differences are those of the protection alone. A fault of a stored number
//! hits the number's own bits, also where codes add others; of bit errors all over a memory, the added bits have their share.

use std::sync::Arc;

use duress_network::campaign::{ActivationFault, Fault, Stored};
use duress_network::graph::{GraphError, Parameter};
use duress_network::guard::{Guard, Guarded, guard};
use duress_network::memory::{Code, Effect as Bits, Format, Memory, MemoryError, Place, Size, Upset};
use duress_network::op::Role;
use duress_network::{Network, Tensor, Weights};

use super::bits::BitModel;
use super::model::{Effect, FaultModel};
use super::pattern::matches;
use super::space::{FaultSite, Hits, gap};
use crate::nn::random::Stream;

/// What protects a network.
#[derive(Clone, Debug, PartialEq)]
pub enum Scheme {
    /// Nothing.
    Nothing,
    /// Stored parameters, each by its code.
    Memory(Vec<Code>),
    /// Bounds of activations.
    Range(Vec<Guard>),
}

/// A network under a protection.
#[derive(Debug)]
pub struct Protected<'a> {
    memory: Memory<'a>,
    guarded: Guarded,
    codes: Vec<Code>,
    /// Seed of errors in the bits that codes add.
    seed: u64,
}

/// A protection that does not suit the network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProtectError {
    /// A code does not suit a parameter.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Bounds do not suit a node.
    #[error(transparent)]
    Guard(#[from] GraphError),
}

impl<'a> Protected<'a> {
    /// `weights`, stored in `format`, under `scheme`. `seed` is that of the campaign's faults.
    ///
    /// # Errors
    /// Where the scheme does not suit the network.
    pub fn new(weights: &'a Weights, format: Format, scheme: &Scheme, seed: u64) -> Result<Self, ProtectError> {
        let count = weights.tensors().len();
        let codes = match scheme {
            Scheme::Memory(codes) => codes.clone(),
            _ => vec![Code::None; count],
        };
        let memory = Memory::new(weights, format, &codes)?;
        let guards: &[Guard] = if let Scheme::Range(guards) = scheme { guards } else { &[] };
        let guarded = guard(&memory.read_all(), guards)?;
        Ok(Self { memory, guarded, codes, seed })
    }

    /// `weights` in single precision without protection: nothing that could fail.
    #[must_use]
    pub fn plain(weights: &'a Weights, seed: u64) -> Self {
        let guarded = Guarded {
            weights: weights.clone(),
            values: (0..weights.network().shapes().len()).collect(),
            parameters: (0..weights.tensors().len()).collect(),
        };
        let codes = vec![Code::None; weights.tensors().len()];
        Self { memory: Memory::plain(weights, Format::Fp32), guarded, codes, seed }
    }

    /// The network that runs, with the numbers that it reads without faults.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.guarded.weights
    }

    /// The memory of the parameters; each bound of activations takes 32 bits more.
    #[must_use]
    pub fn size(&self) -> Size {
        let size = self.memory.size();
        let bounds = |index: &usize| !self.guarded.parameters.contains(index);
        let tensors = self.guarded.weights.tensors();
        let added: usize = (0..tensors.len()).filter(bounds).map(|index| tensors[index].values.len()).sum();
        Size { redundant: size.redundant + 32 * added as u64, ..size }
    }

    /// The number of node `node` of the unprotected network in the one that runs.
    #[must_use]
    pub fn node(&self, node: usize) -> usize {
        self.guarded.values.get(node).copied().unwrap_or(node)
    }

    /// What `site` does here; `None` where the network has no such number.
    #[must_use]
    pub fn fault(&self, site: &FaultSite) -> Option<Fault> {
        match &site.hits {
            Hits::Stored(hits) => {
                let tensors = self.guarded.parameters.len();
                let exists = |&(parameter, element, _): &(usize, usize, Effect)| {
                    parameter < tensors && element < self.tensor(parameter).values.len()
                };
                hits.iter().all(exists).then(|| Fault::Stored(self.stored(site, hits)))
            }
            Hits::Output { node, elements, effect } => Some(Fault::Activation(ActivationFault {
                node: self.node(*node),
                elements: elements.clone(),
                corrupt: Arc::new(*effect),
            })),
        }
    }

    /// Parameter `parameter` of the unprotected network, as it is read without faults.
    fn tensor(&self, parameter: usize) -> &Tensor {
        &self.guarded.weights.tensors()[self.guarded.parameters[parameter]]
    }

    fn stored(&self, site: &FaultSite, hits: &[(usize, usize, Effect)]) -> Vec<Stored> {
        let upset = |&(parameter, element, effect): &(usize, usize, Effect)| {
            let effect = match effect {
                Effect::Bits { model: BitModel::BitFlip, mask } => Bits::Flip(mask.into()),
                Effect::Bits { model: BitModel::StuckAt0, mask } => Bits::Clear(mask.into()),
                Effect::Bits { model: BitModel::StuckAt1, mask } => Bits::Set(mask.into()),
                Effect::Value(value) | Effect::Range(value) => {
                    Bits::Write(self.memory.encoding(parameter).word(element, value))
                }
            };
            Upset { parameter, place: Place::Number(element), effect }
        };
        let mut upsets: Vec<Upset> = hits.iter().map(upset).collect();
        if let FaultModel::BitErrorRate(rate) = site.model {
            upsets.extend(self.redundant_errors(rate, site.number));
        }
        let read = self.memory.read(&upsets).changed;
        read.into_iter().map(|c| Stored { parameter: self.guarded.parameters[c.parameter], ..c }).collect()
    }

    /// Errors of rate `rate` in the bits that codes add, in draw `number` of the memory.
    fn redundant_errors(&self, rate: f64, number: u64) -> Vec<Upset> {
        let mut upsets = Vec::new();
        for (parameter, code) in self.codes.iter().enumerate() {
            let (blocks, bits) = self.memory.blocks(parameter);
            if *code == Code::None || bits == 0 {
                continue;
            }
            let mut stream = Stream::new(self.seed, "bit-errors-redundant", &[number, parameter as u64]);
            let mut at = gap(&mut stream, rate);
            while at < blocks * bits as usize {
                let (block, bit) = (at / bits as usize, at % bits as usize);
                upsets.push(Upset { parameter, place: Place::Redundancy(block), effect: Bits::Flip(1 << bit) });
                at = at.saturating_add(1).saturating_add(gap(&mut stream, rate));
            }
        }
        upsets
    }
}

/// What `code` says of the weights of each layer that a pattern picks, by its name, and no code for all other parameters.
#[must_use]
pub fn codes(network: &Network, patterns: &[String], code: impl Fn(&str) -> Code) -> Vec<Code> {
    let of = |parameter: &Parameter| {
        let node = network.nodes()[parameter.node - 1].name.as_str();
        let picked = patterns.iter().any(|p| matches(p, node) || matches(p, &parameter.name));
        if picked && parameter.role == Role::Weight { code(node) } else { Code::None }
    };
    network.parameters().iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::fault::space::{FaultSpace, Targets};
    use duress_network::arch::mlp::Mlp;
    use duress_network::op::Beyond;
    use duress_network::{Init, Scheme as Rule};

    fn weights() -> Weights {
        let network = Mlp { hidden: vec![5], ..Mlp::default() }.network(&[4], 3).expect("a network");
        network.initialize(&Rule::new(Init::HeNormal, Init::Zeros), 1)
    }

    fn everywhere() -> Vec<String> {
        vec!["*".to_owned()]
    }

    /// What becomes of every fault of single bits.
    fn all(weights: &Weights, format: Format, scheme: &Scheme) -> Vec<(FaultSite, Vec<Stored>)> {
        let targets = Targets { bits: (0..format.bits()).collect(), ..Targets::default() };
        let space = FaultSpace::new(weights.network(), &targets, 1).expect("sites");
        let protected = Protected::new(weights, format, scheme, 1).expect("it suits");
        let sites = (0..space.population().expect("an end")).map(|number| space.site(number).expect("within"));
        let stored = |site: &FaultSite| match protected.fault(site).expect("a fault") {
            Fault::Stored(stored) => stored,
            Fault::Activation(_) => panic!("a stored number"),
        };
        sites.map(|site| (site.clone(), stored(&site))).collect()
    }

    #[test]
    fn without_protection_a_fault_is_what_it_says() {
        let weights = weights();
        for (site, stored) in all(&weights, Format::Fp32, &Scheme::Nothing) {
            let Hits::Stored(hits) = &site.hits else { panic!("a stored number") };
            let (parameter, element, effect) = hits[0];
            let value = effect.apply(weights.tensors()[parameter].values[element], 0.0);
            assert_eq!(stored.len(), 1);
            assert_eq!((stored[0].parameter, stored[0].element), (parameter, element));
            assert_eq!(stored[0].value.to_bits(), value.to_bits());
        }
    }

    #[test]
    fn codes_undo_the_faults_that_they_cover_and_no_others() {
        let weights = weights();
        let of = |code| Scheme::Memory(codes(weights.network(), &everywhere(), |_| code));
        for format in Format::ALL {
            assert!(all(&weights, format, &of(Code::Secded(64))).iter().all(|(_, stored)| stored.is_empty()));
            let tmr = all(&weights, format, &of(Code::Tmr(1 << 6)));
            assert!(tmr.iter().all(|(site, stored)| stored.is_empty() == (site.bit == Some(6))), "{format:?}");
            assert!(all(&weights, format, &of(Code::Parity)).iter().all(|(_, s)| s.iter().all(|s| s.value == 0.0)));
        }
        let mset = all(&weights, Format::Fp32, &of(Code::Mset));
        assert!(mset.iter().all(|(site, stored)| stored.is_empty() == matches!(site.bit, Some(0 | 1 | 30))));
        // One layer alone, and no bias.
        let one = codes(weights.network(), &["output".to_owned()], |_| Code::Parity);
        assert_eq!(one, [Code::None, Code::None, Code::Parity, Code::None]);
    }

    #[test]
    fn bounds_leave_parameters_as_they_are_and_cost_their_own_memory() {
        let weights = weights();
        let nodes = duress_network::guard::activations(weights.network());
        let guards =
            nodes.iter().map(|&node| Guard { node, low: vec![0.0; 5], high: vec![1.0; 5], beyond: Beyond::Bound });
        let scheme = Scheme::Range(guards.collect());
        let protected = Protected::new(&weights, Format::Fp32, &scheme, 1).expect("it suits");
        assert_eq!(protected.size().redundant, 320);
        assert_eq!(protected.weights().network().nodes().len(), weights.network().nodes().len() + 1);
        let output = weights.network().nodes().len();
        assert_eq!(protected.node(output), output + 1);
        let last = weights.tensors().len() - 1;
        for (site, stored) in all(&weights, Format::Fp32, &scheme).into_iter().step_by(97) {
            let name = &weights.tensors()[site.parameter.expect("stored")].name;
            assert_eq!(&protected.weights().tensors()[stored[0].parameter].name, name);
        }
        assert_eq!(protected.tensor(last), &weights.tensors()[last]);
    }

    #[test]
    fn errors_all_over_a_memory_hit_what_codes_add_too() {
        let weights = weights();
        let rate = 0.02;
        let targets = Targets { models: vec![FaultModel::BitErrorRate(rate)], ..Targets::default() };
        let space = FaultSpace::new(weights.network(), &targets, 1).expect("a memory");
        let protect = |code| {
            let scheme = Scheme::Memory(codes(weights.network(), &everywhere(), |_| code));
            Protected::new(&weights, Format::Fp32, &scheme, 1).expect("it suits")
        };
        let (none, tmr) = (protect(Code::None), protect(Code::Tmr(u32::MAX)));
        let mut changed = [0, 0];
        let mut redundant = 0;
        for number in 0..500 {
            let site = space.site(number).expect("without end");
            for (sum, protected) in changed.iter_mut().zip([&none, &tmr]) {
                let Some(Fault::Stored(stored)) = protected.fault(&site) else { panic!("a stored number") };
                *sum += stored.len();
            }
            redundant += tmr.redundant_errors(rate, number).len();
        }
        // 35 weights of 32 bits, twice, 500 times, at 2 %: 22400 errors, standard deviation 148.
        assert!((21_700..=23_100).contains(&redundant), "{redundant}");
        // A number without redundancy is wrong with probability 1 - 0.98^32 = 0.476, with it 1 - (1 - 3 p^2 + 2 p^3)^32 = 0.0373.
        let share = changed.map(|n| n as f64 / (500.0 * 35.0));
        assert!((share[0] - 0.476).abs() < 0.02 && (share[1] - 0.0373).abs() < 0.007, "{share:?}");
    }
}
