//! Which of flag, variable and file wins.

use super::*;

const FILE: &str = r#"
default = "local"
[contexts.local]
server = "http://127.0.0.1:1111"
key = "local-key"
[contexts.production]
server = "https://signpost.example.com"
key = "production-key"
tenant = "acme"
"#;

fn with_file(flags: Global, env: Environment) -> Result<Connection> {
    let dir = signpost_testkit::scratch_dir("config").unwrap();
    let path = dir.join("config.toml");
    std::fs::write(&path, FILE).unwrap();
    resolve(
        &Global {
            config: Some(path),
            ..flags
        },
        &env,
    )
}

fn no_file(flags: Global, env: Environment) -> Connection {
    resolve(&flags, &env).unwrap()
}

#[test]
fn without_anything_it_is_the_local_server_and_the_default_tenant() {
    let connection = no_file(Global::default(), Environment::default());
    assert_eq!(connection.server.as_str(), "http://127.0.0.1:8080/");
    assert_eq!(connection.tenant, "default");
    assert_eq!(connection.key, None);
}

#[test]
fn the_admin_key_of_this_machine_is_the_last_resort() {
    let env = Environment::of([("SIGNPOST_ADMIN_KEY", "admin")]);
    assert_eq!(
        no_file(Global::default(), env.clone()).key.as_deref(),
        Some("admin")
    );
    let both = Environment::of([("SIGNPOST_ADMIN_KEY", "admin"), ("SIGNPOST_KEY", "own")]);
    assert_eq!(no_file(Global::default(), both).key.as_deref(), Some("own"));
    let flags = Global {
        context: Some("production".into()),
        ..Global::default()
    };
    assert_eq!(
        with_file(flags, env).unwrap().key.as_deref(),
        Some("production-key")
    );
}

#[test]
fn a_context_named_by_flag_beats_the_environment() {
    let env = Environment::of([
        ("SIGNPOST_SERVER", "http://127.0.0.1:2222"),
        ("SIGNPOST_KEY", "env-key"),
        ("SIGNPOST_TENANT", "other"),
    ]);
    let flags = Global {
        context: Some("production".into()),
        ..Global::default()
    };
    let connection = with_file(flags, env.clone()).unwrap();
    assert_eq!(connection.server.as_str(), "https://signpost.example.com/");
    assert_eq!(connection.key.as_deref(), Some("production-key"));
    assert_eq!(connection.tenant, "acme");

    let connection = with_file(Global::default(), env).unwrap();
    assert_eq!(connection.server.as_str(), "http://127.0.0.1:2222/");
    assert_eq!(connection.key.as_deref(), Some("env-key"));
    assert_eq!(connection.tenant, "other");
}

#[test]
fn the_key_of_the_file_goes_to_the_server_of_the_file_only() {
    let flags = Global {
        server: Some("http://127.0.0.1:3333".into()),
        ..Global::default()
    };
    let connection = with_file(flags, Environment::default()).unwrap();
    assert_eq!(connection.key, None);
    let connection = with_file(Global::default(), Environment::default()).unwrap();
    assert_eq!(connection.key.as_deref(), Some("local-key"));
    assert_eq!(connection.context.as_deref(), Some("local"));
}

#[test]
fn bad_settings_say_what_is_wrong() {
    for (server, part) in [
        ("nonsense", "http://127.0.0.1:8080"),
        ("ftp://a.example", "http:// or https://"),
        ("http://user:pass@a.example", "no user or password"),
        ("http://a.example/?q=1", "nothing after the path"),
    ] {
        let flags = Global {
            server: Some(server.into()),
            ..Global::default()
        };
        let error = resolve(&flags, &Environment::default()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.to_string().contains("pass@"), "{error}");
    }
    let flags = Global {
        tenant: Some("Not A Tenant".into()),
        ..Global::default()
    };
    assert!(matches!(
        resolve(&flags, &Environment::default()),
        Err(CliError::Usage(_))
    ));
    let flags = Global {
        context: Some("nowhere".into()),
        ..Global::default()
    };
    let error = with_file(flags, Environment::default()).unwrap_err();
    assert!(error.to_string().contains("local, production"), "{error}");
}

#[test]
fn a_broken_file_is_named_without_showing_its_secrets() {
    let dir = signpost_testkit::scratch_dir("config").unwrap();
    let path = dir.join("config.toml");
    std::fs::write(&path, "[contexts.a]\nkey = \"hush-hush\"\nsrver = \"x\"\n").unwrap();
    let flags = Global {
        config: Some(path),
        ..Global::default()
    };
    let error = resolve(&flags, &Environment::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("srver"), "{error}");
    assert!(!error.contains("hush-hush"), "{error}");
}

#[test]
fn secrets_never_show_in_debug_output() {
    let env = Environment::of([("SIGNPOST_KEY", "hush-hush")]);
    let connection = no_file(Global::default(), env.clone());
    let shown = format!("{env:?} {connection:?}");
    assert!(!shown.contains("hush-hush"), "{shown}");
}
