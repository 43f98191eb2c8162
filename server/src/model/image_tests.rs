use super::*;
use crate::model::ModelConfig;

fn spec(name: &str, datatype: Datatype, dims: &[&str]) -> TensorSpec {
    let dim = |dim: &&str| dim.parse().map_or_else(|_| Dimension::Dynamic((*dim).into()), Dimension::Fixed);
    TensorSpec::new(name, datatype, dims.iter().map(dim).collect())
}

fn signature(inputs: Vec<TensorSpec>) -> Signature {
    Signature { inputs, outputs: vec![spec("y", Datatype::Fp32, &["N", "10"])] }
}

fn resolved(toml: &str, inputs: Vec<TensorSpec>) -> Result<ImageInput, String> {
    let config = ModelConfig::parse(&format!("[image]\n{toml}")).map_err(|error| error.to_string())?;
    config.image.unwrap().resolve(&signature(inputs))
}

#[test]
fn every_shape_of_mnist_is_filled() {
    for (dims, row) in [
        (&["N", "28", "28", "1"][..], &[28, 28, 1][..]),
        (&["N", "1", "28", "28"], &[1, 28, 28]),
        (&["N", "28", "28"], &[28, 28]),
        (&["N", "784"], &[784]),
        (&["N", "28", "28", "C"], &[28, 28, 1]),
    ] {
        for datatype in [Datatype::Fp32, Datatype::Uint8] {
            let input = resolved("preprocess = \"mnist\"", vec![spec("x", datatype, dims)]).unwrap();
            assert_eq!((&input.row[..], input.datatype, input.rows), (row, datatype, None), "{dims:?}");
            assert_eq!(input.row_elements(), 784);
        }
    }
    let single = resolved("preprocess = \"mnist\"", vec![spec("x", Datatype::Fp32, &["1", "28", "28", "1"])]);
    assert_eq!(single.unwrap().rows, Some(1));
}

#[test]
fn colours_come_in_both_layouts_and_as_bytes() {
    let nchw = vec![spec("x", Datatype::Fp32, &["N", "3", "224", "192"])];
    let input = resolved("preprocess = \"rgb\"", nchw).unwrap();
    assert_eq!((&input.row[..], input.row_bytes()), (&[3, 224, 192][..], 3 * 224 * 192 * 4));
    assert_eq!(input.steps, Steps::Rgb(Rgb::new(224, 192, Layout::Nchw)));
    let nhwc = vec![spec("x", Datatype::Uint8, &["N", "H", "W", "3"])];
    let input = resolved("preprocess = \"rgb\"\nsize = [32, 48]\nresize = 50", nhwc).unwrap();
    assert_eq!(input.row, [32, 48, 3]);
    let Steps::Rgb(rgb) = input.steps else { panic!("colours") };
    assert_eq!((rgb.resize, rgb.mean, rgb.deviation), (50, [0.0; 3], [1.0 / 255.0; 3]));
}

#[test]
fn errors_name_what_does_not_fit() {
    let x = |dims: &[&str]| vec![spec("x", Datatype::Fp32, dims)];
    let rgb = |more: &str| format!("preprocess = \"rgb\"\n{more}");
    let mnist = || "preprocess = \"mnist\"".to_owned();
    let two = || vec![spec("a", Datatype::Fp32, &["N", "784"]), spec("b", Datatype::Fp32, &["N", "784"])];
    for (toml, inputs, named) in [
        (mnist(), x(&["N", "32", "32", "1"]), "[rows,28,28,1]"),
        (mnist(), x(&["N", "A", "28", "B"]), "[rows,28,28,1]"),
        (mnist(), two(), "input = one of a, b"),
        (format!("{}\ninput = \"a\"", mnist()), two(), "needs 'b' too"),
        (format!("{}\ninput = \"c\"", mnist()), two(), "'c': the model has a, b"),
        (mnist(), vec![spec("x", Datatype::Int64, &["N", "784"])], "INT64"),
        (mnist(), vec![spec("boxes", Datatype::Fp32, &["N", "28", "28", "2"])], "[rows,28,28,1]"),
        (mnist(), vec![spec("y", Datatype::Fp32, &["N", "784"])], "own output 'y'"),
        (format!("{}\nresize = 32", mnist()), x(&["N", "784"]), "image.resize"),
        ("preprocess = \"grey\"".into(), x(&["N", "784"]), "`mnist` or `rgb`"),
        ("size = [1, 1]".into(), x(&["N", "784"]), "preprocess"),
        (rgb("colours = 3"), x(&["N", "3", "8", "8"]), "colours"),
        (rgb(""), x(&["N", "4", "8", "8"]), "[rows, 3, height, width]"),
        (rgb(""), x(&["N", "3", "H", "W"]), "size = [height, width]"),
        (rgb("size = [8, 9]"), x(&["N", "3", "8", "8"]), "[8, 9]"),
        (rgb("size = [0, 9]"), x(&["N", "3", "H", "W"]), "image.size"),
        (rgb("resize = 7"), x(&["N", "3", "8", "8"]), "resize is 7"),
        (rgb("deviation = [1, 1, 0]"), x(&["N", "3", "8", "8"]), "image.deviation"),
        (rgb("mean = [nan, 1, 0]"), x(&["N", "3", "8", "8"]), "image.mean"),
        (
            rgb("mean = [0, 0, 0]"),
            vec![spec("x", Datatype::Uint8, &["N", "3", "8", "8"])],
            "leave mean and deviation out",
        ),
    ] {
        let error = resolved(&toml, inputs).unwrap_err();
        assert!(error.contains(named), "{toml}: {error}");
    }
}
