//! Reproducible random numbers.
//!
//! Each use has a generator of its own. Its key is the seed, the purpose and two numbers such as (epoch, picture).
//! Neither the order of the work nor the number of threads therefore changes a random number.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator used everywhere: small, fast, and the same on every machine and in every version.
pub type Generator = Xoshiro256PlusPlus;

/// What a generator is for. Different purposes have independent streams of random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Initial values of the weights.
    Weights,
    /// Choice of the held-out pictures.
    Holdout,
    /// Order of the pictures in an epoch.
    Order,
    /// Distortion of a picture in an epoch.
    Augmentation,
    /// Choice of the pictures that the statistics of batch norm are computed from.
    Statistics,
    /// Digits drawn by `synth`.
    Drawing,
    /// Pictures that training adds to MNIST.
    Addition,
}

/// The generator for one use of `purpose` under `seed`; `first` and `second` identify the use.
pub fn generator(seed: u64, purpose: Purpose, first: u64, second: u64) -> Generator {
    let mut key = 0;
    for part in [seed, purpose as u64, first, second] {
        key = mix(key ^ part);
    }
    Generator::seed_from_u64(key)
}

/// The finaliser of `SplitMix64`: every bit of the input affects every bit of the output.
fn mix(key: u64) -> u64 {
    let key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn neighbouring_keys_give_unrelated_streams() {
        let mut firsts = Vec::new();
        for seed in 0..4 {
            for purpose in [Purpose::Weights, Purpose::Order] {
                for (first, second) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    firsts.push(generator(seed, purpose, first, second).next_u64());
                }
            }
        }
        let drawn = firsts.len();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), drawn);
    }
}
