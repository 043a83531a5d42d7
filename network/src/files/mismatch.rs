//! How the tensors of a file differ from the parameters of a network: everything at once, with a guess at what was meant.

use std::fmt;

/// Every difference between a file and a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Parameters that the file does not give.
    pub missing: Vec<Named>,
    /// Tensors of the file that the network has no place for.
    pub unexpected: Vec<Named>,
    /// Parameters that the file gives in another shape.
    pub misshapen: Vec<Misshapen>,
    /// Pairs of tensors of the file that have one parameter's name.
    pub duplicates: Vec<(Named, Named)>,
}

/// A name and a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The parameter's name, or that of the tensor in the file.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// A parameter that the file gives in another shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// The parameter's name.
    pub name: String,
    /// The network's shape.
    pub wanted: Vec<usize>,
    /// The file's shape.
    pub found: Vec<usize>,
}

impl Mismatch {
    /// Whether there is no difference.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty() && self.duplicates.is_empty()
    }

    /// The tensor that was probably meant to be the missing parameter: one of its shape, with the most similar name.
    fn guess(&self, missing: &Named) -> Option<&Named> {
        let alike = self.unexpected.iter().filter(|tensor| tensor.shape == missing.shape);
        let scored = alike.map(|tensor| (similarity(&tensor.name, &missing.name), tensor));
        scored.filter(|(score, _)| *score > 0).max_by_key(|(score, _)| *score).map(|(_, tensor)| tensor)
    }
}

/// How many components two names share, counted from the end (`weight`, then `conv1`), and from the start.
fn similarity(left: &str, right: &str) -> usize {
    let parts = |name: &str| name.split(['.', '/']).map(str::to_owned).collect::<Vec<_>>();
    let (left, right) = (parts(left), parts(right));
    let same = |(left, right): &(&String, &String)| left == right;
    let ends = left.iter().rev().zip(right.iter().rev()).take_while(same).count();
    let starts = left.iter().zip(&right).take_while(same).count();
    2 * ends + starts
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.missing.len(), "missing"),
            (self.unexpected.len(), "unexpected"),
            (self.misshapen.len(), "of another shape"),
            (self.duplicates.len(), "given twice"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        write!(f, "{}", counts.collect::<Vec<_>>().join(", "))?;
        for missing in &self.missing {
            write!(f, "\n  missing: {missing}")?;
            if let Some(guess) = self.guess(missing) {
                write!(f, "; did you mean the file's `{0}`? map \"{0}\" = \"{1}\"", guess.name, missing.name)?;
            }
        }
        for unexpected in &self.unexpected {
            write!(f, "\n  unexpected: {unexpected}")?;
        }
        for Misshapen { name, wanted, found } in &self.misshapen {
            write!(f, "\n  of another shape: `{name}` is {found:?} in the file and {wanted:?} in the network")?;
            let transposed = found.iter().rev().eq(wanted);
            if transposed && found.len() == 2 {
                write!(f, "; transpose it by \"{name}\" = \"{name} | transpose\"")?;
            }
        }
        for (first, second) in &self.duplicates {
            write!(f, "\n  given twice: {first} and {second} become one parameter")?;
        }
        f.write_str("\n  map names by rules such as \"module.*\" = \"*\", leave a tensor out by \"NAME\" = \"\", or choose another network")
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {:?}", self.name, self.shape)
    }
}
