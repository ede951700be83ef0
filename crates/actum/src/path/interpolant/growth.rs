//! The mass of matched points between snapshots (docs/mathematics.md, section 6).

use ndarray::Array1;

use crate::{cloud::Cloud, transport::Plan};

/// The total mass between snapshots, which grows at a constant rate from each to the next.
pub(super) struct Growth {
    times: Vec<f64>,
    /// The masses of the snapshots over their mean.
    masses: Vec<f64>,
}

impl Growth {
    pub(super) fn new(times: &[f64], clouds: &[Cloud]) -> Self {
        let mean = clouds.iter().map(Cloud::mass).sum::<f64>() / clouds.len() as f64;
        Self {
            times: times.to_vec(),
            masses: clouds.iter().map(|c| c.mass() / mean).collect(),
        }
    }

    /// The mass of a matched pair at `share` of the way from snapshot `k` to the next, and its
    /// rate per unit of time. `gains` are those of the pair, where pairs grow at different rates.
    ///
    /// The total is `M_t = M_k^(1-u) M_(k+1)^u` and the pair's share of it goes linearly from `s P`
    /// to `e P`. A pair is drawn in proportion to its share, so the share is in the rate alone.
    pub(super) fn of_pair(&self, k: usize, share: f64, gains: Option<[f64; 2]>) -> (f64, f64) {
        let (before, after) = (self.masses[k], self.masses[k + 1]);
        let mass = before.powf(1.0 - share) * after.powf(share);
        let own = match gains {
            Some([start, end]) => (end - start) / ((1.0 - share) * start + share * end),
            None => 0.0,
        };
        let rate = ((after / before).ln() + own) / (self.times[k + 1] - self.times[k]);
        (mass, mass * rate)
    }
}

/// The mass of every point of two snapshots over that of its pairs in an unbalanced plan.
pub(super) struct Gains {
    starts: Vec<f64>,
    ends: Vec<f64>,
}

impl Gains {
    pub(super) fn new(a: &Cloud, b: &Cloud, plan: &Plan) -> Self {
        let (rows, columns) = plan.marginals();
        let over =
            |cloud: &Cloud, sums: Array1<f64>| (cloud.weights() / cloud.mass() / sums).to_vec();
        Self {
            starts: over(a, rows),
            ends: over(b, columns),
        }
    }

    /// The gains of the pair of row `i` of the earlier snapshot and row `j` of the later.
    pub(super) fn of_pair(&self, i: usize, j: usize) -> [f64; 2] {
        [self.starts[i], self.ends[j]]
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use crate::path::{
        Coupling, Interpolant, Interpolation, Path,
        interpolant::tests::{COUPLINGS, snapshots},
    };

    /// Every point of every snapshot has its weight, whatever the masses and the coupling, and
    /// the rates are the time derivative of `E[m f(x)]` at fixed chains.
    #[test]
    fn a_path_with_mass_reproduces_weighted_snapshots() {
        let masses = [4.0, 1.0, 3.0, 2.0];
        let heavy = snapshots().with_masses(&masses).unwrap();
        let scale = array![1.0, 1.0];
        for coupling in COUPLINGS.into_iter().chain([Coupling::Unbalanced(0.1)]) {
            let path = Interpolant::new(&heavy, coupling, Interpolation::Cubic, &scale).unwrap();
            assert!(path.has_mass());
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let n = 60_000;
            for (k, cloud) in heavy.clouds().iter().enumerate() {
                let draw = path.sample(&vec![heavy.times()[k]; n], &mut rng);
                let found = draw.masses.unwrap();
                for (y, weight) in cloud.points().rows().into_iter().zip(cloud.weights()) {
                    let rows = draw.points.rows().into_iter().zip(&found.values);
                    let there = rows.filter(|(x, _)| (x - &y).iter().all(|e| e.abs() < 1e-9));
                    let share = there.map(|(_, m)| m).sum::<f64>() / n as f64;
                    // In units of the mean mass, which is 2.5.
                    let expected = weight / 2.5;
                    assert!(
                        (share - expected).abs() < 0.02,
                        "{coupling:?}: {share} {expected}"
                    );
                }
            }
            // In an interval the rates add up to the difference of its ends.
            let times: Vec<f64> = (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect();
            let draw = path.sample(&times, &mut rng).masses.unwrap();
            let gained = draw.rates.unwrap().sum() / n as f64;
            assert!((gained + 3.0 / 2.5).abs() < 0.03, "{coupling:?}: {gained}");
        }
        let even = |c| Interpolant::new(&snapshots(), c, Interpolation::Linear, &scale).unwrap();
        assert!(even(Coupling::Unbalanced(1.0)).has_mass());
        let still = snapshots().with_masses(&[1.0; 4]).unwrap();
        let exact = Interpolant::new(&still, Coupling::Exact, Interpolation::Linear, &scale);
        assert!(!exact.unwrap().has_mass());
        // A coupling that keeps the marginals lets every pair grow alike: 4^(1/2) 1^(1/2) halfway.
        let path =
            Interpolant::new(&heavy, Coupling::Exact, Interpolation::Linear, &scale).unwrap();
        let draw = path.sample(&[0.5; 3], &mut ChaCha8Rng::seed_from_u64(0));
        assert!(
            draw.masses
                .unwrap()
                .values
                .iter()
                .all(|m| (m - 2.0 / 2.5).abs() < 1e-12)
        );
    }
}
