//! Files that other programs wrote, compared with what those programs read from them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use duress_network::files::{self, Format};
use sha2::{Digest, Sha256};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A file beside the repository, unless it is absent.
fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if !path.exists() {
        println!("skipped: {name} is not beside the checkout");
    }
    path.exists().then_some(path)
}

/// Lines of `fixtures/digests.txt` by file: tensor, shape and SHA-256 of its numbers, as the original tools read them.
fn digests() -> BTreeMap<String, BTreeMap<String, (Vec<usize>, String)>> {
    let text = std::fs::read_to_string(fixture("digests.txt")).unwrap();
    let mut files: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for line in text.lines() {
        let [file, tensor, shape, digest] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let shape = shape.split(',').filter(|&extent| extent != "-").map(|extent| extent.parse().unwrap()).collect();
        files.entry(file.to_owned()).or_default().insert(tensor.to_owned(), (shape, digest.to_owned()));
    }
    files
}

fn digest(values: &[f32]) -> String {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Sha256::digest(raw)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_tensor_of_every_file_is_what_its_own_tool_reads() {
    for (file, wanted) in digests() {
        let Some(path) = (if file.contains('/') { real(&file) } else { Some(fixture(&file)) }) else { continue };
        let (_, contents) = files::read(&path).unwrap_or_else(|error| panic!("{error}"));
        let found: BTreeMap<_, _> = contents
            .tensors
            .iter()
            .map(|tensor| (tensor.name.clone(), (tensor.shape.clone(), digest(&tensor.values))))
            .collect();
        assert_eq!(found.len(), contents.tensors.len(), "{file}: a name twice");
        assert_eq!(found, wanted, "{file}");
    }
}

#[test]
fn formats_are_told_by_content() {
    for (name, wanted) in [
        ("tiny.pt", Format::PyTorch),
        ("tiny-legacy.pt", Format::PyTorch),
        ("tiny-tar.pt", Format::PyTorch),
        ("tiny.safetensors", Format::Safetensors),
        ("tiny.npz", Format::Npz),
        ("tiny.h5", Format::Keras),
        ("tiny.onnx", Format::Onnx),
    ] {
        let content = std::fs::read(fixture(name)).unwrap();
        assert_eq!(Format::recognise(&content).unwrap(), wanted, "{name}");
    }
    let error = files::read(&fixture("make.py")).unwrap_err().to_string();
    assert!(error.contains("make.py` is in no known format"), "{error}");
    let error = files::read(&fixture("absent.pt")).unwrap_err().to_string();
    assert!(error.contains("absent.pt"), "{error}");
    assert!(files::read(&fixture("")).unwrap_err().to_string().contains("regular file"));
}

#[test]
fn notes_beside_the_weights_are_kept() {
    let (_, contents) = files::read(&fixture("tiny-legacy.pt")).unwrap();
    assert_eq!(contents.metadata["epoch"], "7");
    assert_eq!(contents.metadata["arch"], "tiny");
    let (_, contents) = files::read(&fixture("types.safetensors")).unwrap();
    assert_eq!(contents.metadata["study"], "tiny");
    let (_, contents) = files::read(&fixture("tiny.h5")).unwrap();
    assert!(contents.metadata["model_config"].contains("\"class_name\": \"Sequential\""));
}
