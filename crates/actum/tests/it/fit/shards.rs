//! Fits that see a shard of a large file at a time.

use std::{
    path::Path as FilePath,
    sync::atomic::{AtomicUsize, Ordering},
};

use actum::{
    Cloud,
    action::Device,
    data::{self, Keys, Shards, Snapshots},
    error::{Error, ErrorKind},
    fit::{Checkpoint, Observer, Options, fit, resume},
    lagrangian::Lagrangian,
    path::{Coupling, Interpolant, Interpolation, Path, Sharded},
    problem::Problem,
    run::{IfExists, Record, Run, SnapshotSettings},
    stop::Stop,
    units::Units,
};
use ndarray::{Array1, Array2, Axis, array, concatenate};
use rand::RngExt;

use crate::{
    data::shards::{sharded, split},
    support::{StopAt, networks::mlp, rng, within},
};

/// Points of five modes at time 0, and 5 further at time 1, in random order.
fn translation(path: &FilePath, n: usize) {
    let mut rng = rng(3);
    let points = Array2::from_shape_simple_fn((2 * n, 1), || {
        let mode = (rng.random::<f64>() * 5.0).floor() * 0.5 - 1.0;
        mode + 0.2 * (rng.random::<f64>() - 0.5)
    });
    let times: Vec<f64> = (0..2 * n).map(|i| (i % 2) as f64).collect();
    let moved = &points + &Array1::from(times.clone()).insert_axis(ndarray::Axis(1)) * 5.0;
    let snapshots = Snapshots::from_rows(moved, &times, None, None).unwrap();
    data::write(path, &snapshots).unwrap();
}

#[test]
fn a_fit_on_shards_reaches_the_level_of_a_translation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    translation(&path, 10_000);
    let mut settings = SnapshotSettings::default();
    settings.data.shard = 2000;
    settings.network.width = 32;
    settings.fit.steps = 2 * Sharded::STEPS + 500;
    settings.fit.batch = 128;
    let shards = sharded(&path, &Keys::default(), settings.split()).unwrap();
    assert_eq!((shards.count(), shards.kept()), (5, 3));
    let fitted = |shards: &Shards| {
        let folder = folder.path().join("run");
        let device = Device::cpu();
        let claim = IfExists::Keep.claim(&folder)?;
        Run::fit(claim, shards, "a.npz", &settings, &device, &mut ())
    };
    let few = sharded(&path, &Keys::default(), split(2000, 2)).unwrap();
    let error = fitted(&few).unwrap_err().to_string();
    assert!(
        error.contains("3 shards") && error.contains("2 of 5"),
        "{error}"
    );
    let run = fitted(&shards).unwrap();
    let level = Record::last_step(&run.log().unwrap()).unwrap().smoothed;
    // docs/mathematics.md, section 8.
    assert!((level + 12.5).abs() < 0.3, "{level}");
    assert_eq!(run.snapshots().unwrap().1.counts, [10_000, 10_000]);
}

fn through(shards: &Shards) -> Sharded<'_> {
    let join = |shard: &Snapshots| {
        let ones = Array1::ones(shard.dimension());
        Interpolant::new(shard, Coupling::Exact, Interpolation::Linear, &ones)
    };
    Sharded::new(shards, join).unwrap()
}

#[test]
fn resuming_on_shards_equals_never_having_stopped_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    translation(&path, 120);
    let options = Options {
        // The first shard has its turn again.
        steps: 3 * Sharded::STEPS + 50,
        batch: 8,
        ..Options::default()
    };
    let shards = sharded(&path, &Keys::default(), split(40, 9)).unwrap();
    assert_eq!(shards.count(), 3);
    let run =
        |threads: usize, resumed: Option<&Checkpoint>, observer: &mut (dyn Observer + Send)| {
            within(threads, || {
                let path = through(&shards);
                let units = Units::isotropic(vec![2.5], 3.0, path.span()).unwrap();
                let problem = Problem::new(&path, Lagrangian::kinetic(), units);
                let network = mlp(1, 8, 1, 0);
                let dynamics = match resumed {
                    Some(checkpoint) => resume(network, &problem, &options, checkpoint, observer),
                    None => fit(network, &problem, &options, observer),
                }?;
                let velocity = dynamics.velocity(0.3, &array![[0.1], [2.0]])?;
                Ok::<_, Error>(velocity.mapv(f64::to_bits))
            })
        };
    let whole = run(1, None, &mut ()).unwrap();
    assert_eq!(run(2, None, &mut ()).unwrap(), whole);
    // Soon after a turn what is saved is from before it.
    for stop in [Sharded::STEPS + 1, 2 * Sharded::STEPS + 120] {
        let mut observer = StopAt::step(stop);
        let stopped = run(2, None, &mut observer).unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::Interrupted);
        let rest = run(1, Some(&observer.kept()), &mut ());
        assert_eq!(rest.unwrap(), whole, "stopped after {stop}");
    }
}

#[test]
fn a_stop_while_a_shard_is_coupled_keeps_what_was_reached() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    translation(&path, 120);
    let shards = sharded(&path, &Keys::default(), split(40, 9)).unwrap();
    let options = Options {
        steps: Sharded::STEPS + 60,
        batch: 8,
        ..Options::default()
    };
    let stop = Stop::default();
    let joined = AtomicUsize::new(0);
    let run = |stop_at: usize, resumed: Option<&Checkpoint>, observer: &mut dyn Observer| {
        let join = |shard: &Snapshots| {
            if joined.fetch_add(1, Ordering::SeqCst) == stop_at {
                stop.ask();
            }
            // Two columns, because points on a line are coupled at once.
            let plane = |cloud: &Cloud| {
                let x = cloud.points();
                Cloud::new(concatenate![Axis(1), *x, *x])
            };
            let clouds = shard.clouds().iter().map(plane);
            let clouds = clouds.collect::<Result<Vec<Cloud>, Error>>()?;
            let shard = Snapshots::new(shard.times().to_vec(), clouds)?;
            let ones = Array1::ones(2);
            Interpolant::new(&shard, Coupling::Exact, Interpolation::Linear, &ones)
        };
        let path = Sharded::new(&shards, join)?;
        let units = Units::isotropic(vec![2.5, 2.5], 3.0, path.span())?;
        let problem = Problem::new(&path, Lagrangian::kinetic(), units);
        let network = mlp(2, 8, 1, 0);
        let dynamics = match resumed {
            Some(checkpoint) => resume(network, &problem, &options, checkpoint, observer),
            None => fit(network, &problem, &options, observer),
        }?;
        let velocity = dynamics.velocity(0.3, &array![[0.1, 0.1], [2.0, 2.0]])?;
        Ok::<_, Error>(velocity.mapv(f64::to_bits))
    };
    let whole = run(usize::MAX, None, &mut ()).unwrap();
    joined.store(0, Ordering::SeqCst);
    // It stops at no step of its own.
    let mut observer = StopAt::step(usize::MAX);
    let stopped = within(2, || stop.within(|| run(1, None, &mut observer))).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Interrupted);
    let kept = observer.kept();
    assert!((Sharded::STEPS - 50..=Sharded::STEPS).contains(&kept.step()));
    assert_eq!(run(usize::MAX, Some(&kept), &mut ()).unwrap(), whole);
}

#[test]
fn the_shard_is_a_matter_of_the_step() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.npz");
    translation(&file, 120);
    let shards = sharded(&file, &Keys::default(), split(40, 9)).unwrap();
    let path = through(&shards);
    let draw = |step: usize| {
        path.advance(step).unwrap();
        path.sample(&[0.0, 0.5, 1.0], &mut rng(0)).points
    };
    let turn = Sharded::STEPS;
    let [first, second, third] = [0, turn, 2 * turn].map(draw);
    assert!(first != second && second != third && third != first);
    // Back, as after a rollback, on, and round.
    for (step, expected) in [
        (2 * turn - 1, &second),
        (turn - 1, &first),
        (2 * turn, &third),
        (3 * turn, &first),
        (7 * turn + 3, &second),
    ] {
        assert_eq!(&draw(step), expected, "{step}");
    }
}
