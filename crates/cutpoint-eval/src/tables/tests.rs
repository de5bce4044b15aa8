use super::*;
use crate::experiment::Uplink;

/// The committed profiles with a seed.
fn context() -> Context {
    Context { profiles: Profiles::load(None).unwrap(), seed: 0 }
}

#[test]
fn a_table_is_the_same_twice_and_joint_is_behind_nobody() {
    let context = context();
    let table = policies::counts(&context).unwrap();
    assert_eq!(table.markdown(), policies::counts(&context).unwrap().markdown());
    for row in &table.rows {
        assert_eq!(row.len(), table.columns.len());
        for cell in row {
            if let Cell::Change(change) = cell {
                assert!(*change <= 0.0, "{row:?}");
            }
        }
    }
}

#[test]
fn layer_level_pays_on_branches_and_not_on_chains() {
    let context = context();
    let change = |network: &str| {
        let row = granularity::row(&context, network, Uplink::WIFI, 1).unwrap();
        match row[5] {
            Cell::Change(change) => change,
            ref other => panic!("{network}: {other:?}"),
        }
    };
    for network in BRANCHED {
        assert!(change(network) < -0.05, "{network}");
    }
    for network in ["alexnet", "vgg16"] {
        assert!(change(network).abs() < 1e-9, "{network}");
    }
}
