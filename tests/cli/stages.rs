use crate::support::Sandbox;

#[test]
fn kinds_are_listed() {
    insta::assert_snapshot!(Sandbox::new().duress(&["stages"]).whole(), @"
    --- stdout
    kinds of [stage.X]
      train     Fit a network to data by gradient descent
      prune     Remove weights by magnitude or at random
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
fn a_kind_documents_every_key() {
    insta::assert_snapshot!(Sandbox::new().duress(&["stages", "prune"]).whole(), @r#"
    --- stdout
    [stage.X], kind = "prune"

    Remove weights by magnitude or at random

    Removes weights and says which are left.

    How many go is said by exactly one of `rate`, `rates` and `sparsity`. A rate is a share of the weights that are still
    kept: with `mask` set to the previous round's mask, rounds build on each other. A sparsity is a share of all weights.
    Without `mask` the weights that are exactly 0 count as removed already, so weights that were trained under a mask need
    not be told about it. Biases are never removed.

    keys

      weights: reference to weights, required
          The weights that are ranked.

      mask: reference to mask, optional
          The weights that are kept so far; by default those that are not 0.

      criterion: `"magnitude"` or `"random"`, default "magnitude"
          By what weights are ranked; the lowest go first.
        "magnitude": Their absolute value.
        "random": A random order.

      rate: number from 0 to 1, optional
          Share of the kept weights to remove.

      rates: table of names to number from 0 to 1, optional
          Shares of the kept weights to remove by layer, such as `{ "hidden.*" = 0.2, output = 0.1 }`; of several patterns the
          longest counts, and a layer that fits none keeps all.

      sparsity: number from 0 to 1, optional
          Share of all weights that is to be removed in the end.

      scope: `"layer"` or `"global"`, default "layer"
          Whether weights are ranked within their layer or over all layers; with `rates` always within.
        "layer": The weights of their layer.
        "global": The weights of all layers.

      rule: `"exact"` or `"published"`, default "exact"
          How a share becomes a number of weights.
        "exact": The share times the weights, rounded, halves to even.
        "published": One more, as the program behind arXiv 1912.02386 counts.

      seed: whole number >= 0, the study's seed if absent, optional
          Seed of the criterion `random`.

    outputs

      mask     mask     Which weights are kept
      weights  weights  The weights, those removed being 0
      layers   table    What each layer and the whole network kept

    example

      [study]
      name = "sparsities"

      [axes]
      sparsity = [0.5, 0.9]
      criterion = ["magnitude", "random"]

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
