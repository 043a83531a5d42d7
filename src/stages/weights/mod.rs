//! `[weights.X]`: weights that another program trained, read from its file.
//!
//! Everything in the file must be used and every parameter of the network filled; nothing in it is executed (see
//! [`duress_network::files`]). The file's digest is in the key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use duress_cache::{Artifact, Tree};
use duress_engine::config;
use duress_engine::run::RunContext;
use duress_engine::spec::{Count, Defined, Fault, FromSpec, Positive};
use duress_engine::stage::{
    InferContext, InputFacts, Location, OutputDoc, OutputFact, Source, SourceRoots, Stage, StageError, StageKind,
};
use duress_network::arch::find;
use duress_network::executor::{Executor, Options};
use duress_network::files::parity::{compare, read_array};
use duress_network::files::{NameMap, import, import_with_graph};

use super::model::Model;
use super::train::tensors;
use crate::nn;
use crate::nn::weights_table::weights_to_table;

config! {
    /// Weights that another program trained: safetensors, `PyTorch` (`.pt`, `.pth`, `.th`), NPZ, ONNX, Keras (`.h5`).
    pub struct Pretrained {
        /// The file; relative paths start at the spec.
        path: PathBuf,
        /// The network whose weights it holds; left out for ONNX and Keras, whose files describe it.
        model: Option<Defined<Model>>,
        /// The shape of an example that `model` reads, such as `[3, 32, 32]`; by default that for which the architecture was
        /// published.
        input: Vec<Count> = Vec::new(),
        /// How many classes `model` tells apart; by default as published.
        classes: Option<Count>,
        /// Rules by which the file's names become the network's: `{ "module.*" = "*", "fc.{w}" = "linear.{w}" }`. A rule may
        /// lay a tensor out anew (`"w" = "linear.weight | transpose"`) or leave it out (`"head.*" = ""`).
        names: BTreeMap<String, String> = BTreeMap::new(),
        /// Outputs of the program that trained them: the stage fails where the network's own differ by more than a tolerance.
        parity: Option<ParityKeys>,
    }
}

config! {
    /// Examples and what another program's network gives for them, as `.npy`, `.npz` or `.csv`.
    #[derive(Clone)]
    pub struct ParityKeys {
        /// The file of examples, an example a row.
        inputs: PathBuf,
        /// The file of outputs (logits), an example a row.
        outputs: PathBuf,
        /// Largest difference of an output that is put up with.
        tolerance: Positive = Positive(1e-4),
    }
}

impl StageKind for Pretrained {
    const KIND: &'static str = "weights";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Weights that another program trained, from its file";
    const EXAMPLE: &'static str = include_str!("example.toml");
    const OUTPUTS: &'static [OutputDoc] =
        &[OutputDoc { name: "weights", artifact: "weights", doc: "The weights, with their network" }];
}

impl Stage for Pretrained {
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        if let Err(error) = NameMap::new(&self.names) {
            let fault = Fault::new("wrong-names", cx.span_of("names"), error.to_string(), "no rule");
            cx.faults.push(fault.help("write `{ \"name in the file\" = \"name in the network\" }`"));
        }
        let network = match (&self.model, self.shape()) {
            (Some(model), Some((input, classes))) => model.infer(&input, classes, cx),
            (Some(_), None) => {
                let (key, message) = ("model", "`model` is a network of no published shape");
                let fault = Fault::new("missing-key", cx.span_of(key), message, "needs `input` and `classes`");
                cx.faults.push(fault.help("add `input = [3, 32, 32]` and `classes = 10`, say"));
                None
            }
            (None, _) => None,
        };
        vec![OutputFact { name: "weights", fact: tensors("weights", network.as_ref()) }]
    }

    fn config(&self) -> Tree {
        let model = self.model.as_ref().map(|model| model.shape_tree());
        // A shape that is the published one need not be said.
        let shape = if model.is_some() { self.shape() } else { None };
        let integer = |n: &usize| Tree::Integer(*n as i64);
        let keys = [
            ("model", model),
            ("input", shape.as_ref().map(|(input, _)| Tree::List(input.iter().map(integer).collect()))),
            ("classes", shape.as_ref().map(|(_, classes)| integer(classes))),
            ("parity", self.parity.as_ref().map(|keys| Tree::map([("tolerance", Tree::Float(keys.tolerance.0))]))),
            ("names", (!self.names.is_empty()).then(|| self.names.to_tree()).flatten()),
        ];
        Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }

    fn sources(&self, roots: &SourceRoots) -> Result<Vec<Source>, String> {
        let mut files = vec![("weights", "path", &self.path)];
        if let Some(keys) = &self.parity {
            files.extend([("inputs", "parity.inputs", &keys.inputs), ("outputs", "parity.outputs", &keys.outputs)]);
        }
        let source = |(name, key, path): (&str, &str, &PathBuf)| {
            let path = roots.spec.join(path);
            if path.is_file() {
                return Ok(Source { name: name.to_owned(), location: Location::File(path) });
            }
            Err(format!("find the file {}: there is none; mend `{key}`", path.display()))
        };
        files.into_iter().map(source).collect()
    }

    fn memory(&self, _inputs: &InputFacts) -> u64 {
        // The file, its tensors, and their table.
        let parameters = self.network().map_or(30_000_000, |network| network.parameter_count());
        (parameters * 4 * 4) as u64 + (16 << 20)
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let path = file(cx, "weights")?;
        let imported = match self.network() {
            Some(network) => {
                let names = NameMap::new(&self.names).map_err(StageError::failed)?;
                import(path, &network, &names)
            }
            None => import_with_graph(path),
        };
        let weights = imported.map_err(StageError::failed)?.weights;
        if let Some(keys) = &self.parity {
            check_parity(cx, &weights, keys)?;
        }
        Ok(Artifact::new([("weights", weights_to_table(&weights).map_err(StageError::failed)?)]))
    }
}

/// The path of a source by its name.
fn file<'a>(cx: &'a RunContext<'_>, name: &str) -> Result<&'a Path, StageError> {
    let found = cx.sources().iter().find(|source| source.name == name);
    match found.map(|source| &source.location) {
        Some(Location::File(path)) => Ok(path),
        _ => Err(StageError::failed(format!("find the file of {name}: run the study again"))),
    }
}

/// Compares the network's outputs with those of the program that trained it.
fn check_parity(cx: &RunContext<'_>, weights: &nn::Weights, keys: &ParityKeys) -> Result<(), StageError> {
    let inputs = read_array(file(cx, "inputs")?, "").map_err(StageError::failed)?;
    let outputs = read_array(file(cx, "outputs")?, "").map_err(StageError::failed)?;
    let executor = Executor::new(weights, &Options::faithful());
    let found = cx.install(|| compare(&executor, &inputs.values, &outputs)).map_err(StageError::failed)?;
    if found.largest_difference <= keys.tolerance.0 {
        return Ok(());
    }
    let (example, output) = found.at;
    Err(StageError::failed(format!(
        "compute what the other program computes: output {output} of example {example} differs by {:.3e}, and {} of {} \
         examples agree in their largest output; check the normalisation and the layout of the inputs, or raise \
         `parity.tolerance`",
        found.largest_difference, found.agreeing, found.examples
    )))
}

impl Pretrained {
    /// The shape of an example and the number of classes, as written or as published; `None` where neither is.
    fn shape(&self) -> Option<(Vec<usize>, usize)> {
        let published = self.model.as_ref().and_then(|model| find(model.arch.name()));
        let input = match &self.input[..] {
            [] => published?.input.to_vec(),
            input => input.iter().map(|extent| extent.size()).collect(),
        };
        let classes = self.classes.map(Count::size).or_else(|| published.map(|known| known.outputs))?;
        let model = self.model.as_ref()?;
        Some((model.input(input.iter().product(), &input), classes))
    }

    fn network(&self) -> Option<nn::Network> {
        let (input, classes) = self.shape()?;
        self.model.as_ref()?.network(&input, classes).ok()
    }
}
