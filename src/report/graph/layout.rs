//! A small layered layout after Sugiyama, Tagawa & Toda 1981: longest-path layers, barycentre ordering, and rows that are
//! pulled towards their neighbours. Good for the dozen sections of a study; made for no more than a few thousand nodes.

/// Where things go: columns are layers, rows are centres measured in units of the caller.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The layer of each node.
    pub(super) layer: Vec<usize>,
    /// The centre of each node across the flow.
    pub(super) centre: Vec<f64>,
    /// For each edge, the (layer, centre) it passes strictly between its ends, in the order of the flow.
    pub(super) via: Vec<Vec<(usize, f64)>>,
}

/// Lays out a graph whose edges lead from lower to higher indices (others are ignored for the layers).
///
/// `sizes` are the extents of the nodes across the flow, `gap` is what must stay free between two.
pub(super) fn layout(sizes: &[f64], edges: &[(usize, usize)], gap: f64) -> Layout {
    let layer = layers(sizes.len(), edges);
    let mut graph = Layered::new(sizes, edges, &layer);
    graph.order();
    let centre = graph.place(gap);
    let via = (graph.chains.iter())
        .map(|chain| chain.iter().map(|&node| (graph.layer[node], centre[node])).collect())
        .collect();
    Layout { layer, centre: centre[..sizes.len()].to_vec(), via }
}

/// Longest path from a source; sources are then moved next to their first reader.
fn layers(nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut layer = vec![0; nodes];
    let mut forward: Vec<_> = edges.iter().copied().filter(|(from, to)| from < to).collect();
    forward.sort_unstable_by_key(|&(from, to)| (to, from));
    for &(from, to) in &forward {
        layer[to] = layer[to].max(layer[from] + 1);
    }
    let read: Vec<bool> = (0..nodes).map(|node| forward.iter().any(|&(_, to)| to == node)).collect();
    for node in (0..nodes).filter(|&node| !read[node]) {
        let first = forward.iter().filter(|(from, _)| *from == node).map(|&(_, to)| layer[to]).min();
        layer[node] = first.map_or(0, |first| first - 1);
    }
    layer
}

/// The graph with long edges cut into pieces by nodes of size 0.
struct Layered {
    sizes: Vec<f64>,
    layer: Vec<usize>,
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
    rows: Vec<Vec<usize>>,
    chains: Vec<Vec<usize>>,
}

impl Layered {
    fn new(sizes: &[f64], edges: &[(usize, usize)], layer: &[usize]) -> Self {
        let depth = layer.iter().max().map_or(0, |last| last + 1);
        let mut graph = Self {
            sizes: Vec::new(),
            layer: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            rows: vec![Vec::new(); depth],
            chains: Vec::new(),
        };
        for (&size, &layer) in sizes.iter().zip(layer) {
            graph.add(size, layer);
        }
        for &(from, to) in edges {
            let mut chain = Vec::new();
            if from < to {
                let mut last = from;
                for between in layer[from] + 1..layer[to] {
                    let bend = graph.add(0.0, between);
                    graph.connect(last, bend);
                    chain.push(bend);
                    last = bend;
                }
                graph.connect(last, to);
            }
            graph.chains.push(chain);
        }
        graph
    }

    fn add(&mut self, size: f64, layer: usize) -> usize {
        let node = self.sizes.len();
        self.sizes.push(size);
        self.layer.push(layer);
        self.before.push(Vec::new());
        self.after.push(Vec::new());
        self.rows[layer].push(node);
        node
    }

    fn connect(&mut self, from: usize, to: usize) {
        self.after[from].push(to);
        self.before[to].push(from);
    }

    /// Sweeps forth and back, ordering each layer by the mean position of its neighbours; keeps the best order seen.
    fn order(&mut self) {
        let mut best = (self.crossings(), self.rows.clone());
        for sweep in 0..12 {
            let layers: Vec<usize> =
                if sweep % 2 == 0 { (0..self.rows.len()).collect() } else { (0..self.rows.len()).rev().collect() };
            for layer in layers {
                let neighbours = if sweep % 2 == 0 { &self.before } else { &self.after };
                let position = self.positions();
                let key = |node: &usize| {
                    let of = &neighbours[*node];
                    if of.is_empty() {
                        return position[*node];
                    }
                    of.iter().map(|&other| position[other]).sum::<f64>() / of.len() as f64
                };
                self.rows[layer].sort_by(|a, b| key(a).total_cmp(&key(b)));
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.rows.clone());
            }
        }
        self.rows = best.1;
    }

    /// Each node's place in its layer, from 0 to 1.
    fn positions(&self) -> Vec<f64> {
        let mut position = vec![0.0; self.sizes.len()];
        for row in &self.rows {
            for (place, &node) in row.iter().enumerate() {
                position[node] = (place as f64 + 0.5) / row.len() as f64;
            }
        }
        position
    }

    fn crossings(&self) -> usize {
        let position = self.positions();
        let mut crossings = 0;
        for row in &self.rows {
            let mut ends: Vec<(f64, f64)> = (row.iter())
                .flat_map(|&node| self.after[node].iter().map(move |&to| (node, to)))
                .map(|(node, to)| (position[node], position[to]))
                .collect();
            ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            // Quadratic, so only as a guide for pictures a person can read at all.
            if ends.len() <= 2000 {
                crossings += (0..ends.len())
                    .map(|i| ends[i + 1..].iter().filter(|end| end.0 > ends[i].0 && end.1 < ends[i].1).count())
                    .sum::<usize>();
            }
        }
        crossings
    }

    /// Centres: stacked first, then repeatedly moved towards the mean of their neighbours as far as the gaps allow.
    fn place(&self, gap: f64) -> Vec<f64> {
        let mut centre = vec![0.0; self.sizes.len()];
        for row in &self.rows {
            let total: f64 = row.iter().map(|&node| self.sizes[node] + gap).sum();
            let mut at = -total / 2.0;
            for &node in row {
                centre[node] = at + f64::midpoint(self.sizes[node], gap);
                at += self.sizes[node] + gap;
            }
        }
        for sweep in 0..24 {
            let layers: Vec<usize> =
                if sweep % 2 == 0 { (0..self.rows.len()).collect() } else { (0..self.rows.len()).rev().collect() };
            for layer in layers {
                self.settle(layer, gap, &mut centre);
            }
        }
        centre
    }

    /// Moves one layer's nodes to where their neighbours want them: of all placements that keep order and gaps, the one
    /// nearest to the wishes in least squares (pool adjacent violators).
    fn settle(&self, layer: usize, gap: f64, centre: &mut [f64]) {
        let row = &self.rows[layer];
        let mut offset = Vec::with_capacity(row.len());
        let mut blocks: Vec<(f64, usize)> = Vec::new();
        let mut at = 0.0;
        for (place, &node) in row.iter().enumerate() {
            if place > 0 {
                at += f64::midpoint(self.sizes[row[place - 1]], self.sizes[node]) + gap;
            }
            offset.push(at);
            let around = self.before[node].iter().chain(&self.after[node]);
            let wanted: Vec<f64> = around.map(|&other| centre[other]).collect();
            let wish = if wanted.is_empty() { centre[node] } else { wanted.iter().sum::<f64>() / wanted.len() as f64 };
            blocks.push((wish - at, 1));
            while blocks.len() > 1 && blocks[blocks.len() - 2].0 > blocks[blocks.len() - 1].0 {
                let (last, count) = blocks.pop().unwrap_or_default();
                if let Some((mean, size)) = blocks.last_mut() {
                    *mean = (*mean * *size as f64 + last * count as f64) / (*size + count) as f64;
                    *size += count;
                }
            }
        }
        let shifts = blocks.iter().flat_map(|&(mean, count)| std::iter::repeat_n(mean, count));
        for ((&node, offset), shift) in row.iter().zip(offset).zip(shifts) {
            centre[node] = offset + shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_follow_the_longest_path_and_sources_stay_near_their_readers() {
        let edges = [(0, 1), (1, 2), (0, 2), (3, 4), (2, 4)];
        assert_eq!(layers(5, &edges), [0, 1, 2, 2, 3]);
    }

    #[test]
    fn boxes_of_a_layer_never_overlap() {
        let sizes = [30.0, 30.0, 50.0, 20.0, 30.0, 40.0];
        let edges = [(0, 2), (0, 3), (1, 4), (1, 2), (2, 5), (3, 5), (4, 5)];
        let out = layout(&sizes, &edges, 10.0);
        for a in 0..sizes.len() {
            for b in a + 1..sizes.len() {
                let apart = (out.centre[a] - out.centre[b]).abs();
                assert!(out.layer[a] != out.layer[b] || apart >= f64::midpoint(sizes[a], sizes[b]) + 10.0 - 1e-9);
            }
        }
    }

    #[test]
    fn two_crossing_edges_are_untangled() {
        let out = layout(&[10.0; 4], &[(0, 3), (1, 2)], 5.0);
        assert_eq!(out.centre[0] < out.centre[1], out.centre[3] < out.centre[2]);
    }

    #[test]
    fn a_long_edge_passes_every_layer_between_its_ends() {
        let out = layout(&[10.0; 4], &[(0, 1), (1, 2), (2, 3), (0, 3)], 5.0);
        assert_eq!(out.via[3].iter().map(|(layer, _)| *layer).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn edges_against_the_flow_do_not_disturb_the_layers() {
        assert_eq!(layers(2, &[(0, 1), (1, 0), (1, 1)]), [0, 1]);
    }
}
