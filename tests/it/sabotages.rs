//! The table of deliberate faults names what is in the code, and tests that exist.

use std::{collections::BTreeSet, fs, path::PathBuf};

use crate::tidy::{root, rust_files};

/// Faults, package and test of each line.
fn table() -> Vec<[String; 3]> {
    let text = fs::read_to_string(root().join("tests/sabotages.tsv")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let columns: Vec<_> = line.split('\t').map(str::to_owned).collect();
            columns.try_into().unwrap()
        })
        .collect()
}

/// The names that the services ask for.
fn call_sites() -> BTreeSet<String> {
    let mut files = Vec::new();
    rust_files(&root().join("crates"), &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for rest in text.split("sabotaged(\"").skip(1) {
            names.insert(rest.split('"').next().unwrap().to_owned());
        }
    }
    names
}

fn tests_of(package: &str) -> PathBuf {
    match package.strip_prefix("signpost-").unwrap() {
        "e2e" => root().join("tests/it"),
        name => root().join("crates").join(name).join("tests/it"),
    }
}

#[test]
fn every_fault_in_the_code_has_a_test_that_notices_it() {
    let noticed: BTreeSet<_> = table()
        .iter()
        .map(|[faults, _, _]| faults.split(',').next().unwrap().to_owned())
        .collect();
    assert_eq!(noticed, call_sites());
    assert!(noticed.len() >= 14);
}

#[test]
fn the_tests_that_are_named_exist() {
    for [_, package, test] in table() {
        let (module, name) = test.split_once("::").unwrap();
        let file = tests_of(&package).join(module).with_extension("rs");
        let text = fs::read_to_string(&file).unwrap();
        let is_there = text.contains(&format!("fn {name}()"));
        assert!(is_there, "{name} is not in {}", file.display());
    }
}
