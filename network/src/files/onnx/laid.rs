//! The numbers of a layer in another order: exporters write sequences with the batch second, heads of attention, and single
//! steps as chains of transpositions, reshapes and selections. They are followed number by number for a batch of one
//! example (`moves.rs`), and dissolve where the order is one that an operation of this program knows (`settle.rs`).

use std::cell::Cell;
use std::rc::Rc;

use super::attention::Heads;
use crate::files::draft::Known;
use crate::files::layout::permute;

/// How many numbers all orders together may list; beyond that a file is no network that this program could run.
pub(super) const MOST_LISTED: usize = 1 << 27;

/// The numbers of something in another order or shape.
#[derive(Clone, Debug)]
pub(super) struct Laid {
    pub(super) source: Source,
    /// The shape in the file, for a batch of one example.
    pub(super) shape: Vec<usize>,
    /// Which number of the source each number is; absent where they are in order.
    pub(super) index: Option<Rc<[u32]>>,
    /// What they are multiplied by.
    pub(super) factor: f32,
}

/// Whose numbers they are.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// What a layer gives.
    Layer(Known),
    /// What the heads of an attention give, before they are mixed: `[heads, steps, width]`.
    Heads(Rc<Heads>),
}

impl Laid {
    /// What a layer gives, as it is.
    pub(super) fn of(known: &Known) -> Self {
        let shape = [1].into_iter().chain(known.shape.iter().copied()).collect();
        Self { source: Source::Layer(known.clone()), shape, index: None, factor: 1.0 }
    }

    /// What a layer gives, in another shape.
    pub(super) fn shaped(known: &Known, shape: Vec<usize>) -> Self {
        Self { shape, ..Self::of(known) }
    }

    /// What heads give, `leading` extents before steps and width.
    pub(super) fn of_heads(heads: Rc<Heads>, shape: Vec<usize>) -> Self {
        Self { source: Source::Heads(heads), shape, index: None, factor: 1.0 }
    }

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Which number of the source number `at` is.
    pub(super) fn at(&self, at: usize) -> usize {
        self.index.as_ref().map_or(at, |index| index[at] as usize)
    }

    /// Whether the numbers are all those of the source, in order.
    pub(super) fn is_in_order(&self) -> bool {
        self.index.is_none()
    }

    pub(super) fn reshaped(&self, shape: Vec<usize>) -> Self {
        Self { shape, ..self.clone() }
    }

    /// Entry `at` of the first axis, which stays.
    pub(super) fn entry(&self, at: usize, left: &Cell<usize>) -> Result<Self, String> {
        let entry = self.taken(0, &[at], true, left)?;
        Ok(Self { shape: self.shape[1..].to_vec(), ..entry })
    }

    /// The same in the order of `places`, with `shape`.
    fn picked(&self, shape: Vec<usize>, places: &[u32]) -> Self {
        let index: Vec<u32> = places.iter().map(|&place| self.at(place as usize) as u32).collect();
        let whole = match &self.source {
            Source::Layer(known) => known.shape.iter().product(),
            Source::Heads(heads) => heads.len(),
        };
        let in_order = index.len() == whole && index.iter().enumerate().all(|(at, &place)| at == place as usize);
        Self { shape, index: (!in_order).then(|| index.into()), ..self.clone() }
    }

    pub(super) fn transposed(&self, axes: &[usize], left: &Cell<usize>) -> Result<Self, String> {
        let shape: Vec<usize> = axes.iter().map(|&axis| self.shape[axis]).collect();
        // Extents of 1 may go anywhere without moving a number.
        let moved: Vec<usize> = axes.iter().copied().filter(|&axis| self.shape[axis] != 1).collect();
        if moved.is_sorted() {
            return Ok(self.reshaped(shape));
        }
        list(self.len(), left)?;
        let places: Vec<u32> = (0..self.len() as u32).collect();
        Ok(self.picked(shape, &permute(&self.shape, &places, axes)))
    }

    /// The entries `entries` of `axis`; without `keep` the axis goes.
    pub(super) fn taken(&self, axis: usize, entries: &[usize], keep: bool, left: &Cell<usize>) -> Result<Self, String> {
        let (extent, inner) = (self.shape[axis], self.shape[axis + 1..].iter().product::<usize>());
        let mut shape = self.shape.clone();
        if keep {
            shape[axis] = entries.len();
        } else {
            shape.remove(axis);
        }
        if entries.iter().copied().eq(0..extent) {
            return Ok(self.reshaped(shape));
        }
        let blocks = self.shape[..axis].iter().product::<usize>();
        if entries.is_empty() {
            return Err("takes nothing of a sequence".into());
        }
        list(blocks.saturating_mul(entries.len()).saturating_mul(inner), left)?;
        let mut places = Vec::with_capacity(blocks * entries.len() * inner);
        for block in 0..blocks {
            for &entry in entries {
                let start = (block * extent + entry) * inner;
                places.extend(start as u32..(start + inner) as u32);
            }
        }
        Ok(self.picked(shape, &places))
    }
}

/// Fails where `count` more numbers are more than may be listed.
fn list(count: usize, left: &Cell<usize>) -> Result<(), String> {
    left.set(left.get().checked_sub(count).ok_or("lays out more numbers than a network can have")?);
    Ok(())
}
