use std::path::Path;

use duress_network::arch::find;

use super::*;
use crate::nn::fault::{BitModel, FaultModel};
use crate::nn::{Activation, Mlp};

fn net() -> Network {
    Mlp::new(3, &[4], 2, Activation::relu(), true).graph().expect("a network")
}

fn read(text: &str) -> Result<Vec<Listed>, ListErrors> {
    read_list(text.as_bytes(), &net(), Order::Pytorch, &BTreeMap::new())
}

/// The one mistake in `text`: its line, its column, its message.
#[track_caller]
fn mistake(text: &str) -> (usize, usize, String) {
    let errors = read(text).expect_err("a mistake").0;
    assert_eq!(errors.len(), 1, "{errors:?}");
    (errors[0].line, errors[0].column, errors[0].problem.to_string())
}

#[test]
fn a_mistake_in_any_column_is_refused_with_its_place_its_reason_and_its_fix() {
    let head = "Injection,Layer,TensorIndex,Bit,Model,Value,n_injections,masked,non_critical,critical\n";
    let good = "0,output,\"(0, 1)\",30,,,10,1,2,7\n";
    assert_eq!(read(&format!("{head}{good}")).expect("sound").len(), 1);
    for (row, column, reason) in [
        ("x,output,\"(0, 1)\",3,,,10,1,2,7", 1, "`x` in `Injection` is not a whole number; write one"),
        ("-1,output,\"(0, 1)\",3,,,10,1,2,7", 1, "`-1` in `Injection` is not a whole number"),
        ("0,output,\"(0, 1)\",3,,,10,1,2,7", 1, "injection 0 stands already in line 2; number every fault once"),
        ("1,outptu,\"(0, 1)\",3,,,10,1,2,7", 3, "no layer `outptu` (did you mean `output`?); use the names"),
        (
            "1,output,\"(0, 1, 2)\",3,,,10,1,2,7",
            10,
            "the index has 3 numbers and the weight has the shape [2, 4]; give 2",
        ),
        (
            "1,output,\"(0, 4)\",3,,,10,1,2,7",
            10,
            "index 4 at place 1 is out of range: the weight has the shape [2, 4]; use 0 to 3",
        ),
        ("1,output,\"(0; 1)\",3,,,10,1,2,7", 10, "`(0; 1)` is not an index; write whole numbers in brackets"),
        ("1,output,(1),3,,,10,1,2,7", 10, "the index has 1 numbers"),
        ("1,output,\"(0, 1)\",32,,,10,1,2,7", 19, "there is no bit 32 in a 32-bit word; use 0"),
        ("1,output,\"(0, 1)\",1.5,,,10,1,2,7", 19, "`1.5` in `Bit` is not a whole number"),
        ("1,output,\"(0, 1)\",,,,10,1,2,7", 19, "the fault needs a bit; give one"),
        (
            "1,output,\"(0, 1)\",3,bitflip,,10,1,2,7",
            21,
            "`bitflip` is no fault model of a list (did you mean `bit-flip`?)",
        ),
        ("1,output,\"(0, 1)\",3,zero,,10,1,2,7", 19, "model `zero` is about the whole number; leave `Bit` empty"),
        ("1,output,\"(0, 1)\",,value,x,10,1,2,7", 26, "`x` is no value here; write a number"),
        ("1,output,\"(0, 1)\",3,,2,10,1,2,7", 22, "`2` is no value here; write a number"),
        ("1,output,\"(0, 1)\",3,,,ten,1,2,7", 23, "`ten` in `n_injections` is not a whole number"),
        ("1,output,\"(0, 1)\",3,,,10,,2,7", 26, "`` in `masked` is not a whole number"),
        ("1,output,\"(0, 1)\",3,,,10,1,2,-7", 30, "`-7` in `critical` is not a whole number"),
        ("1,output,\"(0, 1)\",30,,,10,1,2,7", 1, "the same fault stands already in line 2; list it once"),
        ("1,output,(0, 1),30,,,10,1,2,7", 1, "the line has 11 cells and the header 10; put an index"),
        ("1,output", 1, "the line has 2 cells and the header 10"),
        ("1,output,\"(0, 1),3,,,10,1,2,7", 10, "a quote is opened and never closed; close it"),
        ("1,output,\"(0, 1)\"x,3,,,10,1,2,7", 18, "text follows a closing quote; put a comma"),
    ] {
        let (line, found, message) = mistake(&format!("{head}{good}{row}\n"));
        assert_eq!((line, found), (3, column), "{row}: {message}");
        assert!(message.contains(reason), "{row}: {message}");
    }
}

#[test]
fn a_wrong_header_is_refused_with_what_was_meant() {
    let (line, column, message) = mistake("Injection,Layer,Tensor_Index,Bit\n0,output,\"(0, 1)\",3\n").clone();
    assert_eq!((line, column), (1, 17));
    assert!(message.contains("did you mean `TensorIndex`?"), "{message}");
}

#[test]
fn a_header_that_lacks_or_repeats_a_column_is_refused() {
    let (_, _, message) = mistake("Injection,Layer,Bit\n0,output,3\n");
    assert!(message.contains("column `TensorIndex` is missing"), "{message}");
    let (_, column, message) = mistake("Injection,Layer,TensorIndex,Bit,Bit\n0,output,\"(0, 1)\",3,3\n");
    assert!(column == 33 && message.contains("column `Bit` stands twice"), "{message}");
}

#[test]
fn files_without_faults_are_refused() {
    assert_eq!(mistake("").2, "the file is empty; begin it with `Injection,Layer,TensorIndex,Bit`");
    assert_eq!(mistake("\n\n").0, 1);
    let (line, _, message) = mistake("Injection,Layer,TensorIndex,Bit\n");
    assert!(line == 2 && message.contains("no fault below the header"), "{message}");
    let errors = read_list(b"Injection\n\xff", &net(), Order::Pytorch, &BTreeMap::new()).expect_err("no text").0;
    assert_eq!((errors[0].line, &errors[0].problem), (2, &Problem::NotText));
}

#[test]
fn all_mistakes_of_a_list_come_at_once() {
    let rows = (0..20).fold(String::new(), |rows, i| rows + &format!("{i},none,\"(0, 1)\",3\n"));
    let errors = read(&format!("Injection,Layer,TensorIndex,Bit\n{rows}")).expect_err("twenty mistakes");
    assert_eq!(errors.0.len(), 20);
    assert!(errors.to_string().ends_with("and 12 mistakes more"), "{errors}");
}

#[test]
fn what_happens_follows_from_model_and_value() {
    let text = "Injection,Layer,TensorIndex,Bit,Model,Value\n\
                0,output,\"(0, 1)\",3,,\n\
                1,output,\"(0, 1)\",3,,0\n\
                2,output,\"(0, 1)\",3,,1\n\
                3,output,\"(0, 1)\",,,-0.25\n\
                4,output,\"(0, 1)\",,zero,\n\
                5,output.bias,\"(1,)\",3,stuck-at-1,\n";
    let models: Vec<FaultModel> = read(text).expect("sound").into_iter().map(|listed| listed.site.model).collect();
    let bit = FaultModel::Bit;
    let wanted = [
        bit(BitModel::BitFlip),
        bit(BitModel::StuckAt0),
        bit(BitModel::StuckAt1),
        FaultModel::Value(-0.25),
        FaultModel::Zero,
        bit(BitModel::StuckAt1),
    ];
    assert_eq!(models, wanted);
}

#[test]
fn a_list_that_was_written_reads_back_as_the_same_faults() {
    let text = "Injection,Layer,TensorIndex,Bit,Model,Value,n_injections,masked,non_critical,critical\n\
                7,hidden.1,\"(3, 2)\",30,bit-flip,,10,1,2,7\n\
                9,output.bias,\"(1,)\",,value,-0.25,10,0,0,10\n";
    let faults = read(text).expect("sound");
    let network = net();
    let written: Vec<Written> = faults
        .iter()
        .map(|listed| Written {
            number: listed.site.number,
            tensor: network.parameters()[listed.site.parameter.expect("stored")].name.clone(),
            index: listed.site.index.clone(),
            bit: listed.site.bit,
            model: listed.site.model.name().to_owned(),
            value: if let FaultModel::Value(value) = listed.site.model { Some(value) } else { None },
            counts: listed.counts,
        })
        .collect();
    assert_eq!(write_list(&written, Order::Pytorch, &BTreeMap::new()), text);
    let names =
        BTreeMap::from([("hidden.1".to_owned(), "dense".to_owned()), ("output.bias".to_owned(), "b".to_owned())]);
    let keras = write_list(&written, Order::Keras, &names);
    assert!(keras.contains("7,dense,\"(2, 3)\",30"), "{keras}");
    let back: BTreeMap<String, String> = names.into_iter().map(|(ours, theirs)| (theirs, ours)).collect();
    assert_eq!(read_list(keras.as_bytes(), &network, Order::Keras, &back).expect("sound"), faults);
}

/// The folder of published campaigns, if this checkout has one.
fn campaigns() -> Option<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/campaigns");
    if !folder.is_dir() {
        println!("skipped: no published campaigns at {}", folder.display());
    }
    folder.is_dir().then_some(folder)
}

#[test]
fn the_published_list_in_keras_order_is_the_same_list() {
    let Some(folder) = campaigns() else { return };
    let file = |name: &str| std::fs::read(folder.join(name)).expect("readable");
    let network = find("resnet-20").expect("known").network(&[3, 32, 32], 10).expect("a network");
    let torch = read_list(&file("cifar10-resnet20.csv"), &network, Order::Pytorch, &BTreeMap::new()).expect("sound");
    let names = read_names(&file("cifar10-resnet20-layer-match.csv")).expect("sound");
    let keras = read_list(&file("cifar10-resnet20-keras-faults.csv"), &network, Order::Keras, &names).expect("sound");
    assert_eq!((torch.len(), keras.len()), (16_627, 16_627));
    assert!(torch.iter().zip(&keras).all(|(a, b)| a.site == b.site));
    let counts = torch.iter().filter_map(|listed| listed.counts);
    let (critical, images) = counts.fold((0, 0), |(c, n), counts| (c + counts.critical, n + counts.images));
    // 1.2758 % is the published rate over all inferences.
    assert!((critical as f64 / images as f64 - 0.012_758).abs() < 5e-7, "{critical} of {images}");
    // The generator's list, but for the one row that was edited by hand.
    let space = crate::nn::fault::space::FaultSpace::new(&network, &crate::nn::fault::space::Targets::default(), 1)
        .expect("weights");
    let weights = crate::nn::Weights::zeros(&network);
    let sampling = crate::nn::fault::design::Sampling::default();
    let (_, chosen) = crate::nn::fault::design::choose(&space, &weights, sampling, 1);
    let drawn = chosen.iter().map(|chosen| space.site(chosen.number).expect("within"));
    let same = |(drawn, listed): (crate::nn::fault::space::FaultSite, &Listed)| drawn.hits == listed.site.hits;
    assert_eq!(drawn.zip(&torch).filter(|pair| !same(pair.clone())).count(), 1);
}
