//! Checks the gradient of each layer against finite differences.
//!
//! The layers compute in single precision, so the steps must be large: about 0.01, or more where the layer is linear in
//! the varied values. The loss is summed in double precision. The two gradients may differ by 1 % of the largest one; a
//! wrong index, sign or factor makes a much larger difference. Rectifier and max pooling are not differentiable
//! everywhere, so the inputs are chosen such that no step crosses such a point.

use rand::RngExt;

use super::architecture::{Architecture, BlockSpec};
use super::batch_norm::{BatchNorm, Statistics, StatisticsAccumulator};
use super::conv::{Backward, Conv, Kernel};
use super::dense::Dense;
use super::loss;
use super::network::{Network, Workspace};
use super::pool::{MaxPool, global_average, global_average_backward};
use crate::random::{Purpose, generator};

const TOLERANCE: f64 = 1e-2;

/// Random numbers between -1 and 1.
fn random(count: usize, stream: u64) -> Vec<f32> {
    let mut draws = generator(7, Purpose::Weights, stream, 0);
    (0..count).map(|_| draws.random_range(-1.0..1.0)).collect()
}

/// A loss that depends on each output: their sum with random weights.
fn weighted(outputs: &[f32], weights: &[f32]) -> f64 {
    outputs.iter().zip(weights).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
}

/// Checks `gradient` against differences of `loss` around `at`.
fn check(what: &str, at: &[f32], gradient: &[f32], step: f32, mut loss: impl FnMut(&[f32]) -> f64) {
    assert_eq!(at.len(), gradient.len(), "{what}");
    let largest = gradient.iter().fold(0.0_f64, |largest, g| largest.max(f64::from(g.abs())));
    assert!(largest > 0.0, "{what} has no gradient at all");
    let mut moved = at.to_vec();
    for index in 0..at.len() {
        moved[index] = at[index] + step;
        let above = loss(&moved);
        moved[index] = at[index] - step;
        let below = loss(&moved);
        moved[index] = at[index];
        let expected = (above - below) / f64::from(2.0 * step);
        let found = f64::from(gradient[index]);
        let difference = (expected - found).abs();
        assert!(difference < TOLERANCE * largest, "{what} {index}: {found}, by differences {expected}");
    }
}

#[test]
fn convolution() {
    let shapes = [(5, 2, 3), (4, 1, 3), (4, 1, 16), (3, 16, 16)];
    for conv in shapes.map(|(side, inputs, outputs)| Conv { side, inputs, outputs }) {
        let pictures = conv.pictures_at_once().min(2);
        let (weights, x) = (random(conv.weights(), 1), random(pictures * conv.input_len(), 2));
        let say = random(pictures * conv.output_len(), 3);
        let (mut weight_gradient, mut dx) = (vec![0.0; weights.len()], vec![0.0; x.len()]);
        let pass = Backward { kernel: &kernel(conv, &weights), x: &x, dz: &say, dx: Some(&mut dx) };
        let mut scratch = conv.scratch();
        conv.backward(pass, &mut weight_gradient, &mut scratch);
        let mut z = vec![0.0; say.len()];
        let mut loss = |weights: &[f32], x: &[f32]| {
            conv.forward(&kernel(conv, weights), x, &mut z, &mut scratch);
            weighted(&z, &say)
        };
        check("convolution, weight", &weights, &weight_gradient, 0.1, |weights| loss(weights, &x));
        check("convolution, input", &x, &dx, 0.1, |x| loss(&weights, x));
    }
}

fn kernel(conv: Conv, weights: &[f32]) -> Kernel {
    let mut kernel = conv.kernel();
    conv.prepare(weights, &mut kernel);
    kernel
}

#[test]
#[expect(clippy::float_cmp, reason = "products of small numbers are exact")]
fn convolution_sees_zeros_around_the_picture() {
    let weights = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
    let corner = [1.0, 0.0, 0.0, 0.0];
    let mut z = [0.0; 4];
    for inputs in [1, 2] {
        // Each input channel has the same weights and the same picture.
        let conv = Conv { side: 2, inputs, outputs: 1 };
        let repeat = |values: &[f32]| values.iter().flat_map(|v| vec![*v; inputs]).collect::<Vec<f32>>();
        let kernel = kernel(conv, &repeat(&weights));
        conv.forward(&kernel, &repeat(&corner), &mut z, &mut conv.scratch());
        assert_eq!(z, [16.0, 8.0, 2.0, 1.0].map(|value| value * inputs as f32));
    }
}

#[test]
fn both_ways_to_convolve_agree() {
    for side in [6, 7] {
        let direct = Conv { side, inputs: 1, outputs: 16 };
        let (weights, x) = (random(direct.weights(), 18), random(direct.input_len(), 19));
        let mut expected = vec![0.0; direct.output_len()];
        direct.forward(&kernel(direct, &weights), &x, &mut expected, &mut direct.scratch());
        // The first of two channels has the same picture. The second is all zeros and has other weights.
        let products = Conv { inputs: 2, ..direct };
        let both: Vec<f32> = x.iter().flat_map(|&x| [x, 0.0]).collect();
        let weights: Vec<f32> = weights.chunks(16).flat_map(|row| [row, &[1.0; 16]].concat()).collect();
        let mut found = vec![f32::NAN; expected.len()];
        products.forward(&kernel(products, &weights), &both, &mut found, &mut products.scratch());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found}, directly {expected}");
        }
    }
}

#[test]
fn maximum_pool() {
    let pool = MaxPool { side: 4, channels: 3 };
    // The values differ by more than the step, so that no step changes the maximum.
    let x: Vec<f32> = (0..48).map(|i| ((i * 29) % 48) as f32 / 48.0).collect();
    let say = random(pool.output_len(), 4);
    let (mut y, mut winner) = (vec![0.0; say.len()], vec![0; say.len()]);
    pool.forward(&x, &mut y, &mut winner);
    let mut dx = vec![f32::NAN; x.len()];
    pool.backward(&say, &winner, &mut dx);
    check("pool", &x, &dx, 0.005, |x| {
        pool.forward(x, &mut y, &mut winner);
        weighted(&y, &say)
    });
}

#[test]
fn global_average_pool() {
    let (x, say) = (random(12, 5), random(3, 6));
    let mut dx = vec![0.0; x.len()];
    global_average_backward(&say, &mut dx);
    check("mean", &x, &dx, 0.1, |x| {
        let mut mean = [0.0; 3];
        global_average(x, &mut mean);
        weighted(&mean, &say)
    });
}

#[test]
fn batch_norm_and_rectifier() {
    // 16 channels take the code path with SIMD vectors, 3 the scalar one.
    for channels in [3, 16] {
        let pixels = 40;
        let (mut z, say) = (random(pixels * channels, 7), random(pixels * channels, 8));
        let beta: Vec<f32> = random(channels, 9).iter().map(|b| 0.5 * b).collect();
        let forward = |z: &[f32], beta: &[f32], y: &mut [f32]| {
            let mut accumulator = StatisticsAccumulator::new(&z[..channels]);
            z.chunks_exact(10 * channels).for_each(|picture| accumulator.add(picture));
            let statistics = accumulator.finish();
            BatchNorm { statistics: &statistics, beta }.forward(z, y);
            statistics
        };
        let mut y = vec![0.0; z.len()];
        let mut statistics = forward(&z, &beta, &mut y);
        while push_from_kink(&mut z, &statistics, &beta) {
            statistics = forward(&z, &beta, &mut y);
        }
        let (mut g, mut beta_gradient) = (say.clone(), vec![0.0; channels]);
        BatchNorm { statistics: &statistics, beta: &beta }.backward(&z, &mut g, &mut beta_gradient);
        check("batch norm, input", &z, &g, 1e-3, |z| {
            forward(z, &beta, &mut y);
            weighted(&y, &say)
        });
        check("batch norm, shift", &beta, &beta_gradient, 1e-3, |beta| {
            forward(&z, beta, &mut y);
            weighted(&y, &say)
        });
    }
}

/// Moves inputs that reach the rectifier within 0.02 of zero away from it. Returns whether there were any.
fn push_from_kink(z: &mut [f32], statistics: &Statistics, beta: &[f32]) -> bool {
    let scale = statistics.inverse_deviation();
    let mut moved = false;
    for (index, z) in z.iter_mut().enumerate() {
        let channel = index % beta.len();
        let rectified = (*z - statistics.mean[channel]) * scale[channel] + beta[channel];
        if rectified.abs() < 0.02 {
            *z += 0.05;
            moved = true;
        }
    }
    moved
}

#[test]
fn batch_norm_statistics_are_mean_and_variance() {
    let z: Vec<f32> = random(64, 10).iter().map(|z| 1000.0 + z).collect();
    let mut accumulator = StatisticsAccumulator::new(&z[..2]);
    z.chunks_exact(16).for_each(|picture| accumulator.add(picture));
    let statistics = accumulator.finish();
    for channel in 0..2 {
        let values: Vec<f64> = z.iter().skip(channel).step_by(2).map(|z| f64::from(*z)).collect();
        let mean = values.iter().sum::<f64>() / 32.0;
        let variance = values.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / 32.0;
        assert!((f64::from(statistics.mean[channel]) - mean).abs() < 1e-3);
        assert!((f64::from(statistics.variance[channel]) / variance - 1.0).abs() < 1e-3);
    }
}

#[test]
fn dense_layer() {
    let dense = Dense { inputs: 4, outputs: 3 };
    let (weights, bias, x) = (random(12, 11), random(3, 12), random(8, 13));
    let say = random(6, 14);
    let (mut dweights, mut dbias, mut dx) = (vec![0.0; 12], vec![0.0; 3], vec![0.0; 8]);
    dense.backward_parameters(&x, &say, &mut dweights, &mut dbias);
    dense.backward_input(&weights, &say, &mut dx);
    let loss = |weights: &[f32], bias: &[f32], x: &[f32]| {
        let mut y = vec![0.0; 6];
        dense.forward(weights, bias, x, &mut y);
        weighted(&y, &say)
    };
    check("dense, weight", &weights, &dweights, 0.1, |weights| loss(weights, &bias, &x));
    check("dense, bias", &bias, &dbias, 0.1, |bias| loss(&weights, bias, &x));
    check("dense, input", &x, &dx, 0.1, |x| loss(&weights, &bias, x));
}

#[test]
fn softmax_and_cross_entropy() {
    let logits = random(5, 15);
    let mut gradient = logits.clone();
    loss::cross_entropy(&mut gradient, 2, 0.1);
    check("loss", &logits, &gradient, 1e-2, |logits| {
        f64::from(loss::cross_entropy(&mut logits.to_vec(), 2, 0.1))
    });
}

/// Checks the whole network with a step along its gradient. Each layer contributes to it, and the loss changes as much
/// as possible, so that rounding errors matter little.
#[test]
fn the_whole_network() {
    let specs = [
        BlockSpec { channels: 16, pool: true },
        BlockSpec { channels: 5, pool: false },
        BlockSpec { channels: 6, pool: true },
    ];
    let architecture = Architecture::new(8, &specs, 10);
    let parameters: Vec<f32> = random(architecture.parameters(), 16).iter().map(|p| 0.4 * p).collect();
    let mut workspace = Workspace::new(&architecture, 6);
    workspace.pictures.copy_from_slice(&random(6 * 64, 17));
    workspace.labels.copy_from_slice(&[3, 1, 4, 1, 5, 9]);
    Network::new(architecture.clone(), parameters.clone()).learn(&mut workspace, 0.1);
    let gradient = workspace.gradient.clone();
    let length = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    for range in architecture.blocks.iter().flat_map(|b| [b.weights.clone(), b.beta.clone()]) {
        assert!(gradient[range].iter().any(|g| *g != 0.0), "a layer has no gradient");
    }
    let mut loss = |step: f64| {
        let moved = parameters.iter().zip(&gradient).map(|(p, g)| p + (step / length) as f32 * g).collect();
        f64::from(Network::new(architecture.clone(), moved).learn(&mut workspace, 0.1).0)
    };
    let slope = (loss(2e-3) - loss(-2e-3)) / 4e-3;
    assert!((slope / length - 1.0).abs() < 0.02, "slope {slope}, gradient's length {length}");
}
