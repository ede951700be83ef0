//! Runge-Kutta schemes as tables.

/// An explicit Runge-Kutta scheme as a Butcher tableau: stage i is taken at `t + c_i h` from
/// `x + h sum_j a_ij k_j`, and the step is `h sum_i b_i k_i`.
pub(super) struct Tableau {
    /// `c`, one for each stage.
    pub(super) nodes: &'static [f64],
    /// `a`; row i has at most i entries.
    pub(super) stages: &'static [&'static [f64]],
    /// `b`, one for each stage.
    pub(super) weights: &'static [f64],
    /// How noise enters; None for a scheme that takes none.
    pub(super) diffusion: Option<Diffusion>,
    /// How the error is estimated; None for a scheme that only takes steps of given length.
    pub(super) pair: Option<Pair>,
}

/// How noise enters a step from t to t + h, with sigma at both ends, the increment
/// `W = W_(t+h) - W_t` and the mean displacement `J = 1/h int (W_s - W_t) ds`.
pub(super) struct Diffusion {
    /// Stage i is taken from the point moved by this times `sigma_(t+h) J`.
    pub(super) stages: &'static [f64],
    /// The factors of `sigma_t W` and `sigma_(t+h) W` in the step.
    pub(super) increment: [f64; 2],
    /// The factors of `sigma_t J` and `sigma_(t+h) J` in the step.
    pub(super) mean: [f64; 2],
}

/// A second solution of lower order from the same stages. Its distance estimates the error. The
/// last stage must be the field at the end of the step, because it is used as the first of the
/// next.
pub(super) struct Pair {
    /// The difference of the two solutions, as weights of the stages.
    pub(super) difference: &'static [f64],
    /// The power of h with which the difference goes to 0.
    pub(super) order: f64,
}

pub(super) const EULER: Tableau = Tableau {
    nodes: &[0.0],
    stages: &[&[]],
    weights: &[1.0],
    diffusion: Some(Diffusion {
        stages: &[0.0],
        increment: [1.0, 0.0],
        mean: [0.0, 0.0],
    }),
    pair: None,
};

pub(super) const HEUN: Tableau = Tableau {
    nodes: &[0.0, 1.0],
    stages: &[&[], &[1.0]],
    weights: &[0.5, 0.5],
    diffusion: None,
    pair: None,
};

pub(super) const RUNGE_KUTTA_4: Tableau = Tableau {
    nodes: &[0.0, 0.5, 0.5, 1.0],
    stages: &[&[], &[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
    weights: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
    diffusion: None,
    pair: None,
};

/// Rößler, SIAM J. Numer. Anal. 48 (2010), "Runge-Kutta methods for the strong approximation of
/// solutions of stochastic differential equations", scheme SRA1. His `I_(1,0)` is h J.
pub(super) const SRA1: Tableau = Tableau {
    nodes: &[0.0, 0.75],
    stages: &[&[], &[0.75]],
    weights: &[1.0 / 3.0, 2.0 / 3.0],
    diffusion: Some(Diffusion {
        stages: &[0.0, 1.5],
        increment: [0.0, 1.0],
        mean: [1.0, -1.0],
    }),
    pair: None,
};

/// Dormand and Prince (1980), table 2. The last stage is the first of the next step.
pub(super) const DORMAND_PRINCE: Tableau = Tableau {
    nodes: &[0.0, 0.2, 0.3, 0.8, 8.0 / 9.0, 1.0, 1.0],
    stages: &[
        &[],
        &[0.2],
        &[3.0 / 40.0, 9.0 / 40.0],
        &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
        &[
            19372.0 / 6561.0,
            -25360.0 / 2187.0,
            64448.0 / 6561.0,
            -212.0 / 729.0,
        ],
        &[
            9017.0 / 3168.0,
            -355.0 / 33.0,
            46732.0 / 5247.0,
            49.0 / 176.0,
            -5103.0 / 18656.0,
        ],
        &[
            35.0 / 384.0,
            0.0,
            500.0 / 1113.0,
            125.0 / 192.0,
            -2187.0 / 6784.0,
            11.0 / 84.0,
        ],
    ],
    weights: &[
        35.0 / 384.0,
        0.0,
        500.0 / 1113.0,
        125.0 / 192.0,
        -2187.0 / 6784.0,
        11.0 / 84.0,
        0.0,
    ],
    diffusion: None,
    pair: Some(Pair {
        difference: &[
            71.0 / 57600.0,
            0.0,
            -71.0 / 16695.0,
            71.0 / 1920.0,
            -17253.0 / 339200.0,
            22.0 / 525.0,
            -1.0 / 40.0,
        ],
        order: 5.0,
    }),
};
