//! Loops over numbers, compiled for several instruction sets. At run time the widest one that the CPU has is chosen.
#![expect(
    clippy::inline_always,
    reason = "must be compiled for the instruction set of the function that it is inlined into"
)]

use std::ops::{Add, Mul, Neg, Sub};

use pulp::Scalar;
pub use pulp::{Simd, WithSimd};

/// Runs `work` compiled for the CPU's widest vector instructions.
///
/// Only inlined code is compiled this way, so `work` and the functions that it calls must be `#[inline(always)]`. Sums
/// are not reordered: the result equals that of the same loop without vector instructions.
#[inline(always)]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// Number of channels that one step works on together: the `f32` values in one AVX-512 register.
pub const LANES: usize = 16;

/// Runs `work` with the CPU's widest vectors if `channels` is a multiple of [`LANES`], and else with single numbers.
#[inline(always)]
pub fn with_lanes<W: WithSimd>(channels: usize, work: W) -> W::Output {
    if channels.is_multiple_of(LANES) { pulp::Arch::new().dispatch(work) } else { work.with_simd(Scalar) }
}

/// A vector register of `f32` values, for loops that the compiler does not vectorise by itself.
///
/// `S` is the instruction set, which decides the number of values. [`with_lanes`] chooses it.
#[derive(Debug, Clone, Copy)]
pub struct Lanes<S: Simd> {
    simd: S,
    numbers: S::f32s,
}

impl<S: Simd> Lanes<S> {
    /// Number of values in a register; divides [`LANES`].
    pub const COUNT: usize = S::F32_LANES;

    /// A register with the same number in all lanes.
    #[inline(always)]
    pub fn splat(simd: S, number: f32) -> Self {
        Self { simd, numbers: simd.splat_f32s(number) }
    }

    /// Loads [`Self::COUNT`] numbers, starting at `from[first]`.
    #[inline(always)]
    pub fn load(simd: S, from: &[f32], first: usize) -> Self {
        Self { simd, numbers: S::as_simd_f32s(&from[first..][..Self::COUNT]).0[0] }
    }

    /// Stores the numbers, starting at `to[first]`.
    #[inline(always)]
    pub fn store(self, to: &mut [f32], first: usize) {
        S::as_mut_simd_f32s(&mut to[first..][..Self::COUNT]).0[0] = self.numbers;
    }

    /// `self + factor × other`, rounded once on CPUs with a fused multiply-add.
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
