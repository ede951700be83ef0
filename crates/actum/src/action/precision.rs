//! The numbers that networks are multiplied in.

use serde::{Deserialize, Serialize};

use crate::simd::bf16;

/// The precision of the products of a fit. Sums, parameters and all that is no product are in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// bf16 where the processor has instructions for it (AVX-512 BF16 or AMX), else f32.
    #[default]
    Auto,
    /// 24 bits of significand.
    F32,
    /// 8 bits of significand: each factor of a product is off by at most 2^-9 of it. Slower than
    /// f32 where the processor has no instructions for it.
    Bf16,
}

impl Precision {
    /// What is meant on this machine: never [`Auto`](Self::Auto).
    pub fn here(self) -> Self {
        match self {
            Self::Auto if bf16::is_fast() => Self::Bf16,
            Self::Auto => Self::F32,
            chosen => chosen,
        }
    }
}
