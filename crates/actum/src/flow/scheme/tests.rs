use ndarray::{Axis, array};

use super::*;
use crate::flow::{Trajectories, integrate};

/// dx/dt = -2 t x^2 with x(0) = 1 is x = 1 / (1 + t^2).
fn field(t: f64, x: &Array2<f64>) -> Array2<f64> {
    x.mapv(|x| -2.0 * t * x * x)
}

fn error_at_two(scheme: Scheme) -> f64 {
    let path = integrate(field, &array![[1.0]], 0.0, &[2.0], scheme).unwrap();
    (path.points[[0, 0, 0]] - 0.2).abs()
}

#[test]
fn schemes_have_their_orders() {
    for (scheme, order) in [
        (Scheme::Euler as fn(usize) -> Scheme, 1.0),
        (Scheme::Heun, 2.0),
        (Scheme::RungeKutta4, 4.0),
        (Scheme::StochasticRungeKutta, 2.0),
    ] {
        let slope = (error_at_two(scheme(40)) / error_at_two(scheme(80))).log2();
        assert!((slope - order).abs() < 0.25, "{slope} for order {order}");
    }
}

#[test]
fn the_adaptive_scheme_has_order_five_in_its_work() {
    let work = |tolerance| {
        let scheme = Scheme::DormandPrince { tolerance };
        let path = integrate(field, &array![[1.0]], 0.0, &[2.0], scheme).unwrap();
        path.evaluations as f64
    };
    // The error falls with the fifth power of the number of evaluations.
    let slope = (1e-6f64 / 1e-11).ln() / (work(1e-11) / work(1e-6)).ln();
    assert!((4.0..6.5).contains(&slope), "{slope}");
    for tolerance in [1e-4, 1e-7, 1e-10] {
        let error = error_at_two(Scheme::DormandPrince { tolerance });
        assert!(error < 10.0 * tolerance, "{error} for {tolerance}");
    }
}

#[test]
fn backward_undoes_forward() {
    let start = array![[1.0], [0.3], [-0.2]];
    for scheme in [
        Scheme::RungeKutta4(200),
        Scheme::DormandPrince { tolerance: 1e-9 },
    ] {
        let there = integrate(field, &start, 0.0, &[0.5, 1.3], scheme).unwrap();
        let back = integrate(field, &there.at(1), 1.3, &[0.5, 0.0], scheme).unwrap();
        for (a, b) in [(back.at(1), start.clone()), (back.at(0), there.at(0))] {
            assert!((a - b).iter().all(|e| e.abs() < 1e-7));
        }
    }
}

#[test]
fn recording_more_times_does_not_move_the_points() {
    let many: Vec<f64> = (0..=50).map(|k| k as f64 / 25.0).collect();
    let scheme = Scheme::DormandPrince { tolerance: 1e-9 };
    let all = integrate(field, &array![[1.0]], 0.0, &many, scheme).unwrap();
    for (t, x) in many.iter().zip(all.points.iter()) {
        assert!((x - 1.0 / (1.0 + t * t)).abs() < 1e-7);
    }
}

#[test]
fn bad_requests_are_refused() {
    let go = |from, times: &[f64], scheme| integrate(field, &array![[1.0]], from, times, scheme);
    let message = |r: Result<Trajectories>| r.unwrap_err().to_string();
    assert!(message(go(0.0, &[1.0, 0.5], Scheme::Euler(3))).contains("one side"));
    assert!(message(go(0.0, &[-1.0, 1.0], Scheme::Euler(3))).contains("one side"));
    assert!(message(go(0.0, &[f64::NAN], Scheme::Euler(3))).contains("finite"));
    assert!(message(go(0.0, &[1.0], Scheme::Heun(0))).contains("at least one step"));
    let scheme = Scheme::DormandPrince { tolerance: 0.0 };
    assert!(message(go(0.0, &[1.0], scheme)).contains("positive"));
    // dx/dt = x^2 from 1 reaches infinity at t = 1.
    for scheme in [Scheme::RungeKutta4(50), Scheme::default()] {
        let blown = integrate(|_, x| x * x, &array![[1.0]], 0.0, &[3.0], scheme);
        assert_eq!(blown.unwrap_err().kind(), ErrorKind::Diverged);
    }
}

const SPAN: [f64; 2] = [0.0, 1.0];

/// The noise of most tests: seed 7 on all columns of [0, 1].
fn noise<'a>(sigma: &'a dyn Fn([f64; 2]) -> [f64; 2], breaks: &'a [f64]) -> Noise<'a> {
    Noise {
        sigma,
        columns: 1,
        seed: 7,
        span: SPAN,
        breaks,
    }
}

fn ends(noise: Option<&Noise>, field: Field, rows: usize, scheme: Scheme) -> Array2<f64> {
    let start = Array2::from_elem((rows, 1), 0.5);
    let solution = solve(field, noise, &start, 0.0, &[1.0], scheme).unwrap();
    solution.states.index_axis_move(Axis(0), 0)
}

type Field = fn(f64, &Array2<f64>) -> Array2<f64>;

type WithSteps = fn(usize) -> Scheme;

/// The schemes for noise with their orders on a path and in law.
const NOISY: [(WithSteps, f64, f64); 2] = [
    (Scheme::Euler, 1.0, 1.0),
    (Scheme::StochasticRungeKutta, 1.5, 2.0),
];

/// dX = (sin X - X/2 cos t) dt + (1 + t/2) dW.
fn bent(t: f64, x: &Array2<f64>) -> Array2<f64> {
    x.mapv(|x| x.sin() - 0.5 * x * t.cos())
}

fn rising(t: [f64; 2]) -> [f64; 2] {
    t.map(|t| 1.0 + 0.5 * t)
}

fn still(_: f64, x: &Array2<f64>) -> Array2<f64> {
    Array2::zeros(x.raw_dim())
}

#[test]
fn noisy_schemes_have_their_orders_on_a_path() {
    let noise = noise(&rising, &[]);
    let exact = ends(
        Some(&noise),
        bent,
        500,
        Scheme::StochasticRungeKutta(1 << 13),
    );
    for (scheme, order, _) in NOISY {
        let error = |steps| {
            let off = ends(Some(&noise), bent, 500, scheme(steps)) - &exact;
            (off.mapv(|e| e * e).mean().unwrap()).sqrt()
        };
        let slope = (error(16) / error(128)).log2() / 3.0;
        assert!((slope - order).abs() < 0.1, "{slope} for order {order}");
    }
}

/// dX = -X dt + dW, for which a step is x -> r x + a W + b H.
#[test]
fn noisy_schemes_have_their_orders_in_law() {
    for (scheme, _, order) in NOISY {
        let error = |steps: usize| {
            let h = 1.0 / steps as f64;
            let one = |noise: Option<&Noise>, x: &Array2<f64>| {
                let step = solve(|_, x| -x, noise, x, 0.0, &[h], scheme(1)).unwrap();
                step.states.index_axis_move(Axis(0), 0)
            };
            let r = one(None, &array![[1.0]])[[0, 0]];
            let y = one(Some(&noise(&|_| [1.0; 2], &[])), &array![[0.0], [0.0]]);
            let (w, l) = Brownian::new(7, [2, 1], SPAN).increment(0.0, h);
            let of = |i| (w[[i, 0]], l[[i, 0]], y[[i, 0]]);
            let ((w0, l0, y0), (w1, l1, y1)) = (of(0), of(1));
            let determinant = w0 * l1 - w1 * l0;
            let a = (y0 * l1 - y1 * l0) / determinant;
            let b = (w0 * y1 - w1 * y0) / determinant;
            let moments = (0..steps).fold([1.0, 1.0], |[first, second], _| {
                let noise = a * a * h + b * b * h / 12.0;
                [r * first, r * r * second + noise]
            });
            let mean: f64 = moments[0] - (-1f64).exp();
            let second: f64 = moments[1] - (0.5 + 0.5 * (-2f64).exp());
            [mean.abs(), second.abs()]
        };
        let (coarse, fine) = (error(32), error(64));
        for i in 0..2 {
            let slope = (coarse[i] / fine[i]).log2();
            assert!((slope - order).abs() < 0.1, "{slope} for order {order}");
        }
    }
}

#[test]
fn an_ornstein_uhlenbeck_process_reaches_its_variance() {
    let noise = noise(&|_| [0.8; 2], &[]);
    let field: Field = |_, x| x * -1.5;
    let x = ends(
        Some(&noise),
        field,
        40_000,
        Scheme::StochasticRungeKutta(40),
    );
    let (mean, variance) = (x.mean().unwrap(), x.var(0.0));
    let expected = 0.64 * (1.0 - (-3f64).exp()) / 3.0;
    let spread = (expected / 40_000.0).sqrt();
    assert!((mean - 0.5 * (-1.5f64).exp()).abs() < 4.0 * spread);
    assert!((variance / expected - 1.0).abs() < 4.0 * (2.0 / 40_000f64).sqrt());
}

#[test]
fn a_linear_sigma_and_no_drift_are_exact_for_any_steps() {
    let noise = noise(&rising, &[]);
    let expected = ends(Some(&noise), still, 100, Scheme::StochasticRungeKutta(1));
    // int (1 + t/2) dW by parts, with int_0^1 W dt = W/2 + H.
    let (w, h) = Brownian::new(7, [100, 1], SPAN).increment(0.0, 1.0);
    let by_parts = 0.5 + &w * 1.5 - (&w * 0.5 + h) * 0.5;
    assert!((by_parts - &expected).iter().all(|e| e.abs() < 1e-13));
    for steps in [2, 64, 37, 100] {
        let scheme = Scheme::StochasticRungeKutta(steps);
        let off = ends(Some(&noise), still, 100, scheme) - &expected;
        assert!(off.iter().all(|e| e.abs() < 1e-12), "{steps}");
    }
    let start = Array2::from_elem((100, 1), 0.5);
    let times = [0.123, 0.5, 0.777, 1.0];
    let scheme = Scheme::StochasticRungeKutta(10);
    let x = solve(still, Some(&noise), &start, 0.0, &times, scheme).unwrap();
    let off = x.states.index_axis(Axis(0), 3).to_owned() - &expected;
    assert!(off.iter().all(|e| e.abs() < 1e-7));
}

#[test]
fn noisy_paths_do_not_depend_on_what_else_is_asked() {
    let go = |rows, times: &[f64], steps| {
        let noise = noise(&rising, &[]);
        let start = Array2::from_elem((rows, 1), 0.5);
        let scheme = Scheme::StochasticRungeKutta(steps);
        solve(bent, Some(&noise), &start, 0.0, times, scheme)
            .unwrap()
            .states
    };
    let short = go(100, &[0.5], 32);
    let long = go(100, &[0.125, 0.5, 1.0], 64);
    assert_eq!(short.slice(s![0, .., ..]), long.slice(s![1, .., ..]));
    let more_rows = go(300, &[0.5], 32);
    assert_eq!(short, more_rows.slice(s![.., ..100, ..]));
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        assert_eq!(pool.unwrap().install(|| go(100, &[0.5], 32)), short);
    }
}

#[test]
fn columns_beyond_the_noise_follow_the_field_alone() {
    let noise = noise(&|_| [1.0; 2], &[]);
    // The last column grows at the rate of its row's noisy coordinate.
    let field = |_: f64, x: &Array2<f64>| {
        let mut v = Array2::zeros(x.raw_dim());
        v.column_mut(1).assign(&x.column(0));
        v
    };
    let start = Array2::zeros((50, 2));
    let go = |scheme| solve(field, Some(&noise), &start, 0.0, &[1.0], scheme).unwrap();
    let x = go(Scheme::StochasticRungeKutta(20)).states;
    // SRA1 is exact here: the integral of W is W/2 + H.
    let (w, h) = Brownian::new(7, [50, 1], SPAN).increment(0.0, 1.0);
    for i in 0..50 {
        assert!((x[[0, i, 0]] - w[[i, 0]]).abs() < 1e-13);
        assert!((x[[0, i, 1]] - 0.5 * w[[i, 0]] - h[[i, 0]]).abs() < 1e-13);
    }
    let one = go(Scheme::Euler(1)).states;
    assert!(one.slice(s![0, .., 1]).iter().all(|x| *x == 0.0));
    // In one step the second stage sees sigma_1 J: the table has g at c1 = (1, 0).
    let noise = Noise {
        sigma: &rising,
        ..noise
    };
    let scheme = Scheme::StochasticRungeKutta(1);
    let x = solve(field, Some(&noise), &start, 0.0, &[1.0], scheme).unwrap();
    for i in 0..50 {
        let expected = 1.5 * (0.5 * w[[i, 0]] + h[[i, 0]]);
        assert!((x.states[[0, i, 1]] - expected).abs() < 1e-13);
    }
}

#[test]
fn jumps_end_a_step() {
    let third = 1.0 / 3.0;
    let sigma = |[a, b]: [f64; 2]| [if a + b < 2.0 * third { 0.0 } else { 2.0 }; 2];
    let breaks = [third];
    let noise = noise(&sigma, &breaks);
    let (w, _) = Brownian::new(7, [20, 1], SPAN).increment(third, 1.0);
    for (scheme, ..) in NOISY {
        let off = ends(Some(&noise), still, 20, scheme(5)) - 0.5 - &w * 2.0;
        assert!(off.iter().all(|e| e.abs() < 1e-13));
    }
    // dx/dt = 1 before the jump and 5 t^4 after it; its value at the jump does not matter.
    let jump = |t: f64, x: &Array2<f64>| {
        assert!(t != third);
        let v = if t < third { 1.0 } else { 5.0 * t.powi(4) };
        Array2::from_elem(x.raw_dim(), v)
    };
    let quiet = Noise {
        sigma: &|_| [0.0; 2],
        ..noise
    };
    let size = third + 1.0 - third.powi(5);
    for (scheme, tolerance) in [
        (Scheme::Heun(400), 2e-5),
        (Scheme::RungeKutta4(20), 1e-6),
        (Scheme::DormandPrince { tolerance: 1e-9 }, 1e-8),
    ] {
        for (from, to, sign) in [(0.0, 1.0, 1.0), (1.0, 0.0, -1.0), (0.0, third, 0.0)] {
            let expected = if sign == 0.0 { third } else { sign * size };
            let x = solve(jump, Some(&quiet), &array![[0.0]], from, &[to], scheme).unwrap();
            let off = (x.states[[0, 0, 0]] - expected).abs();
            assert!(off < tolerance, "{scheme:?} from {from}: {off}");
            assert!(x.evaluations < 900, "{}", x.evaluations);
        }
    }
}

#[test]
fn no_noise_is_no_noise() {
    let quiet = noise(&|_| [0.0; 2], &[]);
    for scheme in [
        Scheme::Heun(7),
        Scheme::StochasticRungeKutta(7),
        Scheme::default(),
    ] {
        let expected = ends(None, bent, 3, scheme);
        assert_eq!(ends(Some(&quiet), bent, 3, scheme), expected);
    }
}

#[test]
fn noise_is_refused_where_it_has_no_meaning() {
    let go = |noise: Noise, from, to, scheme| match solve(
        field,
        Some(&noise),
        &array![[1.0]],
        from,
        &[to],
        scheme,
    ) {
        Ok(_) => panic!("accepted"),
        Err(e) => (e.kind(), e.to_string()),
    };
    let late = |[_, t]: [f64; 2]| [0.0, f64::from(t > 0.5)];
    for scheme in [Scheme::Heun(4), Scheme::RungeKutta4(4), Scheme::default()] {
        let (kind, message) = go(noise(&late, &[]), 0.0, 1.0, scheme);
        assert_eq!(kind, ErrorKind::Setting);
        assert!(message.contains("use StochasticRungeKutta"), "{message}");
        let before = noise(&late, &[]);
        assert!(solve(field, Some(&before), &array![[1.0]], 0.0, &[0.5], scheme).is_ok());
    }
    let (kind, message) = go(noise(&late, &[]), 1.0, 0.6, Scheme::Euler(4));
    assert_eq!(kind, ErrorKind::Setting);
    assert!(message.contains("score"), "{message}");
    for bad in [-0.1, f64::NAN] {
        let (kind, message) = go(noise(&|_| [1.0, bad], &[]), 0.0, 1.0, Scheme::Euler(4));
        assert_eq!(kind, ErrorKind::Value);
        assert!(message.contains("not negative"), "{message}");
    }
    let (kind, message) = go(noise(&late, &[]), 0.0, 1.2, Scheme::Euler(4));
    assert_eq!(kind, ErrorKind::Value);
    assert!(message.contains("[0, 1]"), "{message}");
}
