//! The files in `deploy/` and `docker-compose.yml`: they can be read, and every path, variable,
//! metric and program that they name exists. They cannot be run here, so this keeps them honest.

mod permissions;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML or JSON file.
fn documents(path: &str) -> Vec<Value> {
    let text = read(path);
    if Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        return vec![serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))];
    }
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn document(path: &str) -> Value {
    let mut documents = documents(path);
    assert_eq!(documents.len(), 1, "{path} holds one document");
    documents.remove(0)
}

fn files_under(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_under(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn items<'v>(value: &'v Value, what: &str) -> &'v Vec<Value> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("{what} is a list, not {value}"))
}

fn entries<'v>(value: &'v Value, what: &str) -> &'v serde_json::Map<String, Value> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("{what} is a map, not {value}"))
}

fn text<'v>(value: &'v Value, what: &str) -> &'v str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{what} is a text, not {value}"))
}

/// Words in `source` that begin with `prefix` and go on with `allowed` characters.
fn words(source: &str, prefix: &str, allowed: fn(char) -> bool) -> BTreeSet<String> {
    source
        .match_indices(prefix)
        .map(|(start, _)| {
            source[start..]
                .chars()
                .take_while(|c| allowed(*c))
                .collect()
        })
        .collect()
}

/// The environment variables that a service reads, from its `config.rs`.
fn variables_of(service: &str) -> BTreeSet<String> {
    let known = words(
        &read(&format!("crates/{service}/src/config.rs")),
        "SIGNPOST_",
        |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_',
    );
    assert!(
        known.contains("SIGNPOST_AMQP_URL"),
        "crates/{service}/src/config.rs has moved"
    );
    known
}

fn check_variables<'v>(place: &str, service: &str, names: impl Iterator<Item = &'v String>) {
    let known = variables_of(service);
    for name in names.filter(|name| name.starts_with("SIGNPOST_")) {
        assert!(
            known.contains(name),
            "{place}: signpost-{service} does not read {name}"
        );
    }
}

#[test]
fn every_file_can_be_read() {
    let mut count = 0;
    for path in files_under("deploy")
        .into_iter()
        .chain(["docker-compose.yml".to_owned()])
    {
        let is_data = [".yml", ".yaml", ".json"]
            .iter()
            .any(|ending| path.ends_with(ending));
        if is_data {
            assert!(!documents(&path).is_empty(), "{path} is empty");
            count += 1;
        }
    }
    assert!(count >= 10, "{count} files were found");
}

#[test]
fn compose_names_files_and_variables_that_exist() {
    let compose = document("docker-compose.yml");
    let volumes: BTreeSet<_> = entries(&compose["volumes"], "volumes").keys().collect();
    let services = entries(&compose["services"], "services");
    for (name, service) in services {
        assert!(
            service.get("healthcheck").is_some(),
            "{name} needs a health check for --wait"
        );
        if let Some(build) = service.get("build") {
            assert_eq!(build["context"], ".");
            assert!(
                root()
                    .join(text(&build["dockerfile"], "dockerfile"))
                    .is_file()
            );
            let program = text(&service["command"][0], "command");
            let known = program
                .strip_prefix("signpost-")
                .unwrap_or_else(|| panic!("{program}?"));
            assert_eq!(name, known, "the service has the program's name");
            check_variables(
                name,
                known,
                entries(&service["environment"], "environment").keys(),
            );
        }
        for volume in service
            .get("volumes")
            .map_or(&vec![], |list| items(list, "volumes"))
        {
            let source = text(volume, "volume").split(':').next().unwrap();
            match source.strip_prefix("./") {
                Some(path) => assert!(root().join(path).exists(), "{name}: {path} is not there"),
                None => assert!(
                    volumes.contains(&source.to_owned()),
                    "{name}: no volume {source}"
                ),
            }
        }
        for needed in dependencies(&service["depends_on"]) {
            assert!(services.contains_key(&needed), "{name} depends on {needed}");
        }
    }
    let environment = |name: &str| {
        let names = entries(&services[name]["environment"], "environment").keys();
        names
            .filter(|name| name.ends_with("LISTEN"))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        environment("ingest"),
        ["SIGNPOST_LISTEN", "SIGNPOST_ADMIN_LISTEN"]
    );
    assert_eq!(environment("dispatcher"), ["SIGNPOST_ADMIN_LISTEN"]);
}

/// Names in a `depends_on`, which is a list or a map.
fn dependencies(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Array(list) => list
            .iter()
            .map(|name| text(name, "name").to_owned())
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

#[test]
fn the_image_is_built_from_packages_and_files_that_exist() {
    let dockerfile = read("deploy/Dockerfile");
    let toolchain = read("rust-toolchain.toml");
    let version = dockerfile
        .split("RUSTUP_TOOLCHAIN=")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    assert!(
        toolchain.contains(&format!("channel = \"{version}\"")),
        "rust-toolchain.toml"
    );
    assert!(dockerfile.contains(&format!("FROM rust:{version}-")));
    for package in dockerfile.split("--package ").skip(1) {
        let package = package.split_whitespace().next().unwrap();
        let folder = package.strip_prefix("signpost-").unwrap();
        assert!(root().join("crates").join(folder).is_dir(), "{package}");
    }
    for line in dockerfile
        .lines()
        .filter(|line| line.starts_with("COPY deploy/"))
    {
        let source = line.split_whitespace().nth(1).unwrap();
        assert!(root().join(source).exists(), "{source}");
    }
}

#[test]
fn kubernetes_manifests_name_variables_secrets_and_files_that_exist() {
    for resource in items(
        &document("deploy/kubernetes/kustomization.yaml")["resources"],
        "resources",
    ) {
        let path = format!("deploy/kubernetes/{}", text(resource, "resource"));
        assert!(root().join(&path).is_file(), "{path}");
    }
    let secret = document("deploy/kubernetes/secret.example.yaml");
    let secrets = entries(&secret["stringData"], "stringData");
    let settings = document("deploy/kubernetes/settings.yaml");
    for service in ["ingest", "dispatcher"] {
        let path = format!("deploy/kubernetes/{service}.yaml");
        let manifests = documents(&path);
        let pod = &manifests[0]["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        assert_eq!(container["args"][0], format!("signpost-{service}"));

        let volume = &pod["volumes"][0]["secret"];
        assert_eq!(volume["secretName"], secret["metadata"]["name"]);
        let mount = text(&container["volumeMounts"][0]["mountPath"], "mountPath");
        let mut mounted = BTreeSet::new();
        for item in items(&volume["items"], "items") {
            let key = text(&item["key"], "key");
            assert!(secrets.contains_key(key), "{path}: the secret has no {key}");
            mounted.insert(format!("{mount}/{}", text(&item["path"], "path")));
        }
        let mut names: Vec<String> = entries(&settings["data"], "data")
            .keys()
            .map(ToOwned::to_owned)
            .collect();
        for variable in items(&container["env"], "env") {
            let name = text(&variable["name"], "name").to_owned();
            if name.ends_with("_FILE") {
                let file = text(&variable["value"], "value");
                assert!(mounted.remove(file), "{path}: {file} is not mounted");
            }
            names.push(name);
        }
        assert!(
            mounted.is_empty(),
            "{path}: mounted for nothing: {mounted:?}"
        );
        check_variables(&path, service, names.iter());

        let labels = &manifests[0]["spec"]["template"]["metadata"]["labels"];
        for manifest in &manifests {
            let selector = &manifest["spec"]["selector"];
            let selector = selector.get("matchLabels").unwrap_or(selector);
            assert_eq!(selector, labels, "{path}: {}", manifest["kind"]);
        }
    }
}

/// The metrics that the services have, from the sources.
fn metrics() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for path in files_under("crates") {
        if Path::new(&path).extension().is_some_and(|e| e == "rs") {
            known.extend(metric_names(&read(&path)));
        }
    }
    assert!(
        known.contains("signpost_attempts_total"),
        "the metrics have moved"
    );
    known
}

fn metric_names(source: &str) -> BTreeSet<String> {
    words(source, "signpost_", |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
    })
}

#[test]
fn alerts_and_dashboard_use_metrics_that_exist() {
    let known = metrics();
    let mut used = BTreeSet::new();
    for group in items(
        &document("deploy/prometheus/alerts.yml")["groups"],
        "groups",
    ) {
        for rule in items(&group["rules"], "rules") {
            used.extend(metric_names(text(&rule["expr"], "expr")));
            assert!(rule["labels"]["severity"].is_string(), "{rule}");
            assert!(rule["annotations"]["summary"].is_string(), "{rule}");
        }
    }
    for panel in items(
        &document("deploy/grafana/signpost.json")["panels"],
        "panels",
    ) {
        for target in items(&panel["targets"], "targets") {
            used.extend(metric_names(text(&target["expr"], "expr")));
        }
    }
    assert!(used.len() > 10, "{used:?}");
    for name in used {
        let base = name.strip_suffix("_bucket").unwrap_or(&name);
        assert!(known.contains(base), "no service has the metric {base}");
    }
    for file in items(
        &document("deploy/prometheus/prometheus.yml")["rule_files"],
        "rule_files",
    ) {
        let path = format!("deploy/prometheus/{}", text(file, "file"));
        assert!(root().join(&path).is_file(), "{path}");
    }
}

#[test]
fn the_broker_definitions_are_the_topology() {
    let definitions = document("deploy/rabbitmq/definitions.json");
    let topology = signpost_broker::topology::Topology::new(signpost_domain::Tiers::default());
    let arguments = |list: &[(&'static str, signpost_broker::topology::Argument)]| {
        let texts = list
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_string()));
        texts.collect::<BTreeMap<_, _>>()
    };
    let written = |value: &Value| {
        let entries = entries(value, "arguments").iter();
        let texts = entries.map(|(name, value)| {
            (
                name.clone(),
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), ToOwned::to_owned),
            )
        });
        texts.collect::<BTreeMap<_, _>>()
    };
    let name = |value: &Value| text(&value["name"], "name").to_owned();

    let exchanges: BTreeMap<_, _> = items(&definitions["exchanges"], "exchanges")
        .iter()
        .map(|e| {
            (
                name(e),
                (
                    text(&e["type"], "type").to_owned(),
                    written(&e["arguments"]),
                ),
            )
        })
        .collect();
    let wanted: BTreeMap<_, _> = topology
        .exchanges
        .iter()
        .map(|e| {
            (
                e.name.clone(),
                (e.kind.as_str().to_owned(), arguments(&e.arguments)),
            )
        })
        .collect();
    assert_eq!(exchanges, wanted);

    let queues: BTreeMap<_, _> = items(&definitions["queues"], "queues")
        .iter()
        .map(|queue| (name(queue), written(&queue["arguments"])))
        .collect();
    let wanted: BTreeMap<_, _> = topology
        .queues
        .iter()
        .map(|queue| (queue.name.clone(), arguments(&queue.arguments)))
        .collect();
    assert_eq!(queues, wanted);

    let bindings: BTreeSet<_> = items(&definitions["bindings"], "bindings")
        .iter()
        .map(|b| ["destination", "source", "routing_key"].map(|key| text(&b[key], key).to_owned()))
        .collect();
    let wanted: BTreeSet<_> = topology
        .queues
        .iter()
        .filter_map(|queue| {
            queue
                .binding
                .map(|(exchange, key)| [queue.name.as_str(), exchange, key])
        })
        .map(|binding| binding.map(ToOwned::to_owned))
        .collect();
    assert_eq!(bindings, wanted);
}
