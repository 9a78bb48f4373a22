//! `signpost-testkit instances`: names its servers, leaves nothing running, however it ends.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use signpost_testkit::{scratch_dir, wait_until};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::PATIENCE;

struct Running {
    child: Child,
    environment: Vec<String>,
    dir: PathBuf,
}

async fn start(extra: &[&str]) -> Running {
    let dir = scratch_dir("instances").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_signpost-testkit"))
        .args(["instances", "--no-fsync", "--dir"])
        .arg(&dir)
        .args(extra)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut environment = Vec::new();
    while !environment
        .iter()
        .any(|line: &String| line.starts_with("SIGNPOST_TEST_RABBITMQ_DIR"))
    {
        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .unwrap()
            .unwrap();
        environment.push(line.expect("the variables before the end of the output"));
    }
    Running {
        child,
        environment,
        dir,
    }
}

/// Processes whose command line or working folder lies in `dir`.
fn processes_in(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let cwd = std::fs::read_link(path.join("cwd")).unwrap_or_default();
        let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let is_testkit = command.contains("signpost-testkit");
        if !is_testkit && (cwd.starts_with(dir) || command.contains(&*dir.to_string_lossy())) {
            found.push(command);
        }
    }
    found
}

async fn until_nothing_runs_in(dir: &Path) {
    wait_until("all servers are gone", PATIENCE, async || {
        let left = processes_in(dir);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

#[tokio::test]
async fn two_sets_run_side_by_side_and_each_stops_with_its_program() {
    let (one, two) = tokio::join!(start(&[]), start(&["--watch-stdin"]));
    assert_ne!(one.environment, two.environment);
    assert!(!processes_in(&one.dir).is_empty());
    let written = std::fs::read_to_string(one.dir.join("env")).unwrap();
    assert_eq!(written.lines().collect::<Vec<_>>(), one.environment);

    // A kill leaves it no time to stop its servers: the kernel does.
    let mut one = one;
    one.child.kill().await.unwrap();
    until_nothing_runs_in(&one.dir).await;
    assert!(!processes_in(&two.dir).is_empty());

    // The end of its input stops it properly.
    let mut two = two;
    drop(two.child.stdin.take());
    let status = tokio::time::timeout(PATIENCE, two.child.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success());
    assert!(!two.dir.join("env").exists());
    until_nothing_runs_in(&two.dir).await;
}

#[tokio::test]
async fn a_wrong_command_line_is_exit_code_2() {
    let output = Command::new(env!("CARGO_BIN_EXE_signpost-testkit"))
        .args(["instances", "--only", "mysql"])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("postgres or rabbitmq"), "{text}");
}
