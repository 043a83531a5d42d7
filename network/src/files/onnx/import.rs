//! An ONNX graph as a network: nodes in order, constants as parameters, everything that is not understood listed at once.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::attention::Scores;
use super::constant::Constant;
use super::laid::{Laid, MOST_LISTED};
use super::model::{Graph, Model, Node, ValueInfo};
use super::settings::Settings;
use super::settle::settle;
use super::{attention, constants, gelu, moves, operators, recurrent};
use crate::files::draft::{Draft, Known};
use crate::files::error::Fault;
use crate::graph::Network;
use crate::tensor::Tensor;

/// What a name in the graph stands for.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// What a layer computes.
    Computed(Known),
    /// A constant.
    Constant(Rc<Constant<'a>>),
    /// A part of a formula that becomes one operation.
    Part(gelu::Part),
    /// What a layer computes, in another order or shape.
    Laid(Laid),
    /// Scores of an attention.
    Scores(Rc<Scores>),
    /// Several arrays side by side along their first axis, where each has one entry.
    Stack(Vec<Laid>),
}

/// A network's numbers may be this many times those of its file, which fit in four bytes each.
const COPIES: usize = 4;

/// Operators that do the same at every place, wherever the batch is.
const POINTWISE: [&str; 19] = [
    "Add",
    "Sum",
    "Sub",
    "Mul",
    "Div",
    "MatMul",
    "Gemm",
    "LayerNormalization",
    "Relu",
    "LeakyRelu",
    "Elu",
    "Sigmoid",
    "Tanh",
    "Softplus",
    "Gelu",
    "Clip",
    "Identity",
    "Dropout",
    "Cast",
];

/// A graph under translation.
#[derive(Debug)]
pub(super) struct Translation<'a> {
    pub(super) draft: Draft,
    pub(super) opset: i64,
    values: BTreeMap<String, Value<'a>>,
    /// How many nodes read each name.
    readers: BTreeMap<String, usize>,
    /// Vectors under the image of one pixel that ONNX makes of them, by the number of that image.
    pub(super) pooled: BTreeMap<usize, Known>,
    /// Values that are others times a number, by their own number.
    pub(super) scaled: BTreeMap<usize, (Known, f32)>,
    /// Attentions whose last bias is still to be added.
    pub(super) unbiased: BTreeSet<usize>,
    /// Numbers that orders may still list.
    pub(super) listed: Cell<usize>,
    /// Numbers that constants and parameters may still take: a small file can use one constant in many places.
    left: Cell<usize>,
    /// Names of nodes by operators that are not known.
    unsupported: BTreeMap<String, Vec<String>>,
}

/// The network and its parameters, of a file of `bytes`.
pub(super) fn network(model: Model<'_>, bytes: usize) -> Result<(Network, Vec<Tensor>), Fault> {
    let graph = model.graph.ok_or_else(|| Fault::malformed("it has no graph"))?;
    let mut translation = Translation::new(&graph, model.opset, bytes)?;
    for node in &graph.nodes {
        translation.node(node);
    }
    translation.finish(&graph.outputs)
}

impl<'a> Translation<'a> {
    fn new(graph: &Graph<'a>, opset: i64, bytes: usize) -> Result<Self, Fault> {
        let constants = graph.initialisers.iter();
        let mut values: BTreeMap<String, Value<'a>> =
            constants.map(|constant| (constant.name.clone(), Value::Constant(Rc::new(constant.clone())))).collect();
        let inputs: Vec<&ValueInfo> = graph.inputs.iter().filter(|input| !values.contains_key(&input.name)).collect();
        let [input] = inputs[..] else {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(Fault::Graph(vec![format!("it has the inputs {names:?}; export a model with one input")]));
        };
        let shape = input.shape.get(1..).unwrap_or_default().iter().copied().collect::<Option<Vec<usize>>>();
        let shape =
            shape.filter(|shape| !shape.is_empty() && shape.iter().all(|&extent| extent > 0)).ok_or_else(|| {
                let problem = format!("its input `{}` has the shape {:?}", input.name, input.shape);
                Fault::Graph(vec![format!("{problem}; export it with fixed extents after the batch")])
            })?;
        let draft = Draft::new(shape);
        values.insert(input.name.clone(), Value::Computed(draft.input()));
        let mut readers = BTreeMap::new();
        for name in graph.nodes.iter().flat_map(|node| &node.inputs).chain(graph.outputs.iter().map(|o| &o.name)) {
            *readers.entry(name.clone()).or_insert(0) += 1;
        }
        let (pooled, scaled, unsupported) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (unbiased, listed) = (BTreeSet::new(), Cell::new(MOST_LISTED));
        let left = Cell::new(bytes.saturating_mul(COPIES).saturating_add(1 << 16));
        Ok(Self { draft, opset, values, readers, pooled, scaled, unbiased, listed, left, unsupported })
    }

    fn node(&mut self, node: &Node<'a>) {
        let settings = Settings::of(node);
        if let Some(value) = gelu::translate(self, node) {
            return self.define(node, &value);
        }
        let known_domain = matches!(node.domain.as_str(), "" | "ai.onnx");
        let Some(outcome) = known_domain.then(|| self.values_of(node, &settings)).flatten() else {
            return self.refuse(node);
        };
        let title = title(node);
        for name in settings.unknown() {
            self.draft.problem(format!("node {title} has the attribute `{name}`, which is not supported"));
        }
        let values = outcome.unwrap_or_else(|problem| {
            self.draft.problem(format!("node {title} {problem}"));
            vec![Value::Computed(self.guess(node)); node.outputs.len()]
        });
        if let Some(extra) = node.outputs.iter().skip(values.len()).find(|name| self.is_read(name)) {
            self.draft
                .problem(format!("node {title} gives `{extra}` besides its first output, which is not supported"));
        }
        self.define(node, values.first().unwrap_or(&Value::Computed(self.guess(node))));
        for (name, value) in node.outputs.iter().zip(values).filter(|(name, _)| !name.is_empty()) {
            self.values.insert(name.clone(), value);
        }
    }

    /// What `node` gives, output by output; `None` where its operator is not known.
    fn values_of(&mut self, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Option<Result<Vec<Value<'a>>, String>> {
        if let Some(folded) = constants::fold(self, node, settings) {
            return Some(folded.map(|constant| vec![Value::Constant(constant)]));
        }
        if let Some(outcome) = attention::translate(self, node, settings) {
            return Some(outcome.map(|value| vec![value]));
        }
        if let Some(outcome) = recurrent::translate(self, node, settings) {
            return Some(outcome);
        }
        if let Some(outcome) = moves::translate(self, node, settings) {
            return Some(outcome);
        }
        if let Some(stack) = self.stack(node, settings) {
            return Some(Ok(vec![stack]));
        }
        let mut before = Vec::new();
        let outer = self.settle(node, &mut before);
        let outcome = operators::translate(self, node, settings);
        for (name, value) in before {
            self.values.insert(name, value);
        }
        let outcome = outcome?;
        let outer = match outer {
            Ok(outer) => outer,
            Err(problem) => return Some(Err(problem)),
        };
        Some(outcome.map(|known| {
            let laid = outer.filter(|_| !known.guessed).and_then(|shape| rewrapped(&known, shape));
            vec![laid.map_or(Value::Computed(known), Value::Laid)]
        }))
    }

    /// Arrays of one entry each, side by side along their first axis: the last states of several recurrent layers.
    fn stack(&self, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Option<Value<'a>> {
        if node.op != "Concat" || settings.int("axis", 1) != 0 {
            return None;
        }
        let parts = node.inputs.iter().map(|name| match self.values.get(name) {
            Some(Value::Laid(laid)) if laid.shape.first() == Some(&1) => Some(laid.clone()),
            _ => None,
        });
        parts.collect::<Option<Vec<_>>>().map(Value::Stack)
    }

    /// Turns the inputs of `node` that were laid out anew into what layers compute, and tells the shape that they all have in
    /// the file, where their batch is not first; what they were for other nodes goes to `before`.
    fn settle(&mut self, node: &Node<'a>, before: &mut Vec<(String, Value<'a>)>) -> Result<Option<Vec<usize>>, String> {
        let mut shapes: Vec<Vec<usize>> = Vec::new();
        let mut moved = false;
        for name in node.inputs.iter().filter(|name| !name.is_empty()) {
            match self.values.get(name).cloned() {
                Some(Value::Laid(laid)) => {
                    let settled = settle(self, node, &laid)?;
                    let old = self.values.insert(name.clone(), Value::Computed(settled.known));
                    if settled.outer.is_some() {
                        moved = true;
                        before.extend(old.map(|old| (name.clone(), old)));
                    }
                    shapes.push(laid.shape);
                }
                Some(Value::Computed(known)) => shapes.push(Laid::of(&known).shape),
                _ => {}
            }
        }
        if !moved {
            return Ok(None);
        }
        if !POINTWISE.contains(&node.op.as_str()) {
            return Err(format!(
                "reads an array {:?} whose first extent is not the batch, which is not supported",
                shapes[0]
            ));
        }
        if shapes.iter().any(|shape| *shape != shapes[0]) {
            return Err(format!("combines arrays of shapes {shapes:?}, which is not supported"));
        }
        Ok(shapes.into_iter().next())
    }

    fn refuse(&mut self, node: &Node<'a>) {
        let domain = if node.domain.is_empty() { String::new() } else { format!("{}.", node.domain) };
        let name = if node.name.is_empty() { node.outputs.first() } else { Some(&node.name) };
        let nodes = self.unsupported.entry(format!("{domain}{}", node.op)).or_default();
        nodes.push(name.cloned().unwrap_or_default());
        let guess = self.guess(node);
        self.define(node, &Value::Computed(guess));
    }

    fn define(&mut self, node: &Node<'a>, value: &Value<'a>) {
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            self.values.insert(name.clone(), value.clone());
        }
    }

    /// What stands in for the output of a node that is not understood: its first computed input.
    fn guess(&self, node: &Node<'a>) -> Known {
        let computed = node.inputs.iter().find_map(|name| match self.values.get(name) {
            Some(Value::Computed(known)) => Some(known.clone()),
            _ => None,
        });
        Known { guessed: true, ..computed.unwrap_or_else(|| self.draft.input()) }
    }

    fn finish(mut self, outputs: &[ValueInfo]) -> Result<(Network, Vec<Tensor>), Fault> {
        for (operator, nodes) in std::mem::take(&mut self.unsupported) {
            let more = if nodes.len() > 3 { format!(" and {} more", nodes.len() - 3) } else { String::new() };
            let names = nodes.iter().take(3).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            self.draft
                .problem(format!("operator {operator} is not supported: {names}{more}; replace it before exporting"));
        }
        if outputs.len() != 1 {
            self.draft.problem(format!("it has {} outputs; export a model with one", outputs.len()));
        }
        let output = outputs.first().and_then(|output| self.values.remove(&output.name));
        let Some(Value::Computed(output)) = output else {
            self.draft.problem("its output is not computed from its input; export the whole model");
            let input = self.draft.input();
            return self.draft.finish(&input);
        };
        self.draft.finish(&output)
    }

    /// Input `index` of `node`, absent where the node leaves it out.
    pub(super) fn input(&self, node: &Node<'a>, index: usize) -> Result<Option<&Value<'a>>, String> {
        match node.inputs.get(index).filter(|name| !name.is_empty()) {
            None => Ok(None),
            Some(name) => match self.values.get(name) {
                Some(value) => Ok(Some(value)),
                None => Err(format!("reads `{name}`, which nothing before it gives")),
            },
        }
    }

    /// Input `index`, which a layer computes.
    pub(super) fn computed(&self, node: &Node<'a>, index: usize) -> Result<Known, String> {
        match self.input(node, index)? {
            Some(Value::Computed(known)) => Ok(known.clone()),
            _ => Err(format!("has a constant or nothing as input {index}, where a computed value belongs")),
        }
    }

    /// Input `index`, which is constant where it is given.
    pub(super) fn constant(&self, node: &Node<'a>, index: usize) -> Result<Option<&Constant<'a>>, String> {
        match self.input(node, index)? {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant.as_ref())),
            Some(_) => Err(format!("computes input {index}, which must be constant")),
        }
    }

    /// The shape and numbers of input `index`, which must be constant.
    pub(super) fn weights(&self, node: &Node<'a>, index: usize) -> Result<(Vec<usize>, Vec<f32>), String> {
        let constant = self.constant(node, index)?.ok_or_else(|| format!("lacks input {index}"))?;
        let values = constant.values().map_err(text)?;
        self.charge(values.len())?;
        Ok((constant.extents().map_err(text)?, values))
    }

    /// Fails where `count` more numbers are more than the file can honestly need.
    pub(super) fn charge(&self, count: usize) -> Result<(), String> {
        let left = self.left.get().checked_sub(count);
        self.left.set(left.ok_or("repeats constants to more numbers than the file can need; store them apart")?);
        Ok(())
    }

    /// What a layer computes as value `value`.
    pub(super) fn known(&self, value: usize) -> Option<Known> {
        self.values.values().find_map(|known| match known {
            Value::Computed(known) if known.value == value => Some(known.clone()),
            _ => None,
        })
    }

    /// Whether `name` is read once, so that what gives it may be changed.
    pub(super) fn is_read_once(&self, name: &str) -> bool {
        self.readers.get(name) == Some(&1)
    }

    /// Whether something reads `name`.
    pub(super) fn is_read(&self, name: &str) -> bool {
        !name.is_empty() && self.readers.contains_key(name)
    }

    /// Whether `name` is a constant.
    pub(super) fn is_constant(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Value::Constant(_)))
    }

    /// A free name for what a layer needs before that of `node`.
    pub(super) fn part(&mut self, node: &Node<'a>, part: &str) -> String {
        let name = self.name(node);
        self.draft.free_name(&format!("{name}.{part}"))
    }

    /// A free name for the layer of `node`: that of its weight without `.weight`, else its own.
    pub(super) fn name(&mut self, node: &Node<'a>) -> String {
        let module = node.inputs.get(1).and_then(|name| name.strip_suffix(".weight"));
        let own = if node.name.is_empty() { node.outputs.first() } else { Some(&node.name) };
        let own = || own.map(|name| name.trim_start_matches('/').replace('/', ".")).unwrap_or_default();
        self.draft.free_name(&module.map_or_else(own, str::to_owned))
    }
}

/// What `known` is in the file, where what it was made of has the shape `outer`.
fn rewrapped(known: &Known, mut outer: Vec<usize>) -> Option<Laid> {
    *outer.last_mut()? = *known.shape.last()?;
    (outer.iter().product::<usize>() == known.shape.iter().product::<usize>()).then(|| Laid::shaped(known, outer))
}

/// A node as messages call it.
fn title(node: &Node<'_>) -> String {
    let name = if node.name.is_empty() { node.outputs.first() } else { Some(&node.name) };
    format!("`{}` ({})", name.map_or("", String::as_str), node.op)
}

/// A fault of a constant, in words.
pub(super) fn text(fault: Fault) -> String {
    match fault {
        Fault::Malformed(problem) | Fault::Unsupported(problem, _) => problem,
        Fault::Graph(problems) => problems.join("; "),
    }
}
