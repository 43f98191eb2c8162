//! Loops over numbers, compiled for the widest vectors that the machine turns out to have.

/// Runs `work` compiled for the machine's own vector instructions.
///
/// Only what the compiler inlines into `work` profits, so what is called there is `#[inline(always)]`. Sums are
/// not reordered: the result is that of the same loop without vectors.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the closure is compiled for whatever this is inlined into")]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// How many channels are worked on together where their number allows it: one vector of AVX-512.
pub const LANES: usize = 16;
