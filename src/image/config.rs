//! [`ImageConfig`]: how to run an image and what its layers unpack to (config chapter).

use serde_json::{Map, Value};

use super::annotations;
use super::descriptor::{read_digest, read_platform_members};
use super::document::Document;
use super::node::Node;
use super::{ImageError, Platform, Raw, document, media, time};
use crate::blob::DiffId;
use crate::fault::Faults;

/// An image's configuration: what plywood must understand of it, and the whole document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageConfig {
    /// What the image runs on.
    pub platform: Platform,
    /// One a layer, lowest first.
    pub diff_ids: Vec<DiffId>,
    /// How the image came about; absent in some.
    pub history: Vec<History>,
    /// All members, known or not.
    pub document: Map<String, Value>,
}

/// One step of an image's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// What made the layer, in words.
    pub created_by: Option<String>,
    /// Whether the step made no layer.
    pub empty_layer: bool,
}

const TOP: [&str; 10] = [
    "created",
    "author",
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
    "config",
    "rootfs",
    "history",
];

const RUNTIME: [&str; 17] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "ArgsEscaped",
    "Memory",
    "MemorySwap",
    "CpuShares",
    "Healthcheck",
    "Shell",
    "OnBuild",
    "StopTimeout",
];

impl ImageConfig {
    /// Reads the bytes of a configuration.
    ///
    /// # Errors
    /// [`ImageError::Json`] or [`ImageError::Document`], if the specification forbids it.
    pub fn parse(bytes: Vec<u8>) -> Result<Raw<Self>, ImageError> {
        document::parse(bytes)
    }

    /// The `config` member: how to run the image.
    pub fn runtime(&self) -> Option<&Map<String, Value>> {
        self.document.get("config")?.as_object()
    }

    /// What made each layer, as many as there are layers; `None` where it is not said.
    pub fn created_by(&self) -> Vec<Option<&str>> {
        let steps = self.history.iter().filter(|step| !step.empty_layer);
        let mut texts: Vec<_> = steps.map(|step| step.created_by.as_deref()).collect();
        texts.resize(self.diff_ids.len(), None);
        texts
    }
}

impl Document for ImageConfig {
    const NAME: &'static str = "config";

    fn media_type(&self) -> &str {
        media::CONFIG
    }

    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let document = node.object(63, faults)?.clone();
        node.check_case(&TOP, faults);
        let platform = read_platform_members(node, 63, faults);
        check_date(node, faults);
        let diff_ids = read_diff_ids(node, faults);
        let history = read_history(node, faults);
        let steps = history.iter().filter(|step| !step.empty_layer).count();
        if let Some(diff_ids) = &diff_ids
            && !history.is_empty()
            && steps != diff_ids.len()
        {
            let text = format!("{steps} steps with a layer, but {} layers", diff_ids.len());
            faults.must(76, "/history", text);
        }
        if let Some(runtime) = node.get("config")
            && !runtime.is_null(70, faults)
        {
            check_runtime(&runtime, faults);
        }
        Some(Self {
            platform: platform?,
            diff_ids: diff_ids?,
            history,
            document,
        })
    }
}

fn check_date(node: &Node, faults: &mut Faults) {
    let Some(date) = node.get("created") else {
        return;
    };
    if date.is_null(70, faults) {
        return;
    }
    if let Some(text) = date.text(69, faults)
        && !time::is_rfc3339(text)
    {
        let fault = format!("`{text}` is not a date and time of RFC 3339");
        faults.must(69, &date.pointer, fault);
    }
}

fn read_diff_ids(node: &Node, faults: &mut Faults) -> Option<Vec<DiffId>> {
    let rootfs = node.need("rootfs", 64, faults)?;
    rootfs.object(64, faults)?;
    rootfs.check_case(&["type", "diff_ids"], faults);
    if let Some(kind) = rootfs.need("type", 64, faults)
        && kind.value != "layers"
    {
        faults.must(64, &kind.pointer, "is not `layers`");
    }
    let member = rootfs.need("diff_ids", 64, faults)?;
    let items = member.items(64, faults);
    let ids = items
        .iter()
        .map(|item| read_digest(item, 64, faults).map(DiffId));
    ids.collect::<Vec<_>>().into_iter().collect()
}

fn read_history(node: &Node, faults: &mut Faults) -> Vec<History> {
    let Some(member) = node.get("history") else {
        return Vec::new();
    };
    if member.is_null(70, faults) {
        return Vec::new();
    }
    let steps = member.items(76, faults);
    steps.iter().map(|step| read_step(step, faults)).collect()
}

fn read_step(step: &Node, faults: &mut Faults) -> History {
    const KNOWN: [&str; 5] = ["created", "created_by", "author", "comment", "empty_layer"];
    step.check_case(&KNOWN, faults);
    check_date(step, faults);
    for name in ["author", "comment"] {
        if let Some(member) = step.get(name) {
            member.text(76, faults);
        }
    }
    let created_by = step
        .get("created_by")
        .and_then(|member| member.text(76, faults));
    let empty_layer = step.get("empty_layer");
    if let Some(member) = &empty_layer
        && !member.value.is_boolean()
    {
        faults.must(76, &member.pointer, "is not a boolean");
    }
    History {
        created_by: created_by.map(str::to_owned),
        empty_layer: empty_layer.is_some_and(|member| member.value == true),
    }
}

fn check_runtime(node: &Node, faults: &mut Faults) {
    if node.object(63, faults).is_none() {
        return;
    }
    node.check_case(&RUNTIME, faults);
    let member = |name: &str, faults: &mut Faults| {
        let member = node.get(name)?;
        let nullable = ["Entrypoint", "Cmd", "Volumes", "Labels"].contains(&name);
        let absent = member.value.is_null() && (nullable || member.is_null(70, faults));
        (!absent).then_some(member)
    };
    if let Some(env) = member("Env", faults) {
        check_env(&env, faults);
    }
    for name in ["Entrypoint", "Cmd"] {
        if let Some(command) = member(name, faults) {
            command.texts(72, faults);
        }
    }
    if let Some(ports) = member("ExposedPorts", faults) {
        check_keys(&ports, is_port, "is not PORT, PORT/tcp or PORT/udp", faults);
    }
    if let Some(volumes) = member("Volumes", faults) {
        check_keys(
            &volumes,
            |path| path.starts_with('/'),
            "is not absolute",
            faults,
        );
    }
    if let Some(labels) = member("Labels", faults) {
        annotations::read_map(&labels, 74, faults);
    }
    for name in WORDS {
        if let Some(member) = member(name, faults)
            && let Some(text) = member.text(74, faults)
        {
            check_word(name, text, &member, faults);
        }
    }
    for name in ["Memory", "MemorySwap", "CpuShares", "ArgsEscaped"] {
        if member(name, faults).is_some_and(|m| !matches!(m.value.as_u64(), Some(0))) {
            faults.should(75, &node.pointer, format!("`{name}` should not be used"));
        }
    }
}

/// Members whose text has a form of its own.
const WORDS: [&str; 3] = ["User", "WorkingDir", "StopSignal"];

fn check_word(name: &str, text: &str, node: &Node, faults: &mut Faults) {
    if let Some(fault) = word_fault(name, text) {
        faults.field(74, &node.pointer, fault);
    }
}

/// What is wrong with what a configuration to start from says, as far as an image of
/// others would still be read with it: its JSON pointer, and why.
pub(super) fn start_fault(document: &Map<String, Value>) -> Option<(String, String)> {
    let config = document.get("config")?;
    WORDS.iter().find_map(|name| {
        let fault = word_fault(name, config.get(name)?.as_str()?)?;
        Some((format!("/config/{name}"), fault))
    })
}

fn word_fault(name: &str, text: &str) -> Option<String> {
    let windows = text.as_bytes().get(1) == Some(&b':');
    let fits = match name {
        "WorkingDir" => text.starts_with('/') || windows,
        "StopSignal" => super::spec::is_signal(text),
        _ => super::spec::user_fault(text).is_none(),
    };
    if text.is_empty() || fits {
        return None;
    }
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    Some(format!("`{shown}` is not a valid {name}"))
}

fn check_env(node: &Node, faults: &mut Faults) {
    let mut names = std::collections::BTreeSet::new();
    for text in node.texts(71, faults) {
        match text.split_once('=') {
            None | Some(("", _)) => {
                faults.must(71, &node.pointer, format!("`{text}` is not NAME=VALUE"));
            }
            Some((name, _)) if !names.insert(name) => {
                faults.field(71, &node.pointer, format!("`{name}` is set twice"));
            }
            Some(_) => {}
        }
    }
}

fn check_keys(node: &Node, fits: impl Fn(&str) -> bool, fault: &str, faults: &mut Faults) {
    for (key, value) in node.members(73, faults) {
        if !fits(key) {
            faults.must(73, &node.pointer, format!("`{key}` {fault}"));
        }
        if value
            .value
            .as_object()
            .is_none_or(|object| !object.is_empty())
        {
            faults.must(73, &value.pointer, "is not `{}`");
        }
    }
}

/// Whether `text` is `PORT`, `PORT/tcp` or `PORT/udp` with a port from 1 to 65535.
pub(crate) fn is_port(text: &str) -> bool {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let written = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
    written && number.parse::<u16>().is_ok() && matches!(protocol, "tcp" | "udp")
}
