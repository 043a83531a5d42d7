//! `[data.X]`: a data set, as recipes of its splits. Its tables hold no rows of data: whoever needs rows makes them from the
//! recipe and the files (see [`crate::data`]), which are hashed before anything runs.

mod keys;

use std::collections::BTreeMap;
use std::sync::Arc;

use duress_cache::{Artifact, ColumnSpec, Table, TableBuilder, Tree};
use duress_engine::run::RunContext;
use duress_engine::spec::Fault;
use duress_engine::stage::{
    Fact, InferContext, InputFacts, Location, OutputDoc, OutputFact, Source, SourceRoots, Stage, StageError, StageKind,
};

pub use keys::{Data, LimitKeys, LimitTable, MeanStd, PortionKeys, ScaleKeys, ScaleWord, SourceWord, TestKeys};

use super::artifact::{DataFact, table_fact};
use super::examples::{RECIPE, resolver};
use crate::data::{
    DataConfig, DataError, DataRoots, Portion, Reading, Recipe, Scale, SourceBytes, Split, SplitName, Task, load,
};

/// Columns of a table of recipes, and whether each holds numbers.
const COLUMNS: &[(&str, bool)] =
    &[("split", false), ("rows", true), ("features", true), ("classes", true), (RECIPE, false)];

impl StageKind for Data {
    const KIND: &'static str = "data";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Name a data set, part its rows into splits, scale its values";
    const EXAMPLE: &'static str = include_str!("example.toml");
    const OUTPUTS: &'static [OutputDoc] = &[
        OutputDoc { name: "training", artifact: "dataset", doc: "Rows to train on and to validate on" },
        OutputDoc { name: "train", artifact: "split", doc: "Rows to train on" },
        OutputDoc { name: "validation", artifact: "split", doc: "Rows held back by `validation = { share = 0.1 }`" },
        OutputDoc { name: "test", artifact: "split", doc: "Rows to report on" },
    ];
}

impl Stage for Data {
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        self.check(cx);
        let config = self.meaning();
        let fact = |rows: Option<usize>| DataFact {
            features: config.features(),
            shape: config.shape(),
            classes: config.classes(),
            regression: config.task() != Task::Classification,
            rows,
            validation: false,
        };
        let recipes = |artifact: &'static str, known: DataFact| Fact {
            known: Some(Arc::new(known)),
            ..table_fact(artifact, COLUMNS)
        };
        let validation = config.has(SplitName::Validation);
        let training = DataFact { validation, ..fact(config.rows(SplitName::Train)) };
        let mut facts = vec![OutputFact { name: "training", fact: recipes("dataset", training) }];
        for split in SplitName::ALL.into_iter().filter(|&split| config.has(split)) {
            facts.push(OutputFact { name: split.name(), fact: recipes("split", fact(config.rows(split))) });
        }
        facts
    }

    fn config(&self) -> Tree {
        tree(&self.meaning())
    }

    fn sources(&self, roots: &SourceRoots) -> Result<Vec<Source>, String> {
        let roots = DataRoots { spec: roots.spec.clone(), data: roots.data.clone() };
        let files = self.meaning().files(&roots).map_err(|error| error.to_string())?;
        let source = |file: crate::data::SourceFile| Source {
            name: file.name,
            location: match file.bytes {
                SourceBytes::File(path) => Location::File(path),
                SourceBytes::Files(files) => Location::Files(files),
                SourceBytes::Embedded(bytes) => Location::Embedded(bytes),
            },
        };
        Ok(files.into_iter().map(source).collect())
    }

    fn memory(&self, _inputs: &InputFacts) -> u64 {
        let config = self.meaning();
        let rows = config.rows(SplitName::Train).unwrap_or(60_000) + config.rows(SplitName::Test).unwrap_or(10_000);
        // Files as they are and decoded.
        (rows * config.features().unwrap_or(1_000) * 2) as u64 + (16 << 20)
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let config = self.meaning();
        let digests = cx.sources().iter().map(|source| (source.name.clone(), source.digest)).collect();
        let mut tables = vec![("training", recipes()), ("train", recipes())];
        tables.extend(config.has(SplitName::Validation).then(|| ("validation", recipes())));
        tables.extend(config.has(SplitName::Test).then(|| ("test", recipes())));
        // Every split is made once, so that a broken file is found here and not in each of its readers.
        let mut held = Vec::new();
        for name in SplitName::ALL {
            let Some(recipe) = Recipe::of(&config, name, &digests).map_err(StageError::failed)? else { continue };
            let split = load(&recipe, &resolver(cx)).map_err(StageError::failed)?;
            for (table, rows) in &mut tables {
                if *table == name.name() || (*table == "training" && name != SplitName::Test) {
                    add(rows, name, &split, &recipe)?;
                }
            }
            held.push(split);
            cx.check()?;
        }
        let finished = tables
            .into_iter()
            .map(|(name, rows)| Ok((name, rows.finish().map_err(StageError::failed)?)))
            .collect::<Result<Vec<(&str, Table)>, StageError>>()?;
        Ok(Artifact::new(finished))
    }
}

impl Data {
    /// Reports everything that can be known to be wrong without reading, at the keys.
    fn check(&self, cx: &mut InferContext<'_>) {
        let source = Self::words(&[self.word()]);
        for (key, written, sources) in self.reserved() {
            if written && !sources.contains(&self.word()) {
                let message = format!("`{key}` has no use for {source}");
                let help = format!("leave it out; it belongs to {}", Self::words(sources));
                cx.faults.push(Fault::new("unused-key", cx.span_of(key), message, "no use here").help(help));
            }
        }
        if self.label.is_some() && self.target.is_some() {
            let message = "`label` and `target` cannot both be the answer";
            let fault = Fault::new("two-answers", cx.span_of("target"), message, "`label` is given too");
            cx.faults.push(fault.help("keep `label` for classes or `target` for numbers"));
        }
        let test = match &self.test {
            Some(TestKeys::Portion(portion)) => Some(portion),
            _ => None,
        };
        for (key, portion) in [("validation", self.validation.as_ref()), ("test", test)] {
            if portion.is_some_and(|portion| portion.portion().is_none()) {
                let message = format!("`{key}` must say exactly one of `first`, `last` and `share`");
                let fault = Fault::new("one-portion", cx.span_of(key), message, "not exactly one");
                cx.faults.push(fault.help("write, for example, `{ share = 0.1 }`"));
            }
        }
        for error in self.meaning().check() {
            let DataError::Setting { key, problem, fix } = error else { continue };
            let fault =
                Fault::new("wrong-data", cx.span_of(key), format!("`{key}` {problem}"), "does not fit the source");
            cx.faults.push(fault.help(fix));
        }
    }
}

fn recipes() -> TableBuilder {
    TableBuilder::new()
        .column(ColumnSpec::text("split").doc("which split"))
        .column(ColumnSpec::integer("rows").doc("rows of the split"))
        .column(ColumnSpec::integer("features").doc("features per row"))
        .column(ColumnSpec::integer("classes").doc("classes that labels come from; 0 for regression"))
        .column(ColumnSpec::text(RECIPE).doc("what makes the rows again from the files with these digests (BLAKE3)"))
}

fn add(table: &mut TableBuilder, name: SplitName, split: &Split, recipe: &Recipe) -> Result<(), StageError> {
    let recipe = recipe.to_json().map_err(StageError::failed)?;
    let cells =
        [name.name().into(), split.rows().into(), split.features().into(), split.classes().into(), recipe.into()];
    table.push(cells).map_err(StageError::failed)
}

/// The configuration as it enters the key: how each split is made but for the files, whose digests are in the key anyway.
fn tree(config: &DataConfig) -> Tree {
    let mut keys = BTreeMap::from([("source".to_owned(), Tree::String(config.source.name().to_owned()))]);
    let mut put = |key: &str, tree: Option<Tree>| keys.extend(tree.map(|tree| (key.to_owned(), tree)));
    for (key, reading) in
        [("reading", config.reading_of(SplitName::Train)), ("test_reading", config.reading_of(SplitName::Test))]
    {
        put(key, reading.as_ref().and_then(reading_tree));
    }
    put("validation", config.portion(SplitName::Validation).as_ref().map(portion_tree));
    put("test", config.portion(SplitName::Test).as_ref().map(portion_tree));
    let integer = |count: usize| Tree::Integer(count as i64);
    let limit = config.limit;
    put("limit.train", limit.train.map(integer));
    put("limit.validation", limit.validation.filter(|_| config.has(SplitName::Validation)).map(integer));
    put("limit.test", limit.test.filter(|_| config.has(SplitName::Test)).map(integer));
    put("size", config.resized().map(|size| Tree::List(size.map(integer).to_vec())));
    put("scale", Some(scale_tree(&config.resolved_scale())));
    Tree::Map(keys)
}

/// What says how a file of one's own is read; published sets have nothing to say.
fn reading_tree(reading: &Reading) -> Option<Tree> {
    let text = |text: &str| Tree::String(text.to_owned());
    let count = |count: Option<usize>| count.map_or(text("from the file"), |count| Tree::Integer(count as i64));
    let columns = |columns: &crate::data::Columns| {
        use crate::data::Answer;
        let list = |names: &[String]| Tree::List(names.iter().map(|name| text(name)).collect());
        let (key, answer, classes) = match &columns.answer {
            Answer::Label { column, classes } => ("label", text(column), count(*classes)),
            Answer::Targets(names) => ("target", list(names), Tree::Integer(0)),
        };
        let features = list(&columns.features);
        Tree::map([(key, answer), ("columns", features), ("classes", classes), ("features", count(columns.width))])
    };
    match reading {
        Reading::Digits | Reading::Mnist(_) | Reading::FashionMnist(_) | Reading::Cifar(..) | Reading::Boston => None,
        Reading::Gtsrb(_, pictures) | Reading::Folder(pictures) => Some(Tree::map([
            ("size", Tree::List(pictures.size.map(|side| Tree::Integer(side as i64)).to_vec())),
            ("grey", Tree::Bool(pictures.grey)),
            ("classes", count(pictures.classes)),
        ])),
        Reading::Parquet(table) | Reading::Csv(table) => Some(columns(table)),
        Reading::Npz(arrays) => Some(Tree::map([
            ("x", text(&arrays.x)),
            ("y", text(&arrays.y)),
            ("regression", Tree::Bool(arrays.regression)),
            ("features", count(arrays.features)),
            ("classes", count(arrays.classes)),
        ])),
    }
}

fn portion_tree(portion: &Portion) -> Tree {
    match portion {
        Portion::First(count) => Tree::map([("first", *count as i64)]),
        Portion::Last(count) => Tree::map([("last", *count as i64)]),
        Portion::Share { share, seed, stratified } => Tree::map([
            ("share", Tree::Float(*share)),
            ("seed", Tree::Integer(*seed as i64)),
            ("stratified", Tree::Bool(*stratified)),
        ]),
    }
}

fn scale_tree(scale: &Scale) -> Tree {
    let numbers = |numbers: &[f64]| Tree::List(numbers.iter().copied().map(Tree::Float).collect());
    let word = |word: &str| Tree::String(word.to_owned());
    match scale {
        Scale::Auto => word("auto"),
        Scale::Unit => word("unit"),
        Scale::None => word("none"),
        Scale::Standard => word("standard"),
        Scale::Fixed { mean, std } => Tree::map([("mean", numbers(mean)), ("std", numbers(std))]),
    }
}

#[cfg(test)]
mod tests;
