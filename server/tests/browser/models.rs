//! The choice of models, and what the page says where there is none.

use image::ImageFormat;
use oip::Datatype;
use onnx_graph::proto::GraphProto;
use serde_json::json;

use crate::{
    page::{By, Page, run},
    strokes,
    support::{
        ServerBuilder,
        models::{self, constant, node, tensor},
        pictures,
    },
};

/// `y`, shape `[N, 10]`: for every picture a 4 by half, and nearly as much a 9.
fn doubtful() -> Vec<u8> {
    let mut classes = [0.011_25; 10];
    (classes[4], classes[9]) = (0.505, 0.405);
    models::model(GraphProto {
        node: vec![
            node("Flatten", &["image"], "pixels"),
            node("MatMul", &["pixels", "nothing"], "none"),
            node("Add", &["none", "classes"], "y"),
        ],
        initializer: vec![
            constant("nothing", &[784, 10], &[0.0; 7840]),
            constant("classes", &[10], &classes),
        ],
        input: vec![tensor("image", Datatype::Fp32, &["N", "28", "28", "1"])],
        output: vec![tensor("y", Datatype::Fp32, &["N", "10"])],
        ..GraphProto::default()
    })
}

#[test]
fn models_are_chosen_and_those_without_pictures_are_named() {
    run(async {
        let server = ServerBuilder::new()
            .model("table", "1", &models::table())
            .model("perhaps", "3", &doubtful())
            .file("perhaps/config.toml", pictures::MNIST)
            .model("colours", "1", &pictures::mean_colour(Datatype::Fp32, &["N", "3", "8", "8"], [2, 3]))
            .file(
                "colours/config.toml",
                "labels = [\"red\", \"green: light\", \"blue\"]\n[image]\npreprocess = \"rgb\"\n",
            )
            .start();
        let page = Page::of(server, (1280, 900), None).await;
        let names = "return [...document.getElementById('model').options].map(({ value }) => value)";
        assert_eq!(page.js(names).await, json!(["colours", "perhaps"]));
        page.until("document.getElementById('others').textContent.includes('take no pictures: table;')")
            .await;
        assert_eq!(
            page.js("return document.querySelector('#others a').getAttribute('href')").await,
            json!("docs")
        );
        // A model of colours: a picture all in green.
        let green = pictures::plain(40, 40, [10, 250, 10], ImageFormat::Png);
        let bytes = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, green);
        page.js(&format!(
            "const bytes = Uint8Array.from(atob('{bytes}'), (each) => each.charCodeAt(0));
             const files = new DataTransfer();
             files.items.add(new File([bytes], 'green.png', {{ type: 'image/png' }}));
             const input = document.getElementById('file');
             input.files = files.files;
             input.dispatchEvent(new Event('change'))"
        ))
        .await;
        let shown = page.read().await;
        assert_eq!((shown.answer.as_str(), shown.percents.len()), ("green: light", 3), "{shown:?}");
        assert_eq!(page.js("return document.getElementById('seen').hidden").await, json!(true));
        page.chrome.screenshot("colours").await;
        // A model that is never sure.
        page.press("clear").await;
        page.js("const model = document.getElementById('model');
             model.value = 'perhaps';
             model.dispatchEvent(new Event('change'))")
            .await;
        page.draw(By::Mouse, &strokes::digit(7).in_the_middle()).await;
        let shown = page.read().await;
        assert!(shown.is_unsure && shown.message.starts_with("Not sure: 4 (50."), "{shown:?}");
        page.until("document.getElementById('facts').textContent.endsWith('perhaps, version 3')").await;
        page.chrome.screenshot("not-sure").await;
    });
}

#[test]
fn a_server_without_models_for_pictures_says_so() {
    run(async {
        let server = ServerBuilder::new().model("table", "1", &models::table()).start();
        let page = Page::of(server, (1280, 900), None).await;
        page.until(
            "document.getElementById('message').textContent === 'None of the models here takes pictures.'",
        )
        .await;
        page.draw(By::Mouse, &strokes::digit(7).in_the_middle()).await;
        assert_eq!(page.questions().await, 0);
        page.chrome.screenshot("no-models").await;
    });
}
