//! Imported weights held to the outputs of the program that they come from.

use std::fmt::Write;
use std::path::Path;

use crate::support::Sandbox;

const SPEC: &str = r#"
[study]
name = "parity"
[data.digits]
source = "digits"
[model.small]
arch = "mlp"
hidden = [32]
[weights.theirs]
path = "digits.safetensors"
model = "small"
input = [64]
classes = 10
parity = { inputs = "inputs.csv", outputs = "outputs.csv" }
[stage.clean]
kind = "evaluate"
weights = "theirs"
data = "digits.test"
"#;

/// A tensor of a safetensors file.
fn tensor(raw: &[u8], name: &str) -> Vec<f64> {
    let length = u64::from_le_bytes(raw[..8].try_into().expect("eight bytes")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&raw[8..8 + length]).expect("a header");
    let place = |at: usize| header[name]["data_offsets"][at].as_u64().expect("an offset") as usize + 8 + length;
    let numbers = raw[place(0)..place(1)].as_chunks().0.iter();
    numbers.map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect()
}

/// What the definition of the network gives for `x`, in double precision.
fn outputs(raw: &[u8], x: &[f64]) -> Vec<f64> {
    let layer = |name: &str, x: &[f64]| -> Vec<f64> {
        let (weight, bias) = (tensor(raw, &format!("{name}.weight")), tensor(raw, &format!("{name}.bias")));
        let sums = weight.chunks_exact(x.len()).zip(bias);
        sums.map(|(row, bias)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias).collect()
    };
    let hidden: Vec<f64> = layer("hidden.1", x).into_iter().map(|z| z.max(0.0)).collect();
    layer("output", &hidden)
}

fn rows(rows: &[Vec<f64>]) -> String {
    let mut text = String::new();
    for row in rows {
        let numbers: Vec<String> = row.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "{}", numbers.join(","));
    }
    text
}

#[test]
fn imported_weights_must_give_the_outputs_of_their_program() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stages/weights/digits.safetensors");
    let raw = std::fs::read(file).expect("we ship it");
    let sandbox = Sandbox::with(SPEC);
    std::fs::write(sandbox.path("digits.safetensors"), &raw).expect("the sandbox can be written");
    let inputs: Vec<Vec<f64>> =
        (0..5).map(|row| (0..64).map(|i| f64::from((row * 7 + i * 3) % 17) / 16.0).collect()).collect();
    let mut wanted: Vec<Vec<f64>> = inputs.iter().map(|x| outputs(&raw, x)).collect();

    let output = sandbox.duress(&["run", "study.toml"]);
    assert_eq!(output.code, 1, "{}{}", output.stdout, output.stderr);
    assert!(
        output.stdout.contains("inputs.csv: there is none; mend `parity.inputs`"),
        "{}{}",
        output.stdout,
        output.stderr
    );

    sandbox.write("inputs.csv", &rows(&inputs));
    sandbox.write("outputs.csv", &rows(&wanted));
    sandbox.run(&[]);

    wanted[3][6] += 0.01;
    sandbox.write("outputs.csv", &rows(&wanted));
    let output = sandbox.duress(&["run", "study.toml"]);
    assert_eq!(output.code, 1, "{}{}", output.stdout, output.stderr);
    for word in ["output 6 of example 3 differs by 1.0", "5 of 5 examples agree", "`parity.tolerance`"] {
        assert!(output.stdout.contains(word), "{word}: {}{}", output.stdout, output.stderr);
    }

    sandbox.write("study.toml", &SPEC.replace("outputs.csv\" }", "outputs.csv\", tolerance = 0.02 }"));
    sandbox.run(&[]);

    sandbox.write("outputs.csv", &rows(&wanted[..4]));
    let output = sandbox.duress(&["run", "study.toml"]);
    assert!(
        output.stdout.contains("have the shape [4, 10], where [5, 10] belongs"),
        "{}{}",
        output.stdout,
        output.stderr
    );
}
