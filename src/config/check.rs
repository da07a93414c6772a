//! From the configuration as written to the configuration as meant: `Raw::check` finds everything at once.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::as_meant::{Config, GitHub, LedgerOptions, Server};
use super::environment::{Environment, KNOWN};
use super::owners::by_target;
use super::proxies::Proxies;
use super::raw::{Raw, RawLedger, RawSecret, RawServer};
use super::secret::{SecretError, SecretRef};
use super::values::{duration, size, web_address};
use super::written::{Reader, Written, listed, nearest};
use crate::domain::{Finding, Findings, Unfit};

/// Every key with prose: what `landfall config docs` prints.
pub const EXAMPLE: &str = include_str!("../../config/landfall.example.toml");

/// The findings about secrets, as far as they are out of reach or in others'.
const ABOUT_SECRETS: [&str; 4] =
    ["config/secret-unset", "config/secret-unreadable", "config/secret-empty", "config/secret-open"];
/// Webhook bodies under way at once: ten of the largest that GitHub sends.
const BODIES_IN_FLIGHT: u64 = 256 << 20;
/// One segment must hold the largest record, and a test wants small ones.
const SMALLEST_SEGMENT: u64 = 64 << 10;
/// More often would eat the API's hourly budget.
const SHORTEST_CATCH_UP: Duration = Duration::from_secs(1);

impl Config {
    /// Reads and checks a file. With findings of which one is an error there is no configuration.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, Findings> {
        Self::parse(&text_of(path)?, path, environment)
    }

    /// The same for whoever needs none of the secrets, or looks for each of them by itself: one that is out of reach is
    /// no finding.
    pub fn load_without_secrets(path: &Path, environment: &Environment) -> Result<Self, Findings> {
        Self::checked(&text_of(path)?, path, environment, &|it| !ABOUT_SECRETS.contains(&it.code.as_str()))
    }

    /// Checks a text. `file` is what findings call it, and its directory is what relative paths start from.
    pub fn parse(text: &str, file: impl AsRef<Path>, environment: &Environment) -> Result<Self, Findings> {
        Self::checked(text, file.as_ref(), environment, &|_| true)
    }

    fn checked(
        text: &str,
        file: &Path,
        environment: &Environment,
        minded: &dyn Fn(&Finding) -> bool,
    ) -> Result<Self, Findings> {
        let name = file.display().to_string();
        let mut reader = Reader::new(&name, text);
        let raw = Raw::parse(text, &mut reader);
        let mut checker = Checker::new(reader, file, environment);
        let path = checker.base.join(file.file_name().unwrap_or_default());
        let config = raw.and_then(|raw| checker.config(&raw, path));
        let mut findings = checker.reader.findings;
        findings.0.retain(minded);
        findings.0.sort_by_key(|it| it.place.as_ref().map_or((u32::MAX, 0), |place| (place.line, place.column)));
        match config {
            Some(config) if !findings.refuse() => {
                let of_targets = by_target(text, &findings, &config.targets);
                Ok(Self { findings: of_targets, warnings: findings, ..config })
            }
            _ => Err(findings),
        }
    }

    /// The dotted name of every key that the file may have.
    pub fn keys() -> Vec<String> {
        Raw::all_keys()
    }
}

/// The text of a file, or the one finding that there is none.
fn text_of(path: &Path) -> Result<String, Findings> {
    let name = path.display().to_string();
    let text = fs::read(path).map_err(|error| crate::domain::plainly(&error));
    match text.map(String::from_utf8) {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(_)) => Err(Findings(vec![
            Finding::error("config/unreadable", format!("`{name}` is not text in UTF-8"))
                .help("save it as UTF-8, or name another file with `-c FILE`"),
        ])),
        Err(why) => Err(Findings(vec![
            Finding::error("config/unreadable", format!("the configuration `{name}` cannot be read: {why}"))
                .help("name another file with `-c FILE`, or write one with `landfall init`"),
        ])),
    }
}

/// Where a value comes from.
pub(super) enum At {
    /// The file.
    Span(Range<usize>),
    /// A variable.
    Variable(&'static str),
}

pub(super) struct Checker<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) base: PathBuf,
    environment: &'a Environment,
    /// The variables that the file names as secrets: ours or not, they are expected.
    named: Vec<String>,
    /// Which login at GitHub stands behind each name that asks us.
    pub(super) people: BTreeMap<String, String>,
    /// Whether people are known by their login at GitHub who are not named here.
    pub(super) hears_logins: bool,
}

impl<'a> Checker<'a> {
    pub(super) fn new(reader: Reader<'a>, file: &Path, environment: &'a Environment) -> Self {
        let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let base = path.parent().unwrap_or(Path::new("/")).to_owned();
        Self { reader, base, environment, named: Vec::new(), people: BTreeMap::new(), hears_logins: false }
    }
}

impl Checker<'_> {
    fn config(&mut self, raw: &Raw, path: PathBuf) -> Option<Config> {
        let data_dir = self.data_dir(raw);
        let public_url = self
            .overlaid("LANDFALL_PUBLIC_URL", raw.public_url.as_ref())
            .and_then(|(text, at)| self.fit(&at, "public_url", web_address(&text)));
        let server = self.server(raw.server.as_ref().map(|it| &it.value));
        let github = self.github(raw.github.as_ref());
        let sns = self.sns(raw.sns.as_ref());
        let ledger = self.ledger(raw.ledger.as_ref().map(|it| &it.value));
        let chat = self.chats(raw.chat.as_ref(), raw.commands.as_ref().map(|it| &it.value));
        let commands = self.commands(raw, &chat);
        let asks_for_teams = commands.permits.values().any(|it| !it.teams.is_empty());
        let github = GitHub { hears_comments: commands.comments, asks_for_teams, ..github };
        self.people = self.people(raw);
        self.hears_logins = raw.login.is_some() || github.hears_comments;
        let targets = self.targets(raw, data_dir.as_deref().unwrap_or(Path::new("/")), &chat, &github);
        let login = self.login(raw, public_url.as_deref(), &targets);
        let retention = self.retentions(raw);
        let calendar = self.calendar(raw).into();
        let catch_up_every = self.parsed(raw.catch_up_every.as_ref(), "catch_up_every", duration);
        if catch_up_every.is_some_and(|it| it < SHORTEST_CATCH_UP) {
            let span = raw.catch_up_every.as_ref().map_or(0..0, |it| it.span.clone());
            self.bad(&span, "`catch_up_every` is shorter than 1s", "write at least `1s`; the default is `5min`");
        }
        self.unknown_variables();
        Some(Config {
            data_dir: data_dir?,
            public_url,
            server: server?,
            github,
            sns,
            targets: targets.into_iter().map(Arc::new).collect(),
            retention,
            calendar,
            chat,
            commands,
            login,
            ledger,
            catch_up_every: catch_up_every.unwrap_or(Duration::from_secs(300)),
            file: Some(path),
            warnings: Findings::default(),
            findings: BTreeMap::new(),
        })
    }

    /// A value of the file, unless a variable has it.
    pub(super) fn overlaid(&self, variable: &'static str, written: Option<&Written<String>>) -> Option<(String, At)> {
        match self.environment.get(variable) {
            Some(value) => Some((value.to_owned(), At::Variable(variable))),
            None => written.map(|it| (it.value.clone(), At::Span(it.span.clone()))),
        }
    }

    pub(super) fn data_dir(&mut self, raw: &Raw) -> Option<PathBuf> {
        match self.overlaid("LANDFALL_DATA_DIR", raw.data_dir.as_ref()) {
            // What a shell says is meant from where it stands; what the file says, from where the file lies.
            Some((text, At::Variable(_))) => std::path::absolute(text).ok(),
            Some((text, At::Span(span))) if text.is_empty() => {
                self.bad(&span, "`data_dir` is empty", "name the directory for the ledger");
                None
            }
            Some((text, At::Span(_))) => Some(self.path(&text)),
            None if self.reader.is_mistyped("data_dir") => None,
            None => {
                let finding = Finding::error("config/missing-key", "`data_dir` is missing");
                let help =
                    "add `data_dir = \"/var/lib/landfall\"` at the top: the ledger, revisions and tokens lie there";
                self.reader.findings.push(finding.help(help));
                None
            }
        }
    }

    /// A path of the file: relative ones start from its directory.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        let joined = self.base.join(text);
        let plain: PathBuf = joined.components().collect();
        std::path::absolute(&plain).unwrap_or(plain)
    }

    pub(super) fn server(&mut self, raw: Option<&RawServer>) -> Option<Server> {
        let listen = match self.overlaid("LANDFALL_LISTEN", raw.and_then(|it| it.listen.as_ref())) {
            Some((text, at)) => self.fit(&at, "server.listen", address(&text)),
            None => Some(SocketAddr::from(([127, 0, 0, 1], 8080))),
        };
        let bodies = self.parsed(raw.and_then(|it| it.bodies_in_flight.as_ref()), "server.bodies_in_flight", size);
        let mut proxies = Proxies::default();
        for network in raw.and_then(|it| it.trusted_proxies.as_ref()).into_iter().flat_map(|it| &it.value) {
            self.fit(&At::Span(network.span.clone()), "server.trusted_proxies", proxies.add(&network.value));
        }
        Some(Server {
            listen: listen?,
            proxies,
            public_reads: flag(raw.and_then(|it| it.public_reads.as_ref())),
            public_badges: flag(raw.and_then(|it| it.public_badges.as_ref())),
            bodies_in_flight_bytes: bodies.unwrap_or(BODIES_IN_FLIGHT),
        })
    }

    fn ledger(&mut self, raw: Option<&RawLedger>) -> LedgerOptions {
        let usual = LedgerOptions::default();
        let reserve = self.parsed(raw.and_then(|it| it.reserve.as_ref()), "ledger.reserve", size);
        let written = raw.and_then(|it| it.segment.as_ref());
        let segment = self.parsed(written, "ledger.segment", size);
        if let (Some(bytes), Some(written)) = (segment, written)
            && bytes < SMALLEST_SEGMENT
        {
            self.bad(&written.span, "`ledger.segment` is under 64KiB", "leave it out, or write at least `64KiB`");
        }
        let keep_days = raw.and_then(|it| it.keep_days.as_ref());
        if let Some(days) = keep_days.filter(|it| it.value == 0) {
            self.bad(
                &days.span,
                "`ledger.keep_days` is 0",
                "write for how many days everything is kept, or leave it out",
            );
        }
        LedgerOptions {
            keep_days: keep_days.map(|it| it.value),
            reserve_bytes: reserve.unwrap_or(usual.reserve_bytes),
            segment_bytes: segment.unwrap_or(usual.segment_bytes),
        }
    }

    fn unknown_variables(&mut self) {
        let environment = self.environment;
        for name in environment.unknown().filter(|name| !self.named.iter().any(|it| it == name)) {
            let finding = Finding::warning("config/unknown-variable", format!("unknown environment variable `{name}`"));
            let help = match nearest(name, KNOWN.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("unset it; known are {}", listed(KNOWN)),
            };
            self.reader.findings.push(finding.help(help));
        }
    }

    /// Where a secret lies, if it can be had there now.
    pub(super) fn secret(&mut self, raw: &Written<RawSecret>) -> Option<SecretRef> {
        let (reference, span) = match (&raw.value.env, &raw.value.file) {
            (Some(env), None) => (SecretRef::Env(env.value.clone()), &env.span),
            (None, Some(file)) => (SecretRef::File(self.path(&file.value)), &file.span),
            (Some(_), Some(_)) | (None, None) => {
                let help = "write `{ file = \"path\" }` or `{ env = \"NAME\" }`";
                self.bad(&raw.span, "a secret lies in one place, a file or a variable", help);
                return None;
            }
        };
        let trouble = match &reference {
            SecretRef::Env(name) => {
                self.named.push(name.clone());
                let is_set = self.environment.get(name).is_some();
                (!is_set).then(|| SecretError::Unset { name: name.clone() })
            }
            SecretRef::File(path) => {
                self.warn_if_open(path, span);
                reference.read().err()
            }
        };
        if let Some(error) = trouble {
            self.reader.find(Finding::error(error.code(), error.to_string()).help(error.help()), span);
        }
        Some(reference)
    }

    /// Expects a variable of the environment, which a deployment will need.
    pub(super) fn expect_variable(&mut self, name: &Written<String>) {
        self.named.push(name.value.clone());
        if self.environment.get(&name.value).is_none() {
            let error = SecretError::Unset { name: name.value.clone() };
            self.reader.find(Finding::error("config/variable-unset", error.to_string()).help(error.help()), &name.span);
        }
    }

    fn warn_if_open(&mut self, path: &Path, span: &Range<usize>) {
        let mode = fs::metadata(path).map_or(0, |it| it.permissions().mode() & 0o777);
        if mode & 0o007 != 0 {
            let finding = Finding::warning(
                "config/secret-open",
                format!("every user of this machine can read the secret file (mode {mode:04o})"),
            );
            self.reader.find(finding.help(format!("run `chmod 600 {}`", path.display())), span);
        }
    }

    /// The value, or a finding that says what was expected.
    pub(super) fn fit<T>(&mut self, at: &At, key: &str, value: Result<T, Unfit>) -> Option<T> {
        let unfit = match value {
            Ok(value) => return Some(value),
            Err(unfit) => unfit,
        };
        match at {
            At::Span(span) => {
                self.reader.find(Finding::error("config/bad-value", format!("`{key}`: {unfit}")), span);
            }
            At::Variable(name) => {
                let finding = Finding::error("config/bad-value", format!("the variable `{name}`: {unfit}"));
                self.reader.findings.push(finding.help("correct it, or unset it to use the configuration file's"));
            }
        }
        None
    }

    pub(super) fn parsed<T>(
        &mut self,
        written: Option<&Written<String>>,
        key: &str,
        parse: fn(&str) -> Result<T, Unfit>,
    ) -> Option<T> {
        let written = written?;
        self.fit(&At::Span(written.span.clone()), key, parse(&written.value))
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(
        &mut self,
        written: Option<&Written<String>>,
        key: &str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let written = written?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == written.value) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let help = match nearest(&written.value, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use one of {}", listed(&known)),
        };
        self.bad(&written.span, format!("`{key}` cannot be `{}`", written.value), help);
        None
    }

    pub(super) fn required(
        &mut self,
        written: Option<&Written<String>>,
        key: &str,
        table: &str,
        span: &Range<usize>,
    ) -> Option<Written<String>> {
        match written {
            None => self.missing(key, table, format!("add `{key} = \"…\"`"), span),
            Some(it) if it.value.trim().is_empty() => {
                self.bad(&it.span, format!("`{table}.{key}` is empty"), format!("write `{key} = \"…\"`"));
            }
            Some(it) => return Some(it.clone()),
        }
        None
    }

    pub(super) fn missing(&mut self, key: &str, table: &str, help: impl Into<String>, span: &Range<usize>) {
        if self.reader.is_mistyped(&format!("{table}.{key}")) {
            return;
        }
        let finding = Finding::error("config/missing-key", format!("`{table}.{key}` is missing"));
        self.reader.find(finding.help(help), span);
    }

    pub(super) fn bad(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.reader.find(Finding::error("config/bad-value", message).help(help), span);
    }
}

/// A flag that is off unless written.
pub(super) fn flag(written: Option<&Written<bool>>) -> bool {
    written.is_some_and(|it| it.value)
}

/// The texts of a list.
pub(super) fn texts(written: Option<&Written<Vec<Written<String>>>>) -> Vec<String> {
    written.map(|it| it.value.iter().map(|text| text.value.clone()).collect()).unwrap_or_default()
}

fn address(text: &str) -> Result<SocketAddr, Unfit> {
    text.parse().map_err(|_| Unfit {
        expected: "an address with its port, such as `127.0.0.1:8080` or `[::]:8080`",
        found: text.chars().take(80).collect(),
    })
}

/// The things that are given a second time.
pub(super) fn twice<'a, T: std::hash::Hash + Eq + Clone>(
    things: impl IntoIterator<Item = (T, &'a Range<usize>)>,
) -> Vec<(T, &'a Range<usize>)> {
    let mut seen = HashSet::new();
    things.into_iter().filter(|(thing, _)| !seen.insert(thing.clone())).collect()
}
