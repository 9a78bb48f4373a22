//! Writes the documentation page out of the OpenAPI document. Called once, at start.

use serde_json::{Map, Value};

/// One operation with what the page needs of it.
struct Operation<'d> {
    method: &'d str,
    path: &'d str,
    about: &'d Value,
}

/// The page as HTML.
pub(super) fn render(document: &Value, style: &str) -> String {
    let mut groups: Vec<(&str, Vec<Operation<'_>>)> = Vec::new();
    for tag in list(&document["tags"]) {
        groups.push((text(&tag["name"]), Vec::new()));
    }
    for (path, item) in object(&document["paths"]) {
        for (method, operation) in object(item) {
            let tag = text(&operation["tags"][0]);
            if let Some((_, group)) = groups.iter_mut().find(|(name, _)| *name == tag) {
                group.push(Operation {
                    method,
                    path,
                    about: operation,
                });
            }
        }
    }
    let mut page = Html::default();
    page.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">")
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
        .raw("<title>Signpost API</title><style>")
        .raw(style)
        .raw("</style></head><body><header class=\"bar\"><h1><span class=\"logo\"></span>")
        .text(text(&document["info"]["title"]))
        .raw("</h1><nav><a href=\"/\">Dashboard</a><a href=\"/openapi.json\">openapi.json</a></nav></header>")
        .raw("<div class=\"layout\"><nav class=\"index\" aria-label=\"Operations\">");
    for (name, operations) in &groups {
        page.raw("<b>").text(name).raw("</b><ul>");
        for operation in operations {
            page.raw("<li><a href=\"#").text(operation.id()).raw("\">");
            page.inline(text(&operation.about["summary"]))
                .raw("</a></li>");
        }
        page.raw("</ul>");
    }
    page.raw("</nav><main><section>");
    page.paragraphs(text(&document["info"]["description"]));
    page.raw("</section>");
    for (name, operations) in &groups {
        page.raw("<h2 class=\"group\">").text(name).raw("</h2>");
        for operation in operations {
            operation.write(&mut page, document);
        }
    }
    page.raw("</main></div></body></html>");
    page.0
}

impl Operation<'_> {
    fn id(&self) -> &str {
        text(&self.about["operationId"])
    }

    fn write(&self, page: &mut Html, document: &Value) {
        let operation = self.about;
        page.raw("<section class=\"operation\" id=\"")
            .text(self.id());
        page.raw("\"><span class=\"access soft\">")
            .text(text(&operation["x-access"]));
        page.raw("</span><h3>")
            .inline(text(&operation["summary"]))
            .raw("</h3><p><span class=\"method ");
        page.raw(self.method)
            .raw("\">")
            .text(&self.method.to_uppercase());
        page.raw("</span> <span class=\"path\">")
            .text(self.path)
            .raw("</span></p>");
        page.paragraphs(text(&operation["description"]));
        let parameters: Vec<_> = list(&operation["parameters"])
            .iter()
            .filter(|parameter| parameter["name"] != "tenant")
            .collect();
        if !parameters.is_empty() {
            page.raw("<h4>Parameters</h4><dl>");
            for parameter in parameters {
                page.raw("<dt><code>")
                    .text(text(&parameter["name"]))
                    .raw("</code></dt><dd>");
                page.inline(text(&parameter["description"])).raw("</dd>");
            }
            page.raw("</dl>");
        }
        for (kind, media) in object(&operation["requestBody"]["content"]) {
            page.raw("<h4>Body, ").text(kind).raw("</h4>");
            page.fields(&media["schema"], document);
            page.example(media, document);
        }
        for (status, response) in object(&operation["responses"]) {
            if status.starts_with('2') {
                page.raw("<h4>").text(status).raw(" ");
                page.inline(text(&response["description"])).raw("</h4>");
                for media in object(&response["content"]).values() {
                    page.example(media, document);
                }
            }
        }
        page.raw("</section>");
    }
}

#[derive(Default)]
struct Html(String);

impl Html {
    fn raw(&mut self, markup: &str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, with the characters that mean something in HTML written as references.
    fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                other => self.0.push(other),
            }
        }
        self
    }

    /// Paragraphs are parted by empty lines.
    fn paragraphs(&mut self, text: &str) {
        for paragraph in text.split("\n\n").filter(|text| !text.trim().is_empty()) {
            self.raw("<p>").inline(paragraph).raw("</p>");
        }
    }

    /// A sentence; `code` stands between backticks.
    fn inline(&mut self, sentence: &str) -> &mut Self {
        for (index, part) in sentence.split('`').enumerate() {
            if index % 2 == 1 {
                self.raw("<code>").text(part).raw("</code>");
            } else {
                self.text(part);
            }
        }
        self
    }

    fn fields(&mut self, schema: &Value, document: &Value) {
        let schema = resolve(schema, document);
        let properties = object(&schema["properties"]);
        if properties.is_empty() {
            return;
        }
        self.raw("<dl>");
        for (name, property) in properties {
            let is_required = list(&schema["required"]).iter().any(|r| r == name);
            self.raw("<dt><code>").text(name).raw("</code></dt><dd>");
            self.inline(description(property).trim());
            if is_required {
                self.raw(" <span class=\"soft\">Required.</span>");
            }
            self.raw("</dd>");
        }
        self.raw("</dl>");
    }

    fn example(&mut self, media: &Value, document: &Value) {
        let example = match &media["example"] {
            Value::Null => example_of(&media["schema"], document, 0),
            example => example.clone(),
        };
        let pretty = match &example {
            Value::String(text) => text.clone(),
            other => serde_json::to_string_pretty(other).unwrap_or_default(),
        };
        self.raw("<pre>").text(&pretty).raw("</pre>");
    }
}

/// An example of a schema: its own, or one made of its parts.
pub fn example_of(schema: &Value, document: &Value, depth: usize) -> Value {
    let schema = resolve(schema, document);
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if let Some(example) = schema["examples"].get(0) {
        return example.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        let choices = list(&schema[choice]);
        if let Some(first) = choices.iter().find(|schema| schema["type"] != "null") {
            return example_of(first, document, depth + 1);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().map_or("", text),
        kind => text(kind),
    };
    match kind {
        "object" if depth < 6 => {
            let fields = object(&schema["properties"]).iter();
            Value::Object(
                fields
                    .map(|(name, schema)| (name.clone(), example_of(schema, document, depth + 1)))
                    .collect(),
            )
        }
        "array" if depth < 6 => {
            Value::Array(vec![example_of(&schema["items"], document, depth + 1)])
        }
        "string" if schema["format"] == "date-time" => "2026-01-31T12:00:00Z".into(),
        "string" => "text".into(),
        "integer" | "number" => 1.into(),
        "boolean" => true.into(),
        _ => Value::Null,
    }
}

/// What a property is; one that may be null says so in one of its alternatives.
fn description(property: &Value) -> &str {
    let own = text(&property["description"]);
    let mut alternatives = list(&property["oneOf"]).iter();
    if own.is_empty() {
        let found = alternatives.find_map(|schema| schema["description"].as_str());
        return found.unwrap_or_default();
    }
    own
}

fn resolve<'d>(schema: &'d Value, document: &'d Value) -> &'d Value {
    let reference = text(&schema["$ref"]);
    let pointer = reference.strip_prefix('#').unwrap_or_default();
    if pointer.is_empty() {
        return schema;
    }
    document.pointer(pointer).unwrap_or(schema)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn object(value: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&EMPTY)
}
