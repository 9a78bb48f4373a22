//! Every command explains itself.

use signpost_cli::error::Exit;
use signpost_cli::grammar;

use crate::support::run;

/// Every command with its path, groups included.
fn all_commands() -> Vec<(Vec<String>, clap::Command)> {
    fn walk(path: &[String], command: &clap::Command, out: &mut Vec<(Vec<String>, clap::Command)>) {
        for sub in command.get_subcommands() {
            let path = [path, &[sub.get_name().to_owned()]].concat();
            walk(&path, sub, out);
            out.push((path, sub.clone()));
        }
    }
    let mut out = Vec::new();
    walk(&[], &grammar(), &mut out);
    out
}

#[test]
fn the_grammar_is_sound() {
    grammar().debug_assert();
}

#[tokio::test]
async fn every_help_text_renders() {
    let commands = all_commands();
    assert!(commands.len() > 50, "{}", commands.len());
    for (path, command) in commands {
        let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
        args.push("--help");
        let done = run(&args).await;
        assert_eq!(done.exit, Exit::Ok, "{path:?}: {}", done.stderr);
        assert!(
            done.stdout.contains("Usage: signpost"),
            "{path:?}: {}",
            done.stdout
        );
        assert!(command.get_about().is_some(), "{path:?} has no description");
        for argument in command
            .get_arguments()
            .filter(|argument| argument.get_id() != "help")
        {
            assert!(
                argument.get_help().is_some(),
                "{path:?}: {} is not explained",
                argument.get_id()
            );
        }
    }
}

#[test]
fn commands_that_take_more_than_an_id_have_an_example() {
    for (path, command) in all_commands() {
        let options = command
            .get_arguments()
            .filter(|argument| !argument.is_global_set() && !argument.is_positional())
            .filter(|argument| {
                !["help", "version", "limit", "all", "yes"].contains(&argument.get_id().as_str())
            })
            .count();
        let has_example = command
            .get_after_help()
            .is_some_and(|help| help.to_string().contains("Example"));
        assert!(
            has_example || options == 0 || command.has_subcommands(),
            "{path:?} has no example"
        );
    }
}

#[tokio::test]
async fn the_first_help_lists_commands_and_exit_codes() {
    let done = run(&["--help"]).await;
    for part in [
        "endpoints",
        "deliveries",
        "listen",
        "Exit codes",
        "SIGNPOST_KEY",
    ] {
        assert!(done.stdout.contains(part), "{part}");
    }
    let version = run(&["--version"]).await;
    assert!(
        version.stdout.starts_with("signpost "),
        "{}",
        version.stdout
    );
}

#[tokio::test]
async fn every_shell_gets_a_completion_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = run(&["completions", shell]).await;
        assert!(done.stdout.contains("deliveries"), "{shell}");
    }
}

#[tokio::test]
async fn the_configuration_is_shown_without_the_key() {
    let done = run(&["config", "--key", "hush-hush", "--tenant", "acme"]).await;
    assert!(done.stdout.contains("acme") && done.stdout.contains("http://127.0.0.1:8080/"));
    assert!(!done.stdout.contains("hush"), "{}", done.stdout);
}

#[test]
fn listening_and_following_end_well_with_ctrl_c() {
    for args in [
        &["signpost", "listen", "--profile", "privato"][..],
        &["signpost", "deliveries", "tail"],
    ] {
        assert!(signpost_cli::is_endless(args), "{args:?}");
    }
    assert!(!signpost_cli::is_endless(["signpost", "demo"]));
}
