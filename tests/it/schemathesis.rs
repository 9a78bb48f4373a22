//! The API keeps to its own OpenAPI document, tried by schemathesis with all its checks.
//!
//! What it may and may not try stands in `crates/ingest/tests/schemathesis`; the package goes to
//! `target/schemathesis`, once.

#![expect(clippy::unwrap_used, reason = "the helpers of tests panic, too")]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::json;
use tokio::process::Command;

use crate::world::{ADMIN_KEY, Plan, World};

const SOURCES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/ingest/tests/schemathesis"
);
/// How many requests it makes up for each operation. More find more, and take longer.
const EXAMPLES: &str = "5";
/// Each run tries the same requests.
const SEED: &str = "1";

/// Runs a command to its end; what it said, if that was not good.
async fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = output.await.unwrap_or_else(|error| {
        panic!("cannot start {command:?} ({error}); on Debian: apt-get install python3-venv")
    });
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The program, installed unless it is there.
async fn installed() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let room = target.join("schemathesis");
    fs::create_dir_all(&room).unwrap();
    let lock = File::create(room.join(".lock")).unwrap();
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock));
    let _lock = lock.await.unwrap().unwrap();
    let list = Path::new(SOURCES).join("requirements.txt");
    let wanted = fs::read_to_string(&list).unwrap();
    let stamp = room.join("installed");
    let venv = room.join("venv");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return venv.join("bin/schemathesis");
    }
    let mut make = Command::new("python3");
    run(make.args(["-m", "venv", "--clear"]).arg(&venv)).await;
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]);
    run(pip.arg("--requirement").arg(list)).await;
    fs::write(stamp, wanted).unwrap();
    venv.join("bin/schemathesis")
}

#[tokio::test]
async fn schemathesis_finds_nothing() {
    let program = installed().await;
    let world = World::start(Plan::default()).await;
    world.tenant("acme").await;
    world.endpoint("acme", "/hook", json!({})).await;
    let event = world.event("acme", "license.created", json!({})).await;
    let deliveries = world.until_deliveries("acme", "", &["succeeded"], 1).await;
    let folder = signpost_testkit::scratch_dir("schemathesis").unwrap();
    let sources = Path::new(SOURCES);
    let mut tries = Command::new(program);
    tries
        .arg("--config-file")
        .arg(sources.join("schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/openapi.json", world.api.url()))
        .args(["--header", &format!("Authorization: Bearer {ADMIN_KEY}")])
        .args(["--max-examples", EXAMPLES, "--seed", SEED])
        .env("SCHEMATHESIS_HOOKS", sources.join("hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("TRY_URL", world.receiver.url_of("/hook"))
        .env("TRY_TENANT", "acme")
        .env("TRY_EVENT", event)
        .env("TRY_DELIVERY", deliveries[0]["id"].as_str().unwrap())
        // It remembers what it found, here.
        .current_dir(&folder);
    run(&mut tries).await;
}
