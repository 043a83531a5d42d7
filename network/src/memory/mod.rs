//! The parameters of a network as they lie in memory: in a format, perhaps behind codes that protect them, and what the
//! network reads back after some stored bits have changed.
//!
//! The fault-free network is the one that is read back without any change: rounded to the format, and without what a code
//! gives up. Faults are compared with that.

mod code;
mod format;
mod secded;

use thiserror::Error;

use crate::campaign::Stored;
use crate::weights::Weights;

pub use code::{Code, CodeError, Read, Verdict};
pub use format::{Encoding, Format};

/// A network's parameters in memory.
#[derive(Clone, Debug)]
pub struct Memory<'a> {
    weights: &'a Weights,
    stores: Vec<Store>,
}

/// How one parameter is stored.
#[derive(Clone, Debug)]
struct Store {
    encoding: Encoding,
    code: Code,
}

/// A code that does not suit the parameter it is to protect, or one too few or too many.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MemoryError {
    /// A code for a format that it does not suit.
    #[error("parameter `{parameter}`: {reason}")]
    Code {
        /// The parameter.
        parameter: String,
        /// What is wrong, and what would do.
        reason: CodeError,
    },
    /// Another number of codes than of parameters.
    #[error("network has {parameters} parameters but {codes} codes are given; give one for each")]
    Count {
        /// Parameters of the network.
        parameters: usize,
        /// Codes given.
        codes: usize,
    },
}

/// What happens to stored bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Those of the mask are inverted.
    Flip(u64),
    /// Those of the mask read 0.
    Clear(u64),
    /// Those of the mask read 1.
    Set(u64),
    /// All of the number read as this word.
    Write(u32),
}

/// The bits that something happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Those of a number, by its row-major position in the parameter.
    Number(usize),
    /// Those that the code adds to a block, by the number of the block.
    Redundancy(usize),
}

/// Something that happens to stored bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Upset {
    /// The parameter, as its position in [`crate::Network::parameters`].
    pub parameter: usize,
    /// Where in it.
    pub place: Place,
    /// What happens there.
    pub effect: Effect,
}

/// What is read back after upsets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readout {
    /// The numbers that read differently than without upsets, in order.
    pub changed: Vec<Stored>,
    /// Blocks in which the code corrected something.
    pub corrected: usize,
    /// Blocks in which it detected what it could not correct.
    pub detected: usize,
}

/// How much memory there is, in bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Of numbers and scales.
    pub data: u64,
    /// Of what codes add.
    pub redundant: u64,
}

impl Size {
    /// Bits that codes add for each bit of data.
    #[must_use]
    pub fn cost(self) -> f64 {
        self.redundant as f64 / (self.data as f64).max(1.0)
    }
}

impl<'a> Memory<'a> {
    /// `weights` stored in `format` with one code for each parameter; integers hold weights alone ([`Format::of_role`]).
    ///
    /// # Errors
    /// Where a code does not suit the format of its parameter, or their numbers differ.
    pub fn new(weights: &'a Weights, format: Format, codes: &[Code]) -> Result<Self, MemoryError> {
        let parameters = weights.network().parameters();
        if parameters.len() != codes.len() {
            return Err(MemoryError::Count { parameters: parameters.len(), codes: codes.len() });
        }
        let store = |((parameter, tensor), &code): ((&crate::graph::Parameter, &crate::Tensor), &Code)| {
            let format = format.of_role(parameter.role);
            let parameter = || parameter.name.clone();
            code.check(format).map_err(|reason| MemoryError::Code { parameter: parameter(), reason })?;
            Ok(Store { encoding: Encoding::new(format, tensor), code })
        };
        let stores = parameters.iter().zip(weights.tensors()).zip(codes).map(store).collect::<Result<_, _>>()?;
        Ok(Self { weights, stores })
    }

    /// `weights` stored in `format` without protection.
    #[must_use]
    pub fn plain(weights: &'a Weights, format: Format) -> Self {
        let parameters = weights.network().parameters().iter();
        let store = |(parameter, tensor): (&crate::graph::Parameter, &crate::Tensor)| {
            let encoding = Encoding::new(format.of_role(parameter.role), tensor);
            Store { encoding, code: Code::None }
        };
        Self { weights, stores: parameters.zip(weights.tensors()).map(store).collect() }
    }

    /// How parameter `parameter` is encoded.
    ///
    /// # Panics
    /// If there is no such parameter.
    #[must_use]
    pub fn encoding(&self, parameter: usize) -> &Encoding {
        &self.stores[parameter].encoding
    }

    /// The word that is stored for a number, as the code has changed it; bits beyond the format's are zero.
    ///
    /// # Panics
    /// If there is no such number.
    #[must_use]
    pub fn word(&self, parameter: usize, element: usize) -> u32 {
        let store = &self.stores[parameter];
        let numbers = store.code.numbers(store.encoding.format());
        let stored = store.stored(&self.weights.tensors()[parameter].values, element / numbers);
        store.word_of(stored as u64, element % numbers)
    }

    /// The network as it is read without upsets.
    #[must_use]
    pub fn read_all(&self) -> Weights {
        let mut read = self.weights.clone();
        for (store, values) in self.stores.iter().zip(read.values_mut()) {
            let numbers = store.code.numbers(store.encoding.format());
            for block in 0..values.len().div_ceil(numbers) {
                let data = store.read(store.stored(values, block)).data;
                for element in block * numbers..values.len().min((block + 1) * numbers) {
                    values[element] = store.encoding.value(element, store.word_of(data, element % numbers));
                }
            }
        }
        read
    }

    /// What is read after `upsets`, which happen in their order. Upsets of numbers that there are not have no effect.
    #[must_use]
    pub fn read(&self, upsets: &[Upset]) -> Readout {
        let block_of = |upset: &Upset| match upset.place {
            Place::Number(element) => {
                let store = self.stores.get(upset.parameter);
                element / store.map_or(1, |store| store.code.numbers(store.encoding.format()))
            }
            Place::Redundancy(block) => block,
        };
        let mut sorted: Vec<((usize, usize), &Upset)> =
            upsets.iter().map(|u| ((u.parameter, block_of(u)), u)).collect();
        sorted.sort_by_key(|(at, _)| *at);
        let mut readout = Readout::default();
        for group in sorted.chunk_by(|a, b| a.0 == b.0) {
            let (parameter, block) = group[0].0;
            self.read_block(parameter, block, group, &mut readout);
        }
        readout
    }

    /// Reads one block after its upsets.
    fn read_block(&self, parameter: usize, block: usize, upsets: &[((usize, usize), &Upset)], readout: &mut Readout) {
        let Some(store) = self.stores.get(parameter) else { return };
        let values = &self.weights.tensors()[parameter].values;
        let numbers = store.code.numbers(store.encoding.format());
        let elements = block.saturating_mul(numbers)..values.len().min(block.saturating_add(1).saturating_mul(numbers));
        if elements.is_empty() {
            return;
        }
        let clean = store.stored(values, block);
        let stored = upsets.iter().fold(clean, |stored, (_, upset)| store.upset(stored, upset, elements.len()));
        let (read, before) = (store.read(stored), store.read(clean));
        readout.corrected += usize::from(read.verdict == Verdict::Corrected);
        readout.detected += usize::from(read.verdict == Verdict::Detected);
        for element in elements {
            let word = store.word_of(read.data, element % numbers);
            if word != store.word_of(before.data, element % numbers) {
                let value = store.encoding.value(element, word);
                readout.changed.push(Stored { parameter, element, value });
            }
        }
    }

    /// How much memory there is of all parameters, scales included; codes protect no scales.
    #[must_use]
    pub fn size(&self) -> Size {
        let mut size = Size::default();
        for (store, tensor) in self.stores.iter().zip(self.weights.tensors()) {
            let (format, len) = (store.encoding.format(), tensor.values.len());
            size.data += len as u64 * u64::from(format.bits()) + 32 * store.encoding.scales().len() as u64;
            let blocks = len.div_ceil(store.code.numbers(format)) as u64;
            size.redundant += blocks * u64::from(store.code.redundant_bits());
        }
        size
    }

    /// How many blocks parameter `parameter` is stored in, and how many bits its code adds to each.
    ///
    /// # Panics
    /// If there is no such parameter.
    #[must_use]
    pub fn blocks(&self, parameter: usize) -> (usize, u32) {
        let store = &self.stores[parameter];
        let len = self.weights.tensors()[parameter].values.len();
        (len.div_ceil(store.code.numbers(store.encoding.format())), store.code.redundant_bits())
    }

    /// What is read where scale `index` of parameter `parameter` is `scale` instead; nothing where there is no such scale.
    #[must_use]
    pub fn with_scale(&self, parameter: usize, index: usize, scale: f32) -> Vec<Stored> {
        let Some(store) = self.stores.get(parameter) else { return Vec::new() };
        let Some(&before) = store.encoding.scales().get(index) else { return Vec::new() };
        let changed = |element: usize| {
            let word = store.encoding.word(element, self.weights.tensors()[parameter].values[element]);
            let (was, steps) = (store.encoding.value(element, word), f32::from((word as u8).cast_signed()));
            let value = steps * scale;
            (before.to_bits() != scale.to_bits() && was.to_bits() != value.to_bits()).then_some(Stored {
                parameter,
                element,
                value,
            })
        };
        store.encoding.scaled_by(index).filter_map(changed).collect()
    }
}

impl Store {
    /// The code word of block `block` of `values`; a last block that is not full has zeros.
    fn stored(&self, values: &[f32], block: usize) -> u128 {
        let format = self.encoding.format();
        let numbers = self.code.numbers(format);
        let mut data = 0;
        for at in 0..numbers {
            let element = block * numbers + at;
            if let Some(value) = values.get(element) {
                data |= u64::from(self.encoding.word(element, *value)) << (at * usize::from(format.bits()));
            }
        }
        self.code.store(format, data)
    }

    fn read(&self, stored: u128) -> Read {
        self.code.read(self.encoding.format(), stored)
    }

    /// Number `at` of a block's data.
    fn word_of(&self, data: u64, at: usize) -> u32 {
        let width = usize::from(self.encoding.format().bits());
        (data >> (at * width)) as u32 & (u32::MAX >> (32 - width))
    }

    /// A code word of `numbers` numbers after an upset.
    fn upset(&self, stored: u128, upset: &Upset, numbers: usize) -> u128 {
        let width = u32::from(self.encoding.format().bits());
        let per_block = self.code.numbers(self.encoding.format()) as u32;
        let (shift, bits) = match upset.place {
            Place::Number(element) => {
                let at = element as u32 % per_block;
                if at as usize >= numbers {
                    return stored;
                }
                (at * width, width)
            }
            Place::Redundancy(_) => (per_block * width, self.code.redundant_bits()),
        };
        let all = if bits == 0 { 0 } else { u128::from(u64::MAX >> (64 - bits)) << shift };
        let mask = |mask: u64| u128::from(mask) << shift & all;
        match upset.effect {
            Effect::Flip(bits) => stored ^ mask(bits),
            Effect::Clear(bits) => stored & !mask(bits),
            Effect::Set(bits) => stored | mask(bits),
            Effect::Write(word) => stored & !all | mask(word.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Builder, Value};
    use crate::op::Linear;

    fn weights() -> Weights {
        let mut b = Builder::new(&[3]);
        b.then("layer", Linear::new(3), Value::INPUT);
        let mut weights = Weights::zeros(&b.finish().unwrap());
        let values = [0.5, -0.25, 1.0, 0.1, -0.3, 0.7, 1e-3, -1.5, 0.9];
        weights.get_mut("layer.weight").unwrap().copy_from_slice(&values);
        weights.get_mut("layer.bias").unwrap().copy_from_slice(&[0.1, 0.2, -0.3]);
        weights
    }

    fn flip(element: usize, mask: u64) -> Upset {
        Upset { parameter: 0, place: Place::Number(element), effect: Effect::Flip(mask) }
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn the_fault_free_network_is_the_one_that_is_read_back() {
        let weights = weights();
        assert_eq!(Memory::plain(&weights, Format::Fp32).read_all(), weights);
        let half = Memory::plain(&weights, Format::Fp16).read_all();
        assert_eq!(half.tensors()[0].values[3].to_bits(), half::f16::from_f32(0.1).to_f32().to_bits());
        let integers = Memory::plain(&weights, Format::Int8).read_all();
        // Steps of 1.5 / 127; biases stay as they are.
        assert!((integers.tensors()[0].values[5] - 59.0 * 1.5 / 127.0).abs() < 1e-6);
        assert_eq!(integers.tensors()[1], weights.tensors()[1]);
        for code in [Code::Secded(64), Code::Tmr(1 << 30), Code::Parity] {
            assert_eq!(Memory::new(&weights, Format::Fp32, &[code; 2]).unwrap().read_all(), weights, "{code:?}");
        }
        let mset = Memory::new(&weights, Format::Fp32, &[Code::Mset, Code::None]).unwrap();
        let wanted: Vec<u32> = weights.tensors()[0].values.iter().map(|v| v.to_bits() & !0b11).collect();
        assert_eq!(bits(&mset.read_all().tensors()[0].values), wanted);
    }

    #[test]
    fn an_unprotected_number_reads_as_its_changed_bits_say() {
        let weights = weights();
        let memory = Memory::plain(&weights, Format::Fp32);
        let effects =
            [Effect::Flip(1 << 31), Effect::Set(1 << 31), Effect::Clear(1 << 31), Effect::Write(1.0_f32.to_bits())];
        let read = effects.map(|effect| {
            let read = memory.read(&[Upset { parameter: 0, place: Place::Number(1), effect }]);
            read.changed.first().map(|changed| (changed.element, changed.value))
        });
        assert_eq!(read, [Some((1, 0.25)), None, Some((1, 0.25)), Some((1, 1.0))]);
        assert_eq!(memory.read(&[flip(2, 1), flip(2, 1)]), Readout::default());
        assert_eq!(memory.read(&[flip(99, 1), Upset { parameter: 7, ..flip(0, 1) }]), Readout::default());
    }

    #[test]
    fn a_block_that_holds_two_changed_bits_reads_as_zeros() {
        let weights = weights();
        let memory = Memory::new(&weights, Format::Fp32, &[Code::Secded(64), Code::None]).unwrap();
        assert_eq!(memory.read(&[flip(2, 1 << 30)]), Readout { corrected: 1, ..Readout::default() });
        // Numbers 2 and 3 share a block, 4 is in the next.
        let read = memory.read(&[flip(3, 1 << 5), flip(4, 1 << 30), flip(2, 1 << 30)]);
        assert_eq!((read.corrected, read.detected), (1, 1));
        let changed: Vec<_> = read.changed.iter().map(|c| (c.element, c.value)).collect();
        assert_eq!(changed, [(2, 0.0), (3, 0.0)]);
        // The last block is half empty, and its other half cannot be hit.
        assert_eq!(memory.read(&[flip(9, 1)]), Readout::default());
        assert_eq!(memory.read(&[flip(8, 0b11)]).changed, [Stored { parameter: 0, element: 8, value: 0.0 }]);
        let check = Upset { parameter: 0, place: Place::Redundancy(1), effect: Effect::Flip(1 << 3) };
        assert_eq!(memory.read(&[check]), Readout { corrected: 1, ..Readout::default() });
        assert_eq!(memory.read(&[check, flip(2, 2)]).detected, 1);
        assert_eq!(memory.blocks(0), (5, 8));
    }

    #[test]
    fn codes_are_stored_too_and_may_change_what_is_stored() {
        let weights = weights();
        let codes = [Code::Mset, Code::None];
        let memory = Memory::new(&weights, Format::Fp32, &codes).unwrap();
        assert_eq!(memory.word(0, 2), 1.0_f32.to_bits());
        assert_eq!(memory.word(0, 3), 0.1_f32.to_bits() & !0b11);
        assert_eq!(memory.read(&[flip(3, 1 << 30)]), Readout { corrected: 1, ..Readout::default() });
        let size = Memory::new(&weights, Format::Int8, &[Code::Secded(32), Code::None]).unwrap().size();
        // Nine integers, their scale, three biases; three blocks of seven more bits.
        assert_eq!(size, Size { data: 9 * 8 + 32 + 3 * 32, redundant: 21 });
        assert!((size.cost() - 21.0 / 200.0).abs() < 1e-12);
        let error = Memory::new(&weights, Format::Int8, &codes).unwrap_err().to_string();
        assert!(error.contains("`layer.weight`"), "{error}");
        assert_eq!(
            Memory::new(&weights, Format::Fp32, &codes[..1]).unwrap_err(),
            MemoryError::Count { parameters: 2, codes: 1 }
        );
    }

    #[test]
    fn a_wrong_scale_changes_all_that_it_scales_but_zeros() {
        let weights = weights();
        let memory = Memory::plain(&weights, Format::Int8PerChannel);
        let scale = memory.encoding(0).scales()[1];
        let changed = memory.with_scale(0, 1, 2.0 * scale);
        assert_eq!(changed.iter().map(|c| c.element).collect::<Vec<_>>(), [3, 4, 5]);
        let before = memory.read_all();
        for c in changed {
            assert_eq!(c.value.to_bits(), (2.0 * before.tensors()[0].values[c.element]).to_bits());
        }
        // 1e-3 is less than half a step of its row and is stored as zero.
        assert_eq!(memory.with_scale(0, 2, 1.0).iter().map(|c| c.element).collect::<Vec<_>>(), [7, 8]);
        assert!(memory.with_scale(0, 1, scale).is_empty() && memory.with_scale(0, 3, 1.0).is_empty());
        assert!(memory.with_scale(1, 0, 1.0).is_empty());
    }
}
