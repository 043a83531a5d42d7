//! Every named architecture, with the sizes that its authors published.

use super::lenet::LeNet;
use super::mlp::Mlp;
use super::recurrent::Recurrent;
use super::transformer::Transformer;
use super::{densenet, googlenet, mobilenet, resnet, vgg};
use crate::graph::{GraphError, Network};
use crate::init::{Init, Scheme};
use crate::op::Nonlinearity;

/// An architecture that has a name.
#[derive(Clone, Copy, Debug)]
pub struct Architecture {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// The shape of the examples for which it was published.
    pub input: &'static [usize],
    /// The number of classes for which it was published.
    pub outputs: usize,
    /// How its authors draw first weights.
    pub scheme: Scheme,
    build: fn(&[usize], usize) -> Result<Network, GraphError>,
}

impl Architecture {
    /// The network with its usual settings, for examples of shape `input` and `outputs` classes.
    ///
    /// # Errors
    /// Where it cannot read such examples.
    pub fn network(&self, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
        (self.build)(input, outputs)
    }
}

/// Every named architecture, small ones first.
#[must_use]
pub const fn catalogue() -> &'static [Architecture] {
    ARCHITECTURES
}

/// The architecture named `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|architecture| architecture.name == name)
}

/// He's rule for all weights, and what `PyTorch` does for biases.
const HE: Scheme = Scheme::new(Init::HeNormal, Init::Pytorch);
/// He's rule for the backward pass, and small normal numbers in the classifier.
const VGG: Scheme = Scheme {
    convolution: Init::HeNormalFanOut,
    linear: Init::Normal { std: 0.01 },
    convolution_bias: Init::Zeros,
    linear_bias: Init::Zeros,
};
/// He's rule for convolutions; only the classifier has a bias.
const DENSE: Scheme = Scheme {
    convolution: Init::HeNormal,
    linear: Init::Pytorch,
    convolution_bias: Init::Zeros,
    linear_bias: Init::Zeros,
};

const DIGITS: &[usize] = &[1, 28, 28];
const SMALL: &[usize] = &[3, 32, 32];

const fn entry(
    name: &'static str,
    summary: &'static str,
    (input, outputs): (&'static [usize], usize),
    scheme: Scheme,
    build: fn(&[usize], usize) -> Result<Network, GraphError>,
) -> Architecture {
    Architecture { name, summary, input, outputs, scheme, build }
}

static ARCHITECTURES: &[Architecture] = &[
    entry(
        "mlp",
        "multilayer perceptron, 300 and 100 hidden units unless told otherwise",
        (DIGITS, 10),
        Scheme::new(Init::GlorotUniform, Init::Zeros),
        |input, outputs| Mlp::default().network(input, outputs),
    ),
    entry("lenet-5", "LeNet-5 on 28x28 or 32x32 images", (DIGITS, 10), Scheme::PYTORCH, |input, outputs| {
        LeNet::default().network(input, outputs)
    }),
    entry("rnn", "recurrent network, last state classified", (DIGITS, 10), Scheme::PYTORCH, |input, outputs| {
        Recurrent::default().rnn(Nonlinearity::Tanh, input, outputs)
    }),
    entry("lstm", "long short-term memory, last state classified", (DIGITS, 10), Scheme::PYTORCH, |input, outputs| {
        Recurrent::default().lstm(input, outputs)
    }),
    entry(
        "transformer-encoder",
        "transformer encoder on a sequence or on patches of an image",
        (DIGITS, 10),
        Scheme::PYTORCH,
        |input, outputs| Transformer::default().network(input, outputs),
    ),
    entry("resnet-20", "residual network with option-A shortcuts, 20 layers", (SMALL, 10), HE, |input, outputs| {
        resnet::option_a(3, input, outputs)
    }),
    entry("resnet-32", "residual network with option-A shortcuts, 32 layers", (SMALL, 10), HE, |input, outputs| {
        resnet::option_a(5, input, outputs)
    }),
    entry("resnet-44", "residual network with option-A shortcuts, 44 layers", (SMALL, 10), HE, |input, outputs| {
        resnet::option_a(7, input, outputs)
    }),
    entry("resnet-56", "residual network with option-A shortcuts, 56 layers", (SMALL, 10), HE, |input, outputs| {
        resnet::option_a(9, input, outputs)
    }),
    entry("resnet-110", "residual network with option-A shortcuts, 110 layers", (SMALL, 10), HE, |input, outputs| {
        resnet::option_a(18, input, outputs)
    }),
    entry(
        "resnet-18",
        "residual network with projected shortcuts, for 32x32 images",
        (SMALL, 100),
        Scheme::PYTORCH,
        resnet::resnet_18,
    ),
    entry("vgg-11-bn", "VGG configuration A with batch normalisation", (SMALL, 10), VGG, |input, outputs| {
        vgg::vgg_bn(vgg::Depth::Vgg11, input, outputs)
    }),
    entry("vgg-13-bn", "VGG configuration B with batch normalisation", (SMALL, 10), VGG, |input, outputs| {
        vgg::vgg_bn(vgg::Depth::Vgg13, input, outputs)
    }),
    entry("vgg-16-bn", "VGG configuration D with batch normalisation", (SMALL, 10), VGG, |input, outputs| {
        vgg::vgg_bn(vgg::Depth::Vgg16, input, outputs)
    }),
    entry("vgg-19-bn", "VGG configuration E with batch normalisation", (SMALL, 10), VGG, |input, outputs| {
        vgg::vgg_bn(vgg::Depth::Vgg19, input, outputs)
    }),
    entry(
        "mobilenet-v2",
        "inverted residuals, for 32x32 images",
        (SMALL, 10),
        Scheme::PYTORCH,
        mobilenet::mobilenet_v2,
    ),
    entry(
        "densenet-121",
        "DenseNet-BC, growth 32, with pooling after its stem (torchvision's)",
        (SMALL, 10),
        DENSE,
        |input, outputs| densenet::pooled(densenet::Depth::DenseNet121, input, outputs),
    ),
    entry(
        "densenet-161",
        "DenseNet-BC, growth 48, with pooling after its stem (torchvision's)",
        (SMALL, 10),
        DENSE,
        |input, outputs| densenet::pooled(densenet::Depth::DenseNet161, input, outputs),
    ),
    entry(
        "densenet-121-unpooled",
        "DenseNet-BC, growth 32, its stem without pooling",
        (SMALL, 100),
        Scheme::PYTORCH,
        |input, outputs| densenet::unpooled(densenet::Depth::DenseNet121, input, outputs),
    ),
    entry(
        "densenet-161-unpooled",
        "DenseNet-BC, growth 48, its stem without pooling",
        (SMALL, 100),
        Scheme::PYTORCH,
        |input, outputs| densenet::unpooled(densenet::Depth::DenseNet161, input, outputs),
    ),
    entry(
        "googlenet",
        "GoogLeNet with one convolution as its stem (torchvision's)",
        (SMALL, 10),
        Scheme::PYTORCH,
        googlenet::torchvision,
    ),
    entry(
        "googlenet-stacked",
        "GoogLeNet with a deeper stem and stacked 3x3 convolutions",
        (SMALL, 100),
        Scheme::PYTORCH,
        googlenet::stacked,
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::arch::transformer::Transformer;
    use crate::op::Role;

    /// Weights, trained parameters and multiply-accumulates of every architecture.
    ///
    /// Weights of the networks for small images are the populations of the published fault campaigns (`dnn-benchmarks`),
    /// and parameters agree with what the authors of the modules give in millions; multiply-accumulates of the residual
    /// networks are published, the others were counted layer by layer from the authors' descriptions, by other code.
    const PUBLISHED: [(&str, usize, usize, u64); 22] = [
        ("mlp", 266_200, 266_610, 266_200),
        ("lenet-5", 61_470, 61_706, 416_520),
        ("rnn", 21_248, 21_514, 28 * 128 * 156 + 1280),
        ("lstm", 81_152, 82_186, 4 * 28 * 128 * 156 + 1280),
        ("transformer-encoder", 67_200, 71_818, 3_876_736),
        ("resnet-20", 268_336, 269_722, 40_551_040),
        ("resnet-32", 461_872, 464_154, 68_862_592),
        ("resnet-44", 655_408, 658_586, 97_174_144),
        ("resnet-56", 848_944, 853_018, 125_485_696),
        ("resnet-110", 1_719_856, 1_727_962, 252_887_680),
        ("resnet-18", 11_210_432, 11_220_132, 555_468_800),
        ("vgg-11-bn", 28_133_056, 28_149_514, 171_679_744),
        ("vgg-13-bn", 28_317_376, 28_334_410, 247_177_216),
        ("vgg-16-bn", 33_625_792, 33_646_666, 332_111_872),
        ("vgg-19-bn", 38_934_208, 38_958_922, 417_046_528),
        ("mobilenet-v2", 2_261_824, 2_296_922, 91_154_944),
        ("densenet-121", 6_872_768, 6_956_426, 223_422_464),
        ("densenet-161", 26_262_624, 26_482_570, 618_894_912),
        ("densenet-121-unpooled", 6_964_928, 7_048_548, 888_442_880),
        ("densenet-161-unpooled", 26_461_344, 26_681_188, 2_467_749_504),
        ("googlenet", 5_476_672, 5_490_986, 1_337_141_248),
        ("googlenet-stacked", 6_378_688, 6_402_564, 531_976_192),
    ];

    fn network(name: &str) -> Network {
        let architecture = find(name).unwrap();
        architecture.network(architecture.input, architecture.outputs).unwrap()
    }

    #[test]
    fn every_architecture_has_its_published_size() {
        for (architecture, (name, weights, parameters, macs)) in catalogue().iter().zip(PUBLISHED) {
            assert_eq!(architecture.name, name, "the table has one row for each architecture, in order");
            let network = network(name);
            let found = (network.weight_count(), network.parameter_count(), network.macs());
            assert_eq!(found, (weights, parameters, macs), "{name}");
            assert_eq!(network.output(), [architecture.outputs], "{name}");
        }
        assert_eq!(catalogue().len(), PUBLISHED.len());
    }

    #[test]
    fn traffic_signs_of_50_pixels_give_the_published_numbers_of_weights() {
        for (name, weights) in [("resnet-20", 270_448), ("densenet-121-unpooled", 6_906_560), ("vgg-11-bn", 28_268_224)]
        {
            let network = find(name).unwrap().network(&[3, 50, 50], 43).unwrap();
            assert_eq!(network.weight_count(), weights, "{name}");
        }
        let network = find("resnet-20").unwrap().network(&[3, 50, 50], 43).unwrap();
        assert_eq!(network.macs(), 101_587_840);
        let last = network.find("layer3.2.relu").unwrap();
        assert_eq!(network.shapes()[last], [64, 13, 13]);
    }

    #[test]
    fn lenet_has_as_many_parameters_on_28_as_on_32_pixels() {
        let lenet = find("lenet-5").unwrap();
        for side in [28, 32] {
            let network = lenet.network(&[1, side, side], 10).unwrap();
            assert_eq!((network.parameter_count(), network.macs()), (61_706, 416_520));
        }
    }

    #[test]
    fn an_encoder_layer_has_as_many_parameters_as_pytorchs() {
        // torch.nn.TransformerEncoderLayer(512, 8) has 3 152 384.
        let settings = Transformer { width: 512, heads: 8, depth: 1, feedforward: 2048, ..Transformer::default() };
        let network = settings.network(&[10, 512], 2).unwrap();
        let of_layer = network.parameters().iter().filter(|p| p.name.starts_with("layers.0."));
        assert_eq!(of_layer.map(crate::graph::Parameter::len).sum::<usize>(), 3_152_384);
        let deeper =
            Transformer { norm_first: true, dropout: 0.0, depth: 6, ..settings }.network(&[10, 512], 2).unwrap();
        let of_layers = deeper.parameters().iter().filter(|p| p.name.starts_with("layers."));
        assert_eq!(of_layers.map(crate::graph::Parameter::len).sum::<usize>(), 6 * 3_152_384);
    }

    #[test]
    fn residual_networks_are_named_as_in_the_files_of_their_weights() {
        let network = network("resnet-20");
        let names: Vec<_> = network.parameters().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names[..2], ["conv1.weight", "bn1.weight"]);
        assert!(names.contains(&"layer2.0.bn1.running_mean") && names.contains(&"layer3.2.conv2.weight"));
        assert_eq!(names[names.len() - 2..], ["linear.weight", "linear.bias"]);
        let row = &network.describe()[network.find("layer2.0.add").unwrap() - 1];
        assert_eq!((row.op, row.output.as_slice()), ("add", &[32, 16, 16][..]));
        assert_eq!(row.inputs, ["layer2.0.bn2", "layer2.0.shortcut"]);
    }

    #[test]
    fn layers_are_named_ordered_and_sized_as_in_the_published_campaigns() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/campaigns/aggregate-stats.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            println!("skipped: the published campaigns are not beside the repository");
            return;
        };
        let campaigns: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        for (campaign, name, input, outputs) in [
            ("CIFAR10__ResNet20_FL", "resnet-20", 32, 10),
            ("CIFAR10__ResNet32_FL", "resnet-32", 32, 10),
            ("CIFAR10__ResNet44_FL", "resnet-44", 32, 10),
            ("CIFAR10__Vgg11_bn_FL", "vgg-11-bn", 32, 10),
            ("CIFAR10__Vgg13_bn_FL", "vgg-13-bn", 32, 10),
            ("CIFAR10__Mobilenetv2_FL", "mobilenet-v2", 32, 10),
            ("CIFAR10__DenseNet121_FL", "densenet-121", 32, 10),
            ("CIFAR10__DenseNet161_FL", "densenet-161", 32, 10),
            ("CIFAR10__GoogLeNet_FL", "googlenet", 32, 10),
            ("CIFAR100__ResNet18_CIFAR100_FL", "resnet-18", 32, 100),
            ("CIFAR100__DenseNet121_CIFAR100_FL", "densenet-121-unpooled", 32, 100),
            ("CIFAR100__GoogLeNet_CIFAR100_FL", "googlenet-stacked", 32, 100),
            ("GTSRB__ResNet20_GTSRB_FL", "resnet-20", 50, 43),
            ("GTSRB__DenseNet121_GTSRB_FL", "densenet-121-unpooled", 50, 43),
            ("GTSRB__Vgg11_bn_GTSRB_FL", "vgg-11-bn", 50, 43),
        ] {
            let network = find(name).unwrap().network(&[3, input, input], outputs).unwrap();
            assert_eq!(rows_of_layers(&network), published_rows(&campaigns[campaign]), "{campaign}");
        }
    }

    /// How many faults each layer is given by the rule of the campaigns: a share of `n` by its number of weights.
    fn rows_of_layers(network: &Network) -> BTreeMap<String, u64> {
        let total = network.weight_count() as f64;
        let population = total * 64.0;
        let n = (population / (1.0 + 1e-4 * (population - 1.0) / (2.58 * 2.58 * 0.25))).round_ties_even();
        let weights = network.parameters().iter().filter(|p| p.role == Role::Weight);
        let rows = |len: usize| (len as f64 * n / total).round_ties_even() as u64;
        weights.map(|p| (p.name.trim_end_matches(".weight").to_owned(), rows(p.len()))).collect()
    }

    fn published_rows(campaign: &serde_json::Value) -> BTreeMap<String, u64> {
        let layers = campaign["layers"].as_object().unwrap();
        layers.iter().map(|(name, layer)| (name.clone(), layer["n"].as_u64().unwrap())).collect()
    }
}
