//! Runs `signpost-chaos` as a person would.

use std::{path::Path, process::Command};

use serde_json::Value;

#[test]
fn a_minute_of_faults_breaks_no_promise() {
    let program = Path::new(env!("CARGO_BIN_EXE_signpost-chaos"));
    let output = Command::new(program)
        .args([
            "--seconds",
            "60",
            "--seed",
            "7",
            "--events-per-second",
            "40",
        ])
        .args(["--endpoints", "3", "--fault-every", "3", "--json"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{progress}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["schedule"].as_array().unwrap().len(), 19);
    let accepted = report["events"]["accepted"].as_u64().unwrap();
    assert!(accepted > 2_000, "the load ran: {accepted}");
    assert!(report["deliveries"].as_u64().unwrap() > accepted);
}

#[test]
fn wrong_arguments_are_explained() {
    let program = Path::new(env!("CARGO_BIN_EXE_signpost-chaos"));
    let output = Command::new(program)
        .args(["--bin", "/nowhere"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("signpost-ingest is not in /nowhere"),
        "{text}"
    );
}
