use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use oip::{Parameter, Parameters, RequestedOutput, Shape};

use super::*;
use crate::model::{Batching, Dimension, ImageConfig, Signature, TensorSpec};

fn png(draw: impl Fn(u32, u32) -> bool) -> Vec<u8> {
    let pixel = |x, y| Luma([if draw(x, y) { 0 } else { 255 }]);
    let mut encoded = std::io::Cursor::new(Vec::new());
    let picture = DynamicImage::ImageLuma8(GrayImage::from_fn(60, 60, pixel));
    picture.write_to(&mut encoded, ImageFormat::Png).unwrap();
    encoded.into_inner()
}

/// Returns a picture of the digit one.
fn one() -> Vec<u8> {
    png(|x, y| (28..32).contains(&x) && (10..50).contains(&y))
}

fn rules(max_rows: Option<usize>) -> Rules {
    let dims = |sizes: &[usize]| {
        let sizes = sizes.iter().map(|&size| Dimension::Fixed(size));
        [Dimension::Dynamic("N".into())].into_iter().chain(sizes).collect()
    };
    let inputs = vec![TensorSpec::new("image", Datatype::Uint8, dims(&[28, 28]))];
    let outputs = vec![TensorSpec::new("y", Datatype::Fp32, dims(&[10]))];
    Rules::new(Signature { inputs, outputs }, Batching::Off("a test".into()), max_rows)
}

fn pictures(rules: &Rules, decoding: Decoding) -> Pictures {
    let config: ImageConfig = toml::from_str("preprocess = \"mnist\"").unwrap();
    Pictures::new("digits", config.resolve(&rules.signature).unwrap(), rules, decoding)
}

fn request(elements: &[&[u8]], shape: &[usize]) -> InferRequest {
    let mut data = Vec::new();
    for element in elements {
        oip::push_bytes_element(&mut data, element);
    }
    let tensor = Tensor { datatype: Datatype::Bytes, shape: Shape::from(shape), data: data.into() };
    let input = InputTensor { name: "image".into(), parameters: Parameters::default(), tensor };
    InferRequest { inputs: vec![input], ..InferRequest::default() }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn outcome(pictures: &Pictures, mut request: InferRequest) -> Result<(Tensor, AddedOutputs), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = pictures.options(&mut request)?;
        let added = pictures.prepare(&mut request, &options, soon()).await?;
        Ok((request.inputs.remove(0).tensor, added))
    })
}

fn parameter(mut request: InferRequest, key: &str, value: Parameter) -> InferRequest {
    request.parameters.0.push((key.into(), value));
    request
}

fn asking(mut request: InferRequest, names: &[&str]) -> InferRequest {
    let output = |name: &&str| RequestedOutput { name: (*name).into(), parameters: Parameters::default() };
    request.outputs = names.iter().map(output).collect();
    request
}

#[test]
fn pictures_become_rows_and_digits_have_boxes() {
    let pictures = pictures(&rules(None), Decoding::new(1, 1 << 20, 1 << 20, 100));
    let (one, two) =
        (one(), png(|x, y| (10..14).contains(&x) ^ (40..44).contains(&x) && (8..52).contains(&y)));
    let two_digits = request(&[&one, &two], &[2, 1]);
    let error = outcome(&pictures, two_digits.clone()).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    let said = "model 'digits', input 'image', picture 1: ";
    assert!(error.message.starts_with(said) && error.message.contains("2 digits"), "{error}");
    assert!(error.message.contains("digits=all"), "{error}");
    let all = parameter(two_digits, DIGITS, Parameter::String(ALL.into()));
    let (tensor, added) = outcome(&pictures, all).unwrap();
    assert_eq!((tensor.shape, tensor.data.len()), ([3, 28, 28][..].into(), 3 * 784));
    let boxes = added.boxes.unwrap();
    assert_eq!((&boxes.shape, boxes.datatype), (&[3, 5][..].into(), Datatype::Int32));
    let pictures_of: Vec<u8> = boxes.data.chunks(20).map(|row| row[0]).collect();
    assert_eq!((pictures_of, added.input), (vec![0, 1, 1], None));
}

#[test]
fn the_number_of_pictures_is_limited() {
    let one = one();
    let four = request(&[&one, &one, &one, &one], &[4]);
    for (max_rows, tensor_bytes, waiting, code, named) in [
        (Some(3), 1 << 20, 100, ErrorCode::InvalidArgument, "max_batch_size"),
        (None, 3 * 784, 100, ErrorCode::PayloadTooLarge, "--max-body-size"),
        (None, 1 << 20, 3, ErrorCode::InvalidArgument, "--max-queue-rows"),
    ] {
        let pictures = pictures(&rules(max_rows), Decoding::new(1, 1 << 20, tensor_bytes, waiting));
        let error = outcome(&pictures, four.clone()).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(named) && error.message.contains("at most 3"), "{error}");
        assert!(outcome(&pictures, request(&[&one, &one, &one], &[3])).is_ok());
    }
    let pictures = pictures(&rules(None), Decoding::new(1, 1 << 20, 1 << 20, 100));
    for (shape, elements, named) in [
        (&[0][..], &[][..], "no rows"),
        (&[1, 2], &[&one[..], &one], "shape [1,2]"),
        (&[], &[&one[..]], "shape []"),
    ] {
        let error = outcome(&pictures, request(elements, shape)).unwrap_err();
        assert!(error.message.contains(named), "{error}");
    }
}

#[test]
fn added_outputs_are_in_the_requested_order() {
    let pictures = pictures(&rules(None), Decoding::new(1, 1 << 20, 1 << 20, 100));
    let answer = |request: InferRequest| {
        let mut request = request;
        let options = pictures.options(&mut request)?;
        let tensor = || Tensor { datatype: Datatype::Fp32, shape: [0][..].into(), data: Bytes::new() };
        let asked = request.outputs.iter().map(|output| output.name.clone());
        let mut outputs: Vec<_> = asked.map(|name| (name, tensor())).collect();
        if outputs.is_empty() {
            outputs.push(("y".into(), tensor()));
        }
        let added = AddedOutputs {
            input: options.returns_input().then(tensor),
            boxes: options.has_boxes().then(tensor),
        };
        options.add(&mut outputs, added, pictures.input());
        Ok::<_, ServeError>(
            outputs.into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(" "),
        )
    };
    let plain = || request(&[b"x"], &[1]);
    let returning = |request| parameter(request, RETURN_INPUT, Parameter::Bool(true));
    let all = |request| parameter(request, DIGITS, Parameter::String(ALL.into()));
    for (request, expected) in [
        (plain(), "y"),
        (returning(plain()), "y image"),
        (all(returning(plain())), "y image boxes"),
        (all(plain()), "y boxes"),
        (asking(plain(), &["boxes", "y", "image"]), "boxes y image"),
        (asking(plain(), &["image"]), "image"),
        (all(asking(plain(), &["image", "y"])), "image y boxes"),
        (parameter(plain(), RETURN_INPUT, Parameter::Bool(false)), "y"),
    ] {
        assert_eq!(answer(request).unwrap(), expected);
    }
    for (request, named) in [
        (asking(plain(), &["image", "image"]), "'image' is requested twice"),
        (parameter(plain(), RETURN_INPUT, Parameter::Int64(1)), "true or false"),
        (parameter(plain(), DIGITS, Parameter::String("two".into())), "must be \"all\""),
        (parameter(plain(), DIGITS, Parameter::Bool(true)), "must be \"all\""),
    ] {
        let error = answer(request).unwrap_err();
        assert!(error.message.contains(named), "{error}");
    }
}

#[tokio::test]
async fn requests_wait_for_decoding_within_bounds_and_until_their_deadline() {
    let pictures = pictures(&rules(None), Decoding::new(1, 1 << 20, 1 << 20, 2));
    let permit = Arc::clone(&pictures.decoding.decoders).acquire_owned().await.unwrap();
    let one = one();
    let prepare = |count: usize, deadline| {
        let (pictures, mut request) = (&pictures, request(&vec![&one[..]; count], &[count]));
        async move { pictures.prepare(&mut request, &PictureOptions::default(), deadline).await }
    };
    let late = prepare(1, Instant::now() + Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(late.code, ErrorCode::DeadlineExceeded);
    let mut first = pin!(prepare(2, soon()));
    let is_pending = poll_fn(|context| Poll::Ready(first.as_mut().poll(context).is_pending())).await;
    assert!(is_pending);
    let full = prepare(1, soon()).await.unwrap_err();
    assert_eq!(full.code, ErrorCode::Overloaded);
    assert!(full.message.contains("--max-queue-rows"), "{full}");
    drop(permit);
    first.await.unwrap();
    prepare(1, soon()).await.unwrap();
}

#[test]
fn decoding_ends_when_the_request_is_dropped() {
    let rules = rules(None);
    let pictures = pictures(&rules, Decoding::new(1, 1 << 20, 1 << 20, 100));
    let task = Task {
        model: "digits".into(),
        input: Arc::clone(&pictures.input),
        limits: Limits { max_pixels: 1 << 20 },
        picture_limit: pictures.limit,
        all_digits: false,
    };
    let encoded = request(&[b"never looked at"], &[1]).inputs.remove(0).tensor.data;
    let error = task.run(1, bytes_elements(&encoded), &AtomicBool::new(true)).unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal, "else the bytes are refused: {error}");
    let cancel = CancelOnDrop::default();
    let flag = Arc::clone(&cancel.0);
    drop(cancel);
    assert!(flag.load(Ordering::Relaxed));
}

#[test]
fn the_default_setting_is_the_decoder_s_default() {
    let setting = crate::config::ALL.iter().find(|setting| setting.key == "max_picture_pixels").unwrap();
    assert_eq!(setting.fallback.text(), Limits::default().max_pixels.to_string());
}
