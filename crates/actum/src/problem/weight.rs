//! How much every time counts.

use std::{fmt, sync::Arc};

use crate::error::{Result, ensure};

/// The weight `w_t >= 0` of times in the objective, with its derivative, on top of that of the
/// [time warp](crate::units::Units). It does not change what the best action is; where it is 0 at
/// an end of the span, that boundary is dropped.
#[derive(Clone, Default)]
pub struct Weight(Option<Arc<Function>>);

type Function = dyn Fn(f64) -> [f64; 2] + Send + Sync;

impl Weight {
    /// 1 at all times.
    pub fn uniform() -> Self {
        Self(None)
    }

    /// The function that returns `[w_t, dw_t/dt]`, in the user's time.
    pub fn new(weight: impl Fn(f64) -> [f64; 2] + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(weight)))
    }

    pub(crate) fn at(&self, t: f64) -> [f64; 2] {
        self.0.as_ref().map_or([1.0, 0.0], |weight| weight(t))
    }

    pub(crate) fn check(&self, [first, last]: [f64; 2]) -> Result<()> {
        let mut total = 0.0;
        for k in 0..=100 {
            let t = first + (last - first) * k as f64 / 100.0;
            let [weight, slope] = self.at(t);
            ensure!(
                weight.is_finite() && weight >= 0.0 && slope.is_finite(),
                Value,
                "the weight in time must be finite and not negative, and its derivative finite; \
                 at {t} they are {weight} and {slope}"
            );
            total += weight;
        }
        ensure!(total > 0.0, Value, "the weight in time is 0 at all times");
        Ok(())
    }
}

impl fmt::Debug for Weight {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self.0 {
            None => "Weight(uniform)",
            Some(_) => "Weight(function)",
        })
    }
}
