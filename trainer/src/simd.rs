//! Loops over numbers, compiled for the widest vectors that the machine turns out to have.
#![expect(
    clippy::inline_always,
    reason = "must be compiled for the vectors of whatever this is inlined into"
)]

use std::ops::{Add, Mul, Neg, Sub};

use pulp::Scalar;
pub use pulp::{Simd, WithSimd};

/// Runs `work` compiled for the machine's own vector instructions.
///
/// Only what the compiler inlines profits, so `work` and what is called there are `#[inline(always)]`. Sums are not
/// reordered: the result is that of the same loop without vectors.
#[inline(always)]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// How many channels are worked on together where their number allows it: one vector of AVX-512.
pub const LANES: usize = 16;

/// Does `work` with the machine's own vectors, or number by number where the `channels` do not fill them.
#[inline(always)]
pub fn with_lanes<W: WithSimd>(channels: usize, work: W) -> W::Output {
    if channels.is_multiple_of(LANES) { pulp::Arch::new().dispatch(work) } else { work.with_simd(Scalar) }
}

/// Neighbouring numbers that are worked on together, where the compiler would not see by itself that they can be.
///
/// `S` says how many: it is the kind of machine, and comes from [`with_lanes`].
#[derive(Debug, Clone, Copy)]
pub struct Lanes<S: Simd> {
    simd: S,
    numbers: S::f32s,
}

impl<S: Simd> Lanes<S> {
    /// How many there are; divides [`LANES`].
    pub const COUNT: usize = S::F32_LANES;

    /// The same number in all lanes.
    #[inline(always)]
    pub fn splat(simd: S, number: f32) -> Self {
        Self { simd, numbers: simd.splat_f32s(number) }
    }

    /// The numbers from `first` on.
    #[inline(always)]
    pub fn load(simd: S, from: &[f32], first: usize) -> Self {
        Self { simd, numbers: S::as_simd_f32s(&from[first..][..Self::COUNT]).0[0] }
    }

    /// Overwrites the numbers from `first` on.
    #[inline(always)]
    pub fn store(self, to: &mut [f32], first: usize) {
        S::as_mut_simd_f32s(&mut to[first..][..Self::COUNT]).0[0] = self.numbers;
    }

    /// `self + factor × other`, rounded once where the machine can.
    #[inline(always)]
    #[must_use]
    pub fn plus(self, factor: Self, other: Self) -> Self {
        let numbers = self.simd.mul_add_e_f32s(factor.numbers, other.numbers, self.numbers);
        Self { numbers, ..self }
    }
}

impl<S: Simd> Add for Lanes<S> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self { numbers: self.simd.add_f32s(self.numbers, other.numbers), ..self }
    }
}

impl<S: Simd> Sub for Lanes<S> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self { numbers: self.simd.sub_f32s(self.numbers, other.numbers), ..self }
    }
}

impl<S: Simd> Neg for Lanes<S> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self { numbers: self.simd.neg_f32s(self.numbers), ..self }
    }
}

impl<S: Simd> Mul<f32> for Lanes<S> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, factor: f32) -> Self {
        let factor = self.simd.splat_f32s(factor);
        Self { numbers: self.simd.mul_f32s(self.numbers, factor), ..self }
    }
}
