//! Receivers that others wrote accept what this crate renders, and refuse it when it was changed.
//!
//! The programs and what they need are in `tests/interop`; packages go to `target/interop`.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use signpost_wire::{AttemptParts, Profile, builtin};

use crate::support::{ed25519_profile, event, secret, signed_at};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop");
/// Valid for every parser, and told apart from its own re-encoding by each.
const DATA: &str =
    r#"{ "z":1.0, "a": 9007199254740993,"text":"\u00e9\/é😀 license","object":"event" }"#;
const PREVIOUS: &str = "whsec_cHJldmlvdXMtc2VjcmV0LW9mLXRoZS1lbmRwb2ludA==";

/// One request per profile; where several keys sign, a second one for a receiver that still has
/// the previous secret.
fn requests(now: DateTime<Utc>) -> Vec<Value> {
    let mut requests = Vec::new();
    for builtin in builtin() {
        let profile = &builtin.profile;
        requests.push(request(
            builtin.name,
            profile,
            secret(profile),
            &[secret(profile)],
            now,
        ));
        if profile.signature().unwrap().signs_with_all_keys() {
            let secrets = [secret(profile), PREVIOUS];
            requests.push(request(builtin.name, profile, PREVIOUS, &secrets, now));
        }
    }
    let pair = ed25519_profile();
    let made = pair.generate_secret(&[3; 32]);
    requests.push(request(
        "standard-webhooks-ed25519",
        &pair,
        &made,
        &[&made],
        now,
    ));
    requests
}

fn request(
    name: &str,
    profile: &Profile,
    known: &str,
    secrets: &[&str],
    now: DateTime<Utc>,
) -> Value {
    let keys: Vec<_> = secrets
        .iter()
        .map(|secret| profile.signing_key(secret).unwrap())
        .collect();
    let body = profile.render_body(&event(), DATA.as_bytes());
    let attempt = AttemptParts {
        delivery_id: "dlv_1",
        number: 1,
        at: now,
    };
    let headers: Map<_, _> = signed_at(profile, &body, &keys, &attempt)
        .into_iter()
        .map(|(name, value)| (name.to_lowercase(), Value::from(value)))
        .collect();
    json!({
        "profile": name,
        "secret": known,
        "public_key": keys[0].public_key(),
        "headers": headers,
        "body": std::str::from_utf8(&body).unwrap(),
        "event": {"id": event().id, "type": event().event_type, "tenant": event().tenant, "data": DATA},
    })
}

/// `stripe`, `svix` and others compare the signed time with the machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the libraries under test read the same clock"
)]
fn clock() -> DateTime<Utc> {
    Utc::now()
}

/// `target/interop/<language>`, held by this process until the file is dropped.
fn room(language: &str) -> (PathBuf, File) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let room = target.join("interop").join(language);
    fs::create_dir_all(&room).unwrap();
    let lock = File::create(room.join(".lock")).unwrap();
    lock.lock().unwrap();
    (room, lock)
}

/// Runs a program to its end and gives its standard output.
fn run(command: &mut Command, install: &str, input: &str) -> String {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| {
        panic!("cannot start {command:?} ({error}); on Debian: apt-get install {install}")
    });
    // A program that ends early closes its input; what it said about that is more useful.
    let fed = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    fed.unwrap();
    text(&output.stdout)
}

/// Installs packages unless those named in `list` are there already.
fn install(room: &Path, list: &str, steps: impl Fn()) {
    let wanted = fs::read_to_string(Path::new(SOURCES).join(list)).unwrap();
    let stamp = room.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return;
    }
    steps();
    fs::write(stamp, wanted).unwrap();
}

fn check(command: &mut Command, needs: &str, checks: usize) {
    let input = serde_json::to_string(&requests(clock())).unwrap();
    assert_eq!(run(command, needs, &input), format!("checked {checks}\n"));
}

#[test]
fn libraries_and_receivers_in_node_accept_each_profile() {
    const NEEDS: &str = "nodejs npm";
    let (room, _lock) = room("node");
    for file in ["package.json", "package-lock.json", "verify.mjs"] {
        fs::copy(Path::new(SOURCES).join(file), room.join(file)).unwrap();
    }
    install(&room, "package-lock.json", || {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&room);
        run(&mut npm, NEEDS, "");
    });
    // 13 requests; two libraries check the two requests of Standard Webhooks.
    check(
        Command::new("node").arg("verify.mjs").current_dir(&room),
        NEEDS,
        15,
    );
}

#[test]
fn receivers_in_php_accept_each_profile() {
    let mut php = Command::new("php");
    check(
        php.args(["-d", "display_errors=stderr", "verify.php"])
            .current_dir(SOURCES),
        "php-cli",
        12,
    );
}

#[test]
fn libraries_in_python_accept_standard_webhooks() {
    const NEEDS: &str = "python3 python3-venv";
    let (room, _lock) = room("python");
    install(&room, "requirements.txt", || {
        run(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(room.join("venv")),
            NEEDS,
            "",
        );
        let mut pip = Command::new(room.join("venv/bin/pip"));
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ]);
        run(
            pip.arg(Path::new(SOURCES).join("requirements.txt")),
            NEEDS,
            "",
        );
    });
    let mut python = Command::new(room.join("venv/bin/python"));
    check(python.arg(Path::new(SOURCES).join("verify.py")), NEEDS, 4);
}
