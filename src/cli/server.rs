//! The client of a running server's API. It keeps no state and decides nothing.

use std::time::Duration;

use clap::Args;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::configuration::ConfigArgs;
use super::exit::Trouble;
use super::nearby::{Trust, reachable, token_at};
use crate::config::{Environment, Secret, Whereabouts};
use crate::domain::{harmless, root_cause};

/// A server that does not answer within this does not answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The same, for who looks again anyway.
const GLANCE: Duration = Duration::from_secs(5);

/// Which server.
#[derive(Clone, Debug, Args)]
pub(super) struct ServerArgs {
    /// The server's address; where the configuration listens, unless given
    #[arg(long, value_name = "URL", env = "LANDFALL_URL")]
    url: Option<String>,

    /// A token of the server; the one in its data directory, unless given
    #[arg(long, value_name = "TOKEN", env = "LANDFALL_TOKEN", hide_env_values = true)]
    token: Option<String>,

    #[command(flatten)]
    pub(super) config: ConfigArgs,
}

/// Why there is no answer.
pub(super) enum Missed {
    /// Nobody answers, or nobody can at present: it may be otherwise soon.
    Away(Trouble),
    /// The answer is no, or cannot be understood.
    Refused(Trouble),
}

/// A server to ask.
pub(super) struct Server {
    url: String,
    token: Option<Secret>,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// Who interrupts the program.
pub(super) struct Interrupts(Signal);

impl ServerArgs {
    /// The server that the environment names, else that of this configuration.
    pub(super) fn of(config: ConfigArgs, environment: &Environment) -> Self {
        let named = |name| environment.get(name).map(str::to_owned);
        Self { url: named("LANDFALL_URL"), token: named("LANDFALL_TOKEN"), config }
    }

    /// Finds the server and its token.
    pub(super) fn find(&self, environment: &Environment) -> Result<Server, Trouble> {
        self.find_by(Trust::Machine, || self.config.whereabouts(environment))
    }

    /// The same at a key that was pressed: the configuration is believed less, and not a word is said of what is wrong.
    pub(super) fn find_silently(&self, environment: &Environment) -> Option<Server> {
        let silently = || Whereabouts::load(&self.config.path(), environment).map_err(|_| Trouble::wrong("unreadable"));
        self.find_by(Trust::Loopback, silently).ok()
    }

    fn find_by(
        &self,
        trust: Trust,
        whereabouts: impl FnOnce() -> Result<Whereabouts, Trouble>,
    ) -> Result<Server, Trouble> {
        let given = |it: &Option<String>| it.clone().filter(|text| !text.is_empty());
        let mut token = given(&self.token).map(Secret::new);
        let url = match given(&self.url) {
            Some(url) => web_address(url)?,
            None => {
                let it = whereabouts()?;
                let address = reachable(it.listen, trust)?;
                if token.is_none() {
                    token = token_at(&it.data_dir.join("token"))?;
                }
                format!("http://{address}")
            }
        };
        Ok(Server {
            url: url.trim_end_matches('/').to_owned(),
            token,
            http: reqwest::Client::builder().timeout(PATIENCE).build().map_err(anyhow::Error::from)?,
            runtime: runtime()?,
        })
    }
}

/// A runtime for a verb that waits for the network now and then.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Trouble> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| anyhow::Error::from(error).into())
}

impl Server {
    /// A page's whole address: where nobody configured how people reach the server, that is how we do.
    pub(super) fn whole(&self, page: &str) -> String {
        if page.starts_with('/') { format!("{}{page}", self.url.trim_end_matches('/')) } else { page.to_owned() }
    }

    /// Reads something.
    pub(super) fn get(&self, path: &str) -> Result<Value, Trouble> {
        self.get_within(PATIENCE, path)
    }

    /// Reads something that is of no use later.
    pub(super) fn get_within(&self, patience: Duration, path: &str) -> Result<Value, Trouble> {
        Ok(self.runtime.block_on(self.send(Method::GET, path, None, patience))?)
    }

    /// Asks for something.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        self.post_within(PATIENCE, path, body)
    }

    /// Asks for something that takes long.
    pub(super) fn post_within(&self, patience: Duration, path: &str, body: &Value) -> Result<Value, Trouble> {
        Ok(self.runtime.block_on(self.send(Method::POST, path, Some(body), patience))?)
    }

    /// Takes something away.
    pub(super) fn delete(&self, path: &str) -> Result<Value, Trouble> {
        Ok(self.runtime.block_on(self.send(Method::DELETE, path, None, PATIENCE))?)
    }

    /// Reads something, for who asks again and again.
    pub(super) async fn look(&self, path: &str) -> Result<Value, Missed> {
        self.send(Method::GET, path, None, GLANCE).await
    }

    /// What asks for something whose answer has no end.
    pub(super) fn listener(&self, path: &str) -> impl Fn() -> RequestBuilder + Send + 'static {
        let (http, token, url) = (self.http.clone(), self.token.clone(), format!("{}{path}", self.url));
        move || bearing(http.get(&url).timeout(Duration::MAX), token.as_ref())
    }

    /// Waits for what happens meanwhile.
    pub(super) fn block_on<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Hears from now on when somebody interrupts the program (Ctrl-C), which then ends by its own words.
    pub(super) fn interrupts(&self) -> Result<Interrupts, Trouble> {
        let _runtime = self.runtime.enter();
        signal(SignalKind::interrupt()).map(Interrupts).map_err(|error| anyhow::Error::from(error).into())
    }

    /// Waits, unless somebody interrupts, or has before. Gives whether somebody did.
    pub(super) fn wait_or(&self, Interrupts(interrupts): &mut Interrupts, long: Duration) -> bool {
        self.runtime.block_on(async { tokio::time::timeout(long, interrupts.recv()).await.is_ok() })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> Result<Value, Missed> {
        let request = self.http.request(method, format!("{}{path}", self.url)).timeout(patience);
        let mut request = bearing(request, self.token.as_ref());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| Missed::Away(self.silent(&error)))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| Missed::Away(self.silent(&error)))?;
        if status.is_success() {
            let odd = |what: String| {
                let odd = format!("`{}` answered something that is not landfall's: {what}", self.url);
                Missed::Refused(Trouble::unreachable(odd).help("check that the address is landfall's"))
            };
            return match serde_json::from_str(&text).map(tamed) {
                Ok(answer @ Value::Object(_)) => Ok(answer),
                Ok(_) => Err(odd("JSON that is no object".into())),
                Err(error) => Err(odd(format!("no JSON: {error}"))),
            };
        }
        let trouble = self.refusal(status, &text);
        Err(if status.is_server_error() { Missed::Away(trouble) } else { Missed::Refused(trouble) })
    }

    fn silent(&self, error: &reqwest::Error) -> Trouble {
        let why = if error.is_timeout() { "no answer in time".to_owned() } else { root_cause(error) };
        Trouble::unreachable(format!("no landfall answers at `{}`: {why}", self.url))
            .help("start it with `landfall serve`, or name another address with `--url` or LANDFALL_URL")
    }

    /// What a server's refusal means for the one who typed.
    fn refusal(&self, status: StatusCode, text: &str) -> Trouble {
        if status == StatusCode::UNAUTHORIZED {
            let which = if self.token.is_some() { "does not know this token" } else { "wants a token" };
            return Trouble::unreachable(format!("`{}` {which}", self.url)).help(
                "give one with `--token` or LANDFALL_TOKEN; the first start wrote one to `token` in the data directory",
            );
        }
        refusal(status, text)
    }
}

/// A request with the token that there is.
fn bearing(request: RequestBuilder, token: Option<&Secret>) -> RequestBuilder {
    match token {
        Some(token) => request.bearer_auth(token.expose()),
        None => request,
    }
}

impl From<Missed> for Trouble {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::Away(trouble) | Missed::Refused(trouble) => trouble,
        }
    }
}

/// An answer without what terminals obey: names, titles and the output of scripts are strangers' words.
fn tamed(answer: Value) -> Value {
    match answer {
        Value::String(text) => Value::String(harmless(&text)),
        Value::Array(all) => all.into_iter().map(tamed).collect(),
        Value::Object(all) => all.into_iter().map(|(key, value)| (harmless(&key), tamed(value))).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

/// An address as it can be asked.
fn web_address(url: String) -> Result<String, Trouble> {
    let known = reqwest::Url::parse(&url).is_ok_and(|it| matches!(it.scheme(), "http" | "https") && it.has_host());
    if known {
        return Ok(url);
    }
    Err(Trouble::wrong(format!("`{url}` is not a web address")).help("write it as `http://host:port`"))
}

/// What any other refusal means.
fn refusal(status: StatusCode, text: &str) -> Trouble {
    let problem: Value = serde_json::from_str(text).map(tamed).unwrap_or_default();
    let told = |key: &str| problem[key].as_str().map(str::to_owned);
    let message = told("detail").or(told("title")).unwrap_or_else(|| format!("the server answered {status}"));
    let lists = "`landfall status` lists targets, `landfall history TARGET` deployments, `landfall deliveries` pushes";
    let help = told("help").or_else(|| (status == StatusCode::NOT_FOUND).then(|| lists.to_owned()));
    let trouble = if status.is_client_error() { Trouble::wrong(message) } else { Trouble::unreachable(message) };
    match help {
        Some(help) => trouble.help(help),
        None => trouble,
    }
}
