//! The weights of a layer as the right factor of a product.

use crate::simd::{Epilogue, Line, Pair, Pairs, bf16, multiply};

/// `W_l` or its transpose, `[inner, columns]`.
#[derive(Clone, Copy)]
pub(super) struct Factor<'a> {
    pub inner: usize,
    pub lines: &'a [Line],
    /// In bf16, if products are.
    pub pairs: Option<&'a [Pair]>,
}

impl Factor<'_> {
    /// `c = a W + bias` for `a` of `rows` rows, which `rounded` has room for.
    #[inline(always)]
    pub fn multiply(
        self,
        rows: usize,
        a: &[Line],
        rounded: &mut Pairs,
        bias: Option<&[Line]>,
        c: &mut [Line],
        after: impl Epilogue,
    ) {
        match self.pairs {
            None => multiply([rows, self.inner], a, self.lines, bias, c, after),
            Some(pairs) => {
                bf16::left(rows, a, rounded);
                bf16::multiply(rows, rounded, pairs, bias, c, after);
            }
        }
    }
}
