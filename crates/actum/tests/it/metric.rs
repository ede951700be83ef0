//! Exact transport against POT 0.9.7 (`ot.emd2`) on the embryoid data, times 1 and 2, every column
//! standardised with its mean and standard deviation over all rows.

use actum::{
    data::{Keys, read},
    metric::{wasserstein_1, wasserstein_2},
};

use crate::support::shared;

#[test]
#[ignore = "needs shared/data/eb"]
fn wasserstein_distances_agree_with_pot() {
    let all = read(&shared("eb/eb.npz"), &Keys::default()).unwrap();
    for (dims, w1, w2) in [
        (5, 1.3148588356, 1.6065810710),
        (20, 3.6130102939, 3.8017913737),
    ] {
        let snapshots = all.first_columns(dims).unwrap();
        let pooled = snapshots.pooled();
        let (mean, std_dev) = (pooled.mean(), pooled.std_dev());
        let [a, b] = [1, 2].map(|i| snapshots.cloud(i).rescaled(&mean, &std_dev));
        let ours = [
            wasserstein_1(&a, &b).unwrap(),
            wasserstein_2(&a, &b).unwrap(),
        ];
        for (ours, pot) in ours.iter().zip([w1, w2]) {
            assert!(
                (ours / pot - 1.0).abs() < 1e-9,
                "{dims} columns: {ours} against {pot}"
            );
        }
    }
}
