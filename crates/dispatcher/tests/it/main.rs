//! The dispatcher's program from outside: its configuration and exit codes.

#![expect(clippy::unwrap_used, reason = "a test stops at what should not happen")]

use std::process::{Command, Output};

fn dispatcher(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_signpost-dispatcher"))
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

#[test]
fn a_bad_configuration_is_refused_with_all_its_problems_and_exit_code_2() {
    let output = dispatcher(&["--amqp-url", "http://a", "--prefetch", "0"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("SIGNPOST_AMQP_URL") && text.contains("SIGNPOST_PREFETCH"),
        "{text}"
    );
}

#[test]
fn without_master_keys_it_says_how_to_make_one() {
    let output = dispatcher(&["--admin-listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("SIGNPOST_MASTER_KEYS") && text.contains("openssl rand"),
        "{text}"
    );
}

#[test]
fn help_lists_every_variable_of_the_contract() {
    let output = dispatcher(&["--help"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for variable in [
        "SIGNPOST_AMQP_URL",
        "SIGNPOST_DATABASE_URL",
        "SIGNPOST_ADMIN_LISTEN",
        "SIGNPOST_MASTER_KEYS",
        "SIGNPOST_EGRESS_ALLOW",
        "SIGNPOST_EGRESS_HTTPS_ONLY",
        "SIGNPOST_EGRESS_PORTS",
        "SIGNPOST_PREFETCH",
        "SIGNPOST_MAX_IN_FLIGHT",
        "SIGNPOST_ENDPOINT_IN_FLIGHT",
        "SIGNPOST_TOPOLOGY",
        "SIGNPOST_MAX_EVENT_BYTES",
        "SIGNPOST_PROBE_EVERY",
        "SIGNPOST_LOG",
        "SIGNPOST_LOG_FORMAT",
    ] {
        assert!(text.contains(variable), "{variable} is missing");
    }
}
