//! How times of a degradation are weighted in a fit, and how far points travel.

use super::degradation::{Degradation, Kind};

/// The number of intervals on which the speed of a process is taken as constant.
const KNOTS: usize = 64;

impl Degradation {
    /// The first and the last time: `[0, 1]`, but `[0.001, 1]` for VP and sub-VP. The velocity of
    /// VP is infinite at 0, and Song et al. end samplers at 0.001.
    pub fn span(&self) -> [f64; 2] {
        match self.kind {
            Kind::Process(process) if process.sigma(0.0)[0] == 0.0 => [1e-3, 1.0],
            _ => [0.0, 1.0],
        }
    }

    /// The weight of time t in the objective from samples and its derivative, `[w_t, dw_t/dt]` (see
    /// the table), for `Weight::new(move |t| degradation.weight(t))`. It goes to 0 where the action
    /// of data without noise is infinite. It does not change the best action.
    pub fn weight(&self, t: f64) -> [f64; 2] {
        match self.kind {
            Kind::Process(process) => process.weight(t),
            Kind::Heat(_) => [0.5 * t * t, t],
            _ => [t.powi(3), 3.0 * t * t],
        }
    }

    /// The weight for the objective from velocities, which needs no finite action at 0. It is 1:
    /// once time is warped by its [arc length](crate::path::Path::arc_length), all parts of the way
    /// from images to noise have equal weight, and the noise that is left at the end, which is most
    /// visible, is not neglected.
    ///
    /// VE that is not [normalized](crate::path::Process::normalized) keeps the weight from samples. Its way is
    /// longer than any image is wide, and is weighted by its logarithm.
    pub fn weight_of_velocities(&self, t: f64) -> [f64; 2] {
        match self.kind {
            Kind::Process(process) if !process.is_bounded() => process.weight(t),
            _ => [1.0, 0.0],
        }
    }

    /// Times from the first to the last, and the distance that points of order one travel between
    /// them. A process is fast where noise begins and slow where noise dominates.
    pub(super) fn arc_length(&self) -> (Vec<f64>, Vec<f64>) {
        let [first, last] = self.span();
        let process = match self.kind {
            Kind::Process(process) if process.is_bounded() => process,
            _ => return (vec![first, last], vec![last - first]),
        };
        // Denser near 0, where VP moves as the square root of time.
        let times: Vec<f64> = (0..=KNOTS)
            .map(|k| first + (last - first) * (k as f64 / KNOTS as f64).powi(2))
            .collect();
        let place = |t: f64| [process.alpha(t)[0], process.sigma(t)[0]];
        let distances = times.windows(2).map(|pair| {
            let [a, b] = [pair[0], pair[1]].map(place);
            (b[0] - a[0]).hypot(b[1] - a[1])
        });
        let distances = distances.collect();
        (times, distances)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{all, others, processes},
        *,
    };

    #[test]
    fn weights_and_their_derivatives() {
        for degradation in all() {
            let [start, _] = degradation.span();
            let h = 1e-6;
            for t in [0.01, 0.2, 0.6, 0.95] {
                let [weight, slope] = degradation.weight(t);
                let rate =
                    (degradation.weight(t + h)[0] - degradation.weight(t - h)[0]) / (2.0 * h);
                assert!(weight > 0.0);
                assert!(
                    (slope - rate).abs() < 1e-6 * slope.abs() + 1e-8,
                    "{slope} {rate}"
                );
            }
            // Only VE has noise at time 0.
            let noisy = processes()[2..].contains(&degradation);
            assert!(noisy || degradation.weight(start)[0] < 1e-2);
        }
        let [vp, sub, ve, normalized] = processes();
        let sigma = (1.0 - (-0.1f64 * 0.3 - 9.95 * 0.09).exp()).sqrt();
        assert!((vp.weight(0.3)[0] - sigma.powi(5)).abs() < 1e-12);
        assert!((sub.weight(0.3)[0] - sigma.powi(5)).abs() < 1e-12);
        let rate = 0.01 * 5000f64.powf(0.3) * 5000f64.ln();
        assert!((ve.weight(0.3)[0] * rate * rate - 1.0).abs() < 1e-12);
        // theta' by differences.
        let theta = |t: f64| (0.01 * 5000f64.powf(t)).atan();
        let rate = (theta(0.3 + 1e-6) - theta(0.3 - 1e-6)) / 2e-6;
        assert!((normalized.weight(0.3)[0] * rate * rate - 1.0).abs() < 1e-8);
        assert_eq!(others()[0].weight(0.5), [0.125, 0.75]);
        assert_eq!(others()[1].weight(0.5), [0.125, 0.5]);
    }

    /// VP and normalized VE travel along an arc of a circle.
    #[test]
    fn the_arc_length_is_the_distance_that_points_travel() {
        for degradation in all() {
            let (times, distances) = degradation.arc_length();
            assert_eq!([times[0], *times.last().unwrap()], degradation.span());
            assert!(times.windows(2).all(|w| w[0] < w[1]));
            assert_eq!(times.len(), distances.len() + 1);
            assert!(distances.iter().all(|d| *d > 0.0));
        }
        let [vp, sub, ve, normalized] = processes();
        let check = |degradation: &Degradation, angle: fn(f64) -> f64| {
            let (times, distances) = degradation.arc_length();
            let mut way = 0.0;
            for (t, distance) in times[1..].iter().zip(&distances) {
                way += distance;
                let expected = angle(*t) - angle(times[0]);
                assert!((way - expected).abs() < 1e-3, "{t}: {way}, {expected}");
            }
            assert_eq!(degradation.weight_of_velocities(0.3), [1.0, 0.0]);
        };
        check(&vp, |t| (0.1 * t + 9.95 * t * t).exp_m1().sqrt().atan());
        check(&normalized, |t| (0.01 * 5000f64.powf(t)).atan());
        assert_eq!(sub.weight_of_velocities(0.3), [1.0, 0.0]);
        assert_eq!(ve.weight_of_velocities(0.3), ve.weight(0.3));
    }
}
