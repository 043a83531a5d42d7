use crate::support::Sandbox;

#[test]
fn kinds_are_listed() {
    insta::assert_snapshot!(Sandbox::new().duress(&["stages"]).whole(), @"
    --- stdout
    kinds of [stage.X]
      train     Fit a network to data by gradient descent
      prune     Remove weights by magnitude, gradient, flow or at random
      perturb   Move samples by an attack or by noise, and see who is fooled
      inject    Put faults into weights or activations, and count the damage
      evaluate  Accuracy, loss and calibration; activations of a layer
      bound     Bound the damage of crashing neurons, beside what was measured

    other sections
      data     Name a data set, part its rows into splits, scale its values
      weights  Weights that another program trained, from its file
      model    A network: an architecture and its parameters

    `duress stages NAME` documents every key.
    --- code 0
    ");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a snapshot is as long as what it shows")]
fn a_kind_documents_every_key() {
    insta::assert_snapshot!(Sandbox::new().duress(&["stages", "prune"]).whole(), @r#"
    --- stdout
    [stage.X], kind = "prune"

    Remove weights by magnitude, gradient, flow or at random

    Removes weights and says which are left.

    How many go is said by exactly one of `rate`, `rates`, `sparsity` and `like`. A rate is a share of the weights that are
    still kept: with `mask` set to the previous round's mask, rounds build on each other. A sparsity is a share of all weights.
    Without `mask` the weights that are exactly 0 count as removed already, so weights that were trained under a mask need
    not be told about it. Biases are never removed.

    keys

      weights: reference to weights, required
          The weights that are ranked.

      mask: reference to mask, optional
          The weights that are kept so far; by default those that are not 0.

      criterion: `"magnitude"` or `"random"` or `"snip"` or `"grasp"` or `"synflow"`, default "magnitude"
          By what weights are ranked; the lowest go first.
        "magnitude": Their absolute value.
        "random": A random order.
        "snip": Weight times gradient of the loss, absolute (Lee, Ajanthan and Torr 2019).
        "grasp": How much of the gradient's norm goes with them (Wang, Zhang and Grosse 2020).
        "synflow": What of a constant flows through them with all signs taken off (Tanaka, Kunin, Yamins and Ganguli 2020).

      data: reference to dataset or split, optional
          The rows that `snip` and `grasp` take the gradient of the loss on: training rows of a data set, or a split.

      per_class: whole number >= 1, in rows, default 10
          So many of those rows of each class, drawn at random, all in one batch.

      rate: number from 0 to 1, optional
          Share of the kept weights to remove.

      rates: table of names to number from 0 to 1, optional
          Shares of the kept weights to remove by layer, such as `{ "hidden.*" = 0.2, output = 0.1 }`; of several patterns the
          longest counts, and a layer that fits none keeps all.

      sparsity: number from 0 to 1, optional
          Share of all weights that is to be removed in the end.

      like: reference to mask, optional
          A mask of the same network: each layer is to keep as many weights as there, whichever they are.

      scope: `"layer"` or `"global"`, optional
          Whether weights are ranked within their layer or over all layers; with `rates` and `like` always within. By default
          `"global"` for `snip`, `grasp` and `synflow`, as their authors do, and else `"layer"`.
        "layer": The weights of their layer.
        "global": The weights of all layers.

      unit: `"weight"` or `"filter"`, `{ filter = { .. } }`, default "weight"
          What is removed as a whole; shares are of those. Where filters go the last layer keeps all, its rows are the classes.
        "weight": Each weight alone.
        "filter": The weights of a filter of a convolution, or those into a neuron, by a norm of their scores.
          norm: `"l1"` or `"l2"`, default "l2"
              How the scores of a filter's weights become one.
            "l1": Their mean (for magnitudes, Li et al. 2017).
            "l2": Their root mean square.

      protect: list of string, default []
          Layers that keep all their weights, such as `["hidden.1", "*downsample*"]`; shares of all layers do not count them.

      rounds: whole number >= 1, in rounds, optional
          Rounds in which weights go; scores are computed anew in each. By default 100 for `synflow`, and else 1.

      schedule: `"exponential"` or `"linear"` or `"cubic"`, default "exponential"
          How many weights are left after each round.
        "exponential": Fewer by the same factor each round.
        "linear": Fewer by the same number each round.
        "cubic": Many go at first, few in the end (Zhu and Gupta 2017).

      round: whole number >= 0, optional
          Do this round alone, from 0: for a study that trains between the rounds of a `sparsity`. Round 0 removes nothing, and
          the last one is number `rounds`.

      rule: `"exact"` or `"published"`, default "exact"
          How a share becomes a number of weights.
        "exact": The share times the weights, rounded, halves to even.
        "published": One more, and all whose score equals that of the last: as the program behind arXiv 1912.02386 counts.

      ablation: `"shuffle"` or `"reinitialise"` or `"invert"`, optional
          A control, to see whether it matters which weights go.
        "shuffle": What went is moved to random places of the same layer.
        "reinitialise": The weights that are kept are drawn anew as `model` says.
        "invert": The highest go instead of the lowest.

      model: name of a `[model.X]` table, optional
          How the ablation `reinitialise` draws weights.

      seed: whole number >= 0, the study's seed if absent, optional
          Seed of the criterion `random`, of the rows of `data`, and of ablations.

    outputs

      mask     mask     Which weights are kept
      weights  weights  The weights, those removed being 0
      layers   table    What each layer and the whole network kept

    example

      [study]
      name = "sparsities"

      [axes]
      sparsity = [0.5, 0.9]
      criterion = ["magnitude", "random", "snip", "grasp", "synflow"]

      [data.digits]
      source = "digits"

      [model.small]
      arch = "mlp"
      hidden = [32]

      [stage.train]
      kind = "train"
      model = "small"
      data = "digits"
      epochs = 5
      batch = 32

      [stage.sparse]
      kind = "prune"
      weights = "train"
      criterion = "{criterion}"
      data = "digits"
      sparsity = "{sparsity}"
      scope = "global"
    --- code 0
    "#);
}

#[test]
fn a_slip_is_understood() {
    insta::assert_snapshot!(Sandbox::new().duress(&["stages", "trian"]).whole(), @"
    --- stderr
    error: there is no kind `trian`
    help: did you mean `train`?
    --- code 2
    ");
}

#[test]
fn the_schema_is_json_and_knows_every_kind() {
    let output = Sandbox::new().duress(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&output.stdout).expect("the schema is JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for kind in duress::stages::REGISTRY.kinds {
        assert!(output.stdout.contains(&format!("\"{}\"", kind.name)), "{}", kind.name);
    }
}

#[test]
fn completions_are_written_for_common_shells() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = Sandbox::new().duress(&["completions", shell]);
        assert!(output.code == 0 && output.stdout.contains("duress"), "{shell}");
    }
}
