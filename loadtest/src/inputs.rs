//! Generates requests from the model's metadata, or reads one from a file.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use fastrand::Rng;
use half::{bf16, f16};
use oip::{Datatype, InferRequest, InputTensor, Nulls, Parameters, Shape, Tensor};

use crate::metadata::{ModelMetadata, TensorMetadata};

/// Largest request that is generated, in bytes. A wrong `--rows` must not use up the memory.
const MAX_REQUEST_BYTES: usize = 1 << 30;

/// A request. If it was read from a file, also the bytes of that file.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The request.
    pub request: InferRequest,
    /// JSON to send unchanged, instead of an encoding of `request`.
    pub verbatim: Option<Bytes>,
    /// Rows of the request (size of the first axis); 1 if the model has no batch axis.
    pub rows: usize,
}

/// The shape of an input, as the user gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenShape {
    /// Name of the input.
    pub input: String,
    /// Its dimensions; at least one.
    pub sizes: Vec<usize>,
}

/// How large the generated requests are.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// Rows of a request, unless a shape says it.
    pub rows: usize,
    /// Shapes of inputs.
    pub shapes: &'a [GivenShape],
}

/// Generates `count` requests of these sizes. The same seed gives the same requests.
///
/// The values resemble scanned digits, so that the cost of JSON is realistic: four in five are 0, the others are
/// `k/255`, or `k` for integers.
///
/// # Errors
/// A dimension other than the first one varies, and no shape is given for the input; a given shape does not fit the model;
/// or the model has no batch axis and `rows` is more than 1.
pub fn make(model: &ModelMetadata, sizes: Sizes<'_>, count: usize, seed: u64) -> Result<Vec<Payload>> {
    if sizes.rows != 1 && !model.has_batch_axis() {
        bail!("model '{}' has no batch axis: only --rows 1 can be sent", model.name);
    }
    let (rows, shapes) = shapes(model, sizes)?;
    let mut rng = Rng::with_seed(seed);
    (0..count)
        .map(|_| {
            let inputs = model.inputs.iter().zip(&shapes);
            let inputs =
                inputs.map(|(input, shape)| make_input(input, shape, &mut rng)).collect::<Result<_>>()?;
            let request = InferRequest { inputs, ..InferRequest::default() };
            Ok(Payload { request, verbatim: None, rows })
        })
        .collect()
}

/// Reads one request from a JSON file, which has the format of a request body.
///
/// # Errors
/// The file cannot be read, or is not a request in the protocol's JSON.
pub fn read(path: &Path, model: &ModelMetadata) -> Result<Payload> {
    let body = Bytes::from(std::fs::read(path).with_context(|| format!("--body {}", path.display()))?);
    let request = oip::json::decode_request(&body, Nulls::Refuse)
        .with_context(|| format!("--body {}", path.display()))?;
    let first_dim = request.inputs.first().and_then(|input| input.tensor.shape.0.first()).copied();
    let rows = if model.has_batch_axis() { first_dim.unwrap_or(1) } else { 1 };
    Ok(Payload { request, verbatim: Some(body), rows })
}

/// Returns the number of rows of a request, and the shape of each input.
fn shapes(model: &ModelMetadata, sizes: Sizes<'_>) -> Result<(usize, Vec<Shape>)> {
    let Sizes { mut rows, shapes: given } = sizes;
    for (index, GivenShape { input, sizes }) in given.iter().enumerate() {
        if !model.inputs.iter().any(|known| known.name == *input) {
            let known: Vec<&str> = model.inputs.iter().map(|input| input.name.as_str()).collect();
            let known = known.join(", ");
            bail!("--shape {input}: model '{}' has no such input: there is {known}", model.name);
        }
        if given[..index].iter().any(|before| before.input == *input) {
            bail!("--shape {input}: given twice");
        }
        if model.has_batch_axis() {
            if index > 0 && sizes[0] != rows {
                bail!("--shape {input}: {} rows, and {rows} for '{}'", sizes[0], given[0].input);
            }
            rows = sizes[0];
        }
    }
    let shape = |input: &TensorMetadata| match given.iter().find(|given| given.input == input.name) {
        Some(GivenShape { sizes, .. }) => {
            let differs = |(&size, &dim): (&usize, &i64)| usize::try_from(dim).is_ok_and(|dim| dim != size);
            if sizes.len() != input.shape.len() || sizes.iter().zip(&input.shape).any(differs) {
                bail!("--shape {}: {sizes:?} does not fit the model's {:?}", input.name, input.shape);
            }
            Ok(Shape::from(&sizes[..]))
        }
        None => input_shape(input, rows),
    };
    Ok((rows, model.inputs.iter().map(shape).collect::<Result<_>>()?))
}

fn make_input(input: &TensorMetadata, shape: &Shape, rng: &mut Rng) -> Result<InputTensor> {
    let datatype = input.datatype()?;
    let most_elements = MAX_REQUEST_BYTES / datatype.size().unwrap_or(8);
    let elements = shape.elements().filter(|&elements| elements <= most_elements);
    let Some(elements) = elements else {
        bail!("input '{}' of shape {shape} is larger than 1 GiB: send fewer rows", input.name);
    };
    let mut data = Vec::with_capacity(elements * datatype.size().unwrap_or(8));
    for _ in 0..elements {
        let level = if rng.u8(..5) == 0 { rng.u8(1..) } else { 0 };
        push_element(&mut data, datatype, level);
    }
    let tensor = Tensor { datatype, shape: shape.clone(), data: data.into() };
    Ok(InputTensor { name: input.name.as_str().into(), parameters: Parameters::default(), tensor })
}

fn input_shape(input: &TensorMetadata, rows: usize) -> Result<Shape> {
    let mut dims = smallvec::SmallVec::new();
    for (axis, &dim) in input.shape.iter().enumerate() {
        dims.push(match usize::try_from(dim) {
            Ok(dim) => dim,
            Err(_) if axis == 0 => rows,
            Err(_) => bail!(
                "input '{}' has the shape {:?}, whose axis {axis} is open: give its sizes, as --shape {}:{}, or a \
                 request with --body FILE",
                input.name,
                input.shape,
                input.name,
                example_sizes(&input.shape, rows)
            ),
        });
    }
    Ok(Shape(dims))
}

/// Returns sizes for `--shape` with an `N` for each that the user has to choose.
fn example_sizes(shape: &[i64], rows: usize) -> String {
    let sizes = shape.iter().enumerate().map(|(axis, dim)| match usize::try_from(*dim) {
        Ok(dim) => dim.to_string(),
        Err(_) if axis == 0 => rows.to_string(),
        Err(_) => "N".to_owned(),
    });
    sizes.collect::<Vec<_>>().join(",")
}

/// Appends one element with a grey level from 0 to 255, in little-endian order.
fn push_element(data: &mut Vec<u8>, datatype: Datatype, level: u8) {
    let fraction = f32::from(level) / 255.0;
    match datatype {
        Datatype::Bool => data.push(u8::from(level > 0)),
        Datatype::Uint8 => data.push(level),
        Datatype::Int8 => data.push(level / 2),
        Datatype::Uint16 | Datatype::Int16 => data.extend(u16::from(level).to_le_bytes()),
        Datatype::Uint32 | Datatype::Int32 => data.extend(u32::from(level).to_le_bytes()),
        Datatype::Uint64 | Datatype::Int64 => data.extend(u64::from(level).to_le_bytes()),
        Datatype::Fp16 => data.extend(f16::from_f32(fraction).to_le_bytes()),
        Datatype::Bf16 => data.extend(bf16::from_f32(fraction).to_le_bytes()),
        Datatype::Fp32 => data.extend(fraction.to_le_bytes()),
        Datatype::Fp64 => data.extend((f64::from(level) / 255.0).to_le_bytes()),
        Datatype::Bytes => {
            let text = level.to_string();
            data.extend((text.len() as u32).to_le_bytes());
            data.extend(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(datatype: Datatype, shape: &[i64]) -> ModelMetadata {
        let tensor = |name: &str, shape: &[i64]| TensorMetadata {
            name: name.into(),
            datatype: datatype.as_str().into(),
            shape: shape.into(),
        };
        ModelMetadata {
            name: "digits".into(),
            inputs: vec![tensor("image", shape)],
            outputs: vec![tensor("scores", &[shape[0], 10])],
        }
    }

    fn rows(rows: usize) -> Sizes<'static> {
        Sizes { rows, shapes: &[] }
    }

    #[test]
    fn pictures_are_mostly_dark_and_the_same_for_the_same_seed() {
        let digits = model(Datatype::Fp32, &[-1, 28, 28, 1]);
        let made = make(&digits, rows(3), 4, 7).unwrap();
        let again = make(&digits, rows(3), 4, 7).unwrap();
        let other = make(&digits, rows(3), 4, 8).unwrap();
        assert_eq!(made.len(), 4);
        for (one, same) in made.iter().zip(&again) {
            assert_eq!(one.request, same.request);
        }
        assert_ne!(made[0].request, made[1].request);
        assert_ne!(made[0].request, other[0].request);
        let tensor = &made[0].request.inputs[0].tensor;
        assert_eq!(tensor.shape.to_string(), "[3,28,28,1]");
        let values: Vec<f32> =
            tensor.data.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let dark = values.iter().filter(|&&value| value == 0.0).count() as f64 / values.len() as f64;
        assert!((0.75..0.85).contains(&dark), "{dark} of the pixels are dark");
        assert!(values.iter().all(|&value| (0.0..=1.0).contains(&value)));
    }

    #[test]
    fn every_datatype_fills_its_shape() {
        for datatype in Datatype::ALL {
            let made = make(&model(datatype, &[-1, 5]), rows(2), 1, 1).unwrap();
            let tensor = &made[0].request.inputs[0].tensor;
            match datatype.size() {
                Some(size) => assert_eq!(tensor.data.len(), 10 * size, "{datatype}"),
                None => assert!(tensor.data.len() >= 10 * 5, "{datatype}: a length and a digit each"),
            }
        }
    }

    #[test]
    fn inputs_that_cannot_be_generated_are_named() {
        let error = |model: &ModelMetadata, count| make(model, rows(count), 1, 1).unwrap_err().to_string();
        let open = error(&model(Datatype::Fp32, &[-1, 3, -1, -1]), 1);
        assert!(open.contains("axis 2 is open") && open.contains("--shape image:1,3,N,N"), "{open}");
        assert!(error(&model(Datatype::Fp32, &[1, 4]), 2).contains("no batch axis"));
        assert!(error(&model(Datatype::Fp32, &[-1, 784]), 1 << 30).contains("send fewer rows"));
    }

    fn shaped(shape: &[i64], given: &[(&str, &[usize])]) -> Result<Payload> {
        let given = given.iter().map(|(name, sizes)| (*name, sizes.to_vec()));
        let given: Vec<_> = given.map(|(name, sizes)| GivenShape { input: name.to_owned(), sizes }).collect();
        make(&model(Datatype::Fp32, shape), Sizes { rows: 1, shapes: &given }, 1, 1)
            .map(|mut made| made.remove(0))
    }

    #[test]
    fn a_given_shape_fills_what_the_model_leaves_open() {
        let made = shaped(&[-1, 3, -1, -1], &[("image", &[2, 3, 8, 6])]).unwrap();
        assert_eq!(made.request.inputs[0].tensor.shape.to_string(), "[2,3,8,6]");
        assert_eq!(made.rows, 2, "the first size is the rows");
        let made = shaped(&[4, -1], &[("image", &[4, 9])]).unwrap();
        assert_eq!((made.request.inputs[0].tensor.data.len(), made.rows), (4 * 9 * 4, 1), "no batch axis");
    }

    #[test]
    fn a_shape_that_does_not_fit_is_refused() {
        let open = [-1, 3, -1, -1];
        for (given, named) in [
            (&[("picture", &[1, 3, 8, 8][..])][..], "no such input: there is image"),
            (&[("image", &[1, 3, 8][..])], "does not fit"),
            (&[("image", &[1, 4, 8, 8][..])], "[1, 4, 8, 8] does not fit the model's [-1, 3, -1, -1]"),
            (&[("image", &[1, 3, 8, 8][..]), ("image", &[1, 3, 8, 8][..])], "given twice"),
            (&[("image", &[1, 3, 1 << 20, 1 << 20][..])], "larger than 1 GiB"),
        ] {
            let error = shaped(&open, given).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_file_is_sent_as_it_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let json = r#"{"inputs": [{"name": "image", "datatype": "FP32", "shape": [2, 2], "data": [[0, 1], [0.5, 0]]}]}"#;
        std::fs::write(&file, json).unwrap();
        let payload = read(file.path(), &model(Datatype::Fp32, &[-1, 2])).unwrap();
        assert_eq!((payload.verbatim.as_deref(), payload.rows), (Some(json.as_bytes()), 2));
        std::fs::write(&file, "{").unwrap();
        let error = format!("{:#}", read(file.path(), &model(Datatype::Fp32, &[-1, 2])).unwrap_err());
        assert!(error.starts_with("--body /"), "{error}");
    }
}
