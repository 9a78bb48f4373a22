//! The repository's own rules: layers, exclusive imports, module docs.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Crate, and the crates of ours that it may import.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("wire", &[]),
    ("runtime", &[]),
    ("broker", &["domain", "wire", "runtime"]),
    ("store", &["domain", "wire", "runtime"]),
    ("egress", &["domain", "wire", "runtime"]),
    (
        "testkit",
        &["domain", "wire", "runtime", "broker", "store", "egress"],
    ),
    (
        "ingest",
        &["domain", "wire", "runtime", "broker", "store", "egress"],
    ),
    (
        "dispatcher",
        &["domain", "wire", "runtime", "broker", "store", "egress"],
    ),
    ("client", &["domain", "wire", "runtime", "broker"]),
    (
        "cli",
        &[
            "domain", "wire", "runtime", "broker", "store", "egress", "testkit", "client",
        ],
    ),
    // It starts the services as processes and speaks to them as users do.
    ("chaos", &["domain", "wire", "runtime", "broker", "testkit"]),
];

/// Library, and the crates that alone may depend on it.
const EXCLUSIVE: &[(&str, &[&str])] = &[
    ("lapin", &["signpost-broker", "signpost-e2e"]),
    ("deadpool-lapin", &["signpost-broker"]),
    ("sqlx", &["signpost-store", "signpost-e2e"]),
    ("hickory-resolver", &["signpost-egress"]),
    ("axum", &["signpost-ingest"]),
    ("reqwest", &[]),
];

/// Only these may enable hyper's client.
const HYPER_CLIENT: &[&str] = &[
    "signpost-egress",
    "signpost-cli",
    "signpost-testkit",
    "signpost-e2e",
    "signpost-chaos",
];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// (package, dependency, is for tests only, features) of the whole workspace.
fn dependencies() -> Vec<(String, String, bool, Vec<String>)> {
    let mut found = Vec::new();
    for package in packages() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let features = dependency["features"].as_array().unwrap();
            found.push((
                package["name"].as_str().unwrap().to_owned(),
                dependency["name"].as_str().unwrap().to_owned(),
                dependency["kind"] == "dev",
                features
                    .iter()
                    .map(|f| f.as_str().unwrap().to_owned())
                    .collect(),
            ));
        }
    }
    found
}

#[test]
fn imports_go_strictly_downward() {
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    for (package, dependency, is_dev, _) in dependencies() {
        let (Some(from), Some(to)) = (
            package.strip_prefix("signpost-"),
            dependency.strip_prefix("signpost-"),
        ) else {
            continue;
        };
        if from == "e2e" || (is_dev && to == "testkit") {
            continue;
        }
        let allowed = layers
            .get(from)
            .unwrap_or_else(|| panic!("{package} is not in the layer table"));
        assert!(
            allowed.contains(&to),
            "{package} must not import {dependency}"
        );
    }
}

#[test]
fn each_outside_thing_has_one_crate() {
    for (package, dependency, _, features) in dependencies() {
        if let Some((_, owners)) = EXCLUSIVE.iter().find(|(library, _)| *library == dependency) {
            assert!(
                owners.contains(&package.as_str()),
                "{package} must not use {dependency}"
            );
        }
        if dependency == "hyper" && features.iter().any(|feature| feature == "client") {
            assert!(
                HYPER_CLIENT.contains(&package.as_str()),
                "{package} must not enable hyper's client"
            );
        }
    }
}

pub(crate) fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir()
            && !["target", "node_modules"].contains(&name.as_str())
            && !name.starts_with('.')
        {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut files = Vec::new();
    rust_files(&root().join("crates"), &mut files);
    rust_files(&root().join("tests"), &mut files);
    assert!(files.len() > 20);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("//!"),
            "{} must begin with `//!`",
            file.display()
        );
        for left_behind in [
            concat!("TODO", ":"),
            concat!("FIX", "ME"),
            concat!("#[ig", "nore"),
        ] {
            assert!(
                !text.contains(left_behind),
                "{} holds {left_behind}",
                file.display()
            );
        }
    }
}

#[test]
fn the_project_stands_alone() {
    let output = Command::new("git")
        .args(["ls-files"])
        .current_dir(root())
        .output()
        .unwrap();
    for name in String::from_utf8(output.stdout).unwrap().lines() {
        let Ok(text) = fs::read_to_string(root().join(name)) else {
            continue;
        };
        let outside = concat!("../sha", "red");
        assert!(!text.contains(outside), "{name} mentions {outside}");
    }
}
