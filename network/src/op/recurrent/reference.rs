//! The definition of recurrent layers.

use super::forward::{Cell, Stack};
use crate::op::arithmetic::Given;
use crate::op::linear::reference::map;

impl Stack {
    /// The outputs of the last layer.
    pub(crate) fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let [steps, features] = [given.shapes[0][0], given.shapes[0][1]];
        let image = |x: &[f64]| {
            let (mut x, mut features) = (x.to_vec(), features);
            for layer in 0..self.layers {
                x = self.layer(&x, features, &given.parameters[layer * self.parameters()..]);
                features = self.hidden;
            }
            x
        };
        given.x[0].chunks_exact(steps * features).flat_map(image).collect()
    }

    fn layer(&self, x: &[f64], features: usize, p: &[&[f64]]) -> Vec<f64> {
        let wide = self.cell.gates() * self.hidden;
        let none = vec![0.0; wide];
        let [input_bias, output_bias] = if self.bias { [p[2], p[3]] } else { [&none[..], &none[..]] };
        let (mut h, mut c) = (vec![0.0; self.hidden], vec![0.0; self.hidden]);
        let mut all = Vec::new();
        for x in x.chunks_exact(features) {
            let (a, b) = (map(x, features, p[0], input_bias), map(&h, self.hidden, p[1], output_bias));
            let sums: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
            let logistic = |z: f64| 1.0 / (1.0 + (-z).exp());
            match self.cell {
                Cell::Plain(f) => h = sums.iter().map(|z| f.value(*z)).collect(),
                Cell::Lstm => {
                    for j in 0..self.hidden {
                        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| sums[gate * self.hidden + j]);
                        c[j] = logistic(f) * c[j] + logistic(i) * g.tanh();
                        h[j] = logistic(o) * c[j].tanh();
                    }
                }
            }
            all.extend_from_slice(&h);
        }
        all
    }
}
