//! Against scanpy 1.12.4: `normalize_total(target_sum=1e4)`, `log1p`,
//! `highly_variable_genes(n_top_genes=12, flavor="seurat")`, `pca(n_comps=3)`.

use ndarray::Axis;

use super::*;

const CELLS: usize = 40;
const GENES: usize = 30;

fn counts() -> Array2<f64> {
    Array2::from_shape_fn((CELLS, GENES), |(i, j)| {
        let steady = (i * i * (j + 3) + 7 * i * j + j * j) % 11 * usize::from((i + j) % 3 != 0);
        let growing = if j < 6 { i * (j + 1) / 8 } else { 0 };
        (steady / (1 + j % 4) + growing) as f64
    })
}

fn names() -> Vec<String> {
    (0..GENES).map(|j| format!("g{j}")).collect()
}

/// Takes the genes and the counts of a cell.
type Take<'a> = dyn FnMut(&[usize], &[f64]) -> Result<()> + 'a;

fn of(table: &Array2<f64>) -> impl Fn(&mut Take) -> Result<()> {
    |take| {
        for row in table.outer_iter() {
            let genes: Vec<usize> = (0..row.len()).filter(|j| row[*j] != 0.0).collect();
            let counts: Vec<f64> = genes.iter().map(|j| row[*j]).collect();
            take(&genes, &counts)?;
        }
        Ok(())
    }
}

const CHOSEN: [usize; 12] = [0, 1, 2, 3, 6, 12, 14, 15, 17, 18, 19, 20];
const MEAN: [f64; 12] = [
    5.581717127633233,
    5.793855368613355,
    6.373089045236982,
    6.49108887219887,
    2.2824296310625565,
    3.599312859987054,
    2.435121071209985,
    2.4616747177995504,
    2.994678190280034,
    2.272883295381924,
    2.1370527785627838,
    3.358871475344153,
];
const LOADINGS: [[f64; 12]; 3] = [
    [
        0.19874354923677687,
        0.036649608225427614,
        -0.06151681327490738,
        0.0112508477747468,
        0.3765908311152473,
        0.4149680356648237,
        -0.36000090390523526,
        0.36706932038559426,
        -0.2645711571646118,
        0.3970200515440828,
        -0.0361582113716634,
        -0.3846518057892521,
    ],
    [
        -0.13158988443124683,
        -0.012728795818989181,
        -0.068471311746998,
        -0.09839867527224049,
        -0.23867126824178844,
        -0.3257310735520617,
        -0.14577888027872551,
        -0.05505604347435917,
        -0.3736488761575902,
        -0.17966305622311152,
        0.560036390786213,
        -0.5433884875433818,
    ],
    [
        -0.16095335114647213,
        -0.338038458664233,
        -0.2109809324802028,
        -0.3486756908892916,
        0.41884899197651126,
        -0.25740976914699343,
        0.10552530753468288,
        -0.004179197547239575,
        0.3900399885140274,
        0.3985730532327775,
        0.3572926219497183,
        0.04732140397101105,
    ],
];
const DISPERSIONS: [f64; GENES] = [
    1.0,
    1.0,
    1.0,
    1.0,
    -0.7071067690849304,
    0.7071067690849304,
    1.0,
    0.04538178816437721,
    0.7018188238143921,
    0.13470645248889923,
    -0.8389495015144348,
    0.3818616569042206,
    1.0,
    -1.0671658515930176,
    1.3596032857894897,
    1.0,
    -1.4345929622650146,
    0.9155092239379883,
    1.0,
    0.9765365123748779,
    1.0,
    -0.7071067690849304,
    -1.0219182968139648,
    0.7528044581413269,
    0.06562600284814835,
    0.7071067690849304,
    -0.6553601622581482,
    -1.134666085243225,
    0.6671481132507324,
    0.15165665745735168,
];

#[test]
fn genes_means_and_loadings_are_those_of_scanpy() {
    let decoder = of_highest(&names(), 3, 12, &of(&counts())).unwrap();
    assert_eq!(decoder.genes(), CHOSEN.map(|j| format!("g{j}")));
    assert_eq!(decoder.columns(), ["X_pca1", "X_pca2", "X_pca3"]);
    for (g, mean) in MEAN.into_iter().enumerate() {
        assert!((decoder.mean()[g] - mean).abs() < 1e-6);
        for (j, loadings) in LOADINGS.iter().enumerate() {
            let off = decoder.loadings()[[g, j]] - loadings[g];
            assert!(off.abs() < 1e-6, "{g}, {j}: {off}");
        }
    }
}

#[test]
fn dispersions_are_those_of_scanpy() {
    let table = counts();
    let scaled = &table * &(TOTAL / table.sum_axis(Axis(1))).insert_axis(Axis(1));
    let means = scaled.mean_axis(Axis(0)).unwrap().to_vec();
    let variances = scaled.var_axis(Axis(0), 1.0).to_vec();
    let found = variable::dispersions(&means, &variances);
    for (found, expected) in found.into_iter().zip(DISPERSIONS) {
        // scanpy has them in single precision.
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn what_has_no_components_is_refused() {
    let refused = |table: &Array2<f64>, count: usize| {
        of_highest(&names(), count, 12, &of(table))
            .unwrap_err()
            .to_string()
    };
    let mut table = counts();
    table[[5, 4]] = 1.5;
    let said = refused(&table, 3);
    assert!(
        said.contains("got 1.5 in cell 5") && said.contains("gene g4"),
        "{said}"
    );
    table[[5, 4]] = -1.0;
    assert!(refused(&table, 3).contains("got -1 in cell 5"));
    table.row_mut(5).fill(0.0);
    let said = refused(&table, 3);
    assert!(
        said.contains("cell 5") && said.contains("filter_cells"),
        "{said}"
    );
    assert!(refused(&counts(), 0).contains("got 0"));
    let said = refused(&counts(), 12);
    assert!(
        said.contains("12 principal components need more genes that vary"),
        "{said}"
    );
    let few = counts().slice(ndarray::s![..3, ..]).to_owned();
    let said = refused(&few, 3);
    assert!(
        said.contains("more cells than that, and there are 3"),
        "{said}"
    );
}
