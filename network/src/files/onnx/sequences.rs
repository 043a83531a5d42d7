//! Attention and recurrent layers in ONNX's operators.

use super::export::{Layer, multiply};
use super::wire::Message;
use super::writer::{Writer, int, ints};
use crate::tensor::Tensor;

impl Layer<'_> {
    pub(super) fn attention(&self, to: &mut Writer, heads: usize) {
        let (steps, features) = (self.shape[0] as i64, self.shape[1] as i64);
        let [in_weight, in_bias, out_weight, out_bias] = self.tensors else { return };
        multiply(to, &self.inputs[0], in_weight, &self.part("projected"));
        let bias = to.tensor(in_bias);
        let all = to.node("Add", &[&self.part("projected"), &bias], &self.part("qkv"), vec![]);
        let widths = to.ints(&self.part("widths"), &[features; 3]);
        let parts = ["q", "k", "v"].map(|name| self.part(name));
        to.node_of_many("Split", &[&all, &widths], &parts, vec![int("axis", 2)]);
        let split = to.ints(&self.part("split"), &[0, steps, heads as i64, features / heads as i64]);
        let [q, k, v] = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]].map(|axes| ints("perm", &axes));
        let by_head: Vec<String> = parts
            .iter()
            .zip([q, k, v])
            .map(|(part, axes)| {
                let split = to.node("Reshape", &[part, &split], &format!("{part}.split"), vec![]);
                to.node("Transpose", &[&split], &format!("{part}.heads"), vec![axes])
            })
            .collect();
        let scores = to.node("MatMul", &[&by_head[0], &by_head[1]], &self.part("scores"), vec![]);
        let root = to.floats(&self.part("root"), &[], &[(self.shape[1] as f32 / heads as f32).sqrt()]);
        let scaled = to.node("Div", &[&scores, &root], &self.part("scaled"), vec![]);
        let shares = to.node("Softmax", &[&scaled], &self.part("shares"), vec![int("axis", -1)]);
        let seen = to.node("MatMul", &[&shares, &by_head[2]], &self.part("seen"), vec![]);
        let steps_first = to.node("Transpose", &[&seen], &self.part("by_step"), vec![ints("perm", &[0, 2, 1, 3])]);
        let joined = to.ints(&self.part("joined"), &[0, steps, features]);
        let context = to.node("Reshape", &[&steps_first, &joined], &self.part("context"), vec![]);
        multiply(to, &context, out_weight, &self.part("mixed"));
        let bias = to.tensor(out_bias);
        self.node(to, "Add", &[&self.part("mixed"), &bias], vec![]);
    }

    /// Recurrent layers; `gates` is the order of ONNX's gates among `PyTorch`'s.
    pub(super) fn recurrent(
        &self,
        to: &mut Writer,
        op: &str,
        hidden: usize,
        layers: usize,
        gates: &[usize],
        mut more: Vec<Message>,
    ) {
        let steps_first = ints("perm", &[1, 0, 2]);
        let mut x = to.node("Transpose", &[&self.inputs[0]], &self.part("steps"), vec![steps_first.clone()]);
        let axis = to.ints(&self.part("direction"), &[1]);
        more.push(int("hidden_size", hidden as i64));
        let per_layer = self.tensors.len() / layers;
        for (layer, tensors) in self.tensors.chunks(per_layer).enumerate() {
            let reorder = |tensor: &Tensor| {
                let gate = tensor.values.len() / gates.len();
                gates.iter().flat_map(|&at| &tensor.values[at * gate..(at + 1) * gate]).copied().collect::<Vec<f32>>()
            };
            let mut inputs = vec![x];
            for tensor in &tensors[..2] {
                let shape: Vec<usize> = [1].into_iter().chain(tensor.shape.iter().copied()).collect();
                inputs.push(to.floats(&tensor.name, &shape, &reorder(tensor)));
            }
            if let [_, _, of_input, of_state] = tensors {
                let both = [reorder(of_input), reorder(of_state)].concat();
                inputs.push(to.floats(&self.part(&format!("bias{layer}")), &[1, both.len()], &both));
            }
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let states = to.node(op, &inputs, &self.part(&format!("states{layer}")), more.clone());
            x = to.node("Squeeze", &[&states, &axis], &self.part(&format!("layer{layer}")), vec![]);
        }
        self.node(to, "Transpose", &[&x], vec![steps_first]);
    }
}
