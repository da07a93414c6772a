//! AWS: credentials and clients, set up once for each account and region. Never calls a service by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use tokio::sync::OnceCell;

/// How often the SDK tries a call that may be repeated, at most.
const TRIES: u32 = 3;

/// How long AWS is waited for. The SDK's own calls would wait for ever: an answer that never comes must hang nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until a connection stands: a dead address must not eat the time of an attempt.
    pub connect: Duration,
    /// Until S3's answer begins. Its default is longer than S3 ever takes for an 8 MiB part.
    pub stored: Duration,
    /// Until S3's answer is whole, unless it is an object.
    pub stored_whole: Duration,
    /// Until CodeDeploy's answer is whole. It takes well under a second; a call that hangs holds up an account's others.
    pub answered: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            stored: Duration::from_secs(60),
            stored_whole: Duration::from_secs(5 * 60),
            answered: Duration::from_secs(20),
        }
    }
}

impl Limits {
    fn of_s3(&self) -> TimeoutConfig {
        let limits = TimeoutConfig::builder().connect_timeout(self.connect).read_timeout(self.stored);
        limits.operation_attempt_timeout(self.stored_whole).operation_timeout(TRIES * self.stored_whole).build()
    }

    fn of_codedeploy(&self) -> TimeoutConfig {
        let limits = TimeoutConfig::builder().connect_timeout(self.connect);
        limits.operation_attempt_timeout(self.answered).operation_timeout(TRIES * self.answered).build()
    }
}

/// What sessions of roles are called unless something else is said.
const SESSION: &str = "landfall";

/// As whom, where, and at which address AWS is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Account {
    /// The region.
    pub region: String,
    /// A role to assume first.
    pub assume_role: Option<String>,
    /// The external id for that role.
    pub external_id: Option<String>,
    /// What the role's session is called, in AWS's own records of who did what. Ours has one name for all calls, but for
    /// those that carry something out.
    pub session: Option<String>,
    /// Another address than AWS's, of the one service that is called there: roles are assumed at STS's own.
    pub endpoint_url: Option<String>,
}

/// The AWS SDK's set-up, shared by every client. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Aws {
    known: Arc<Mutex<HashMap<Account, Arc<OnceCell<SdkConfig>>>>>,
    /// One for each account, address and way to name buckets: a client brings connections, and the authorities that it
    /// trusts, which a thousand targets must not have a thousand times.
    s3: Arc<Mutex<HashMap<(Account, bool), aws_sdk_s3::Client>>>,
    keys: Option<Credentials>,
    sts: Option<String>,
    limits: Limits,
}

impl Aws {
    /// With credentials as the SDK finds them: variables, profiles, container and instance roles. Nothing is looked up
    /// before it is needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// With these credentials and no search, for servers that are not AWS's own.
    pub fn with_keys(id: &str, secret: &str) -> Self {
        Self { keys: Some(Credentials::new(id, secret, None, None, "landfall")), ..Self::default() }
    }

    /// The same, with roles assumed at this address: for servers that are not AWS's own.
    #[must_use]
    pub fn with_sts(self, url: &str) -> Self {
        Self { known: Arc::default(), s3: Arc::default(), sts: Some(url.to_owned()), ..self }
    }

    /// The same, more or less patient.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { known: Arc::default(), s3: Arc::default(), limits, ..self }
    }

    /// The set-up for an account, made at its first use: credentials are looked up when the first request is signed.
    async fn config(&self, account: &Account) -> SdkConfig {
        let account = Account { endpoint_url: None, ..account.clone() };
        // A session of one deployment's is used once.
        if account.session.is_some() {
            return load(&account, self).await;
        }
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(account.clone()).or_default())
        };
        cell.get_or_init(|| load(&account, self)).await.clone()
    }

    /// The S3 client for an account and address. `force_path_style` names the bucket in the path, as most servers other
    /// than AWS's want it.
    pub async fn s3(&self, account: &Account, force_path_style: bool) -> aws_sdk_s3::Client {
        let key = (account.clone(), force_path_style);
        let known = || self.s3.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known().get(&key) {
            return client.clone();
        }
        let shared = self.config(account).await;
        let mut config = aws_sdk_s3::config::Builder::from(&shared)
            .force_path_style(force_path_style)
            .timeout_config(self.limits.of_s3());
        if let Some(url) = &account.endpoint_url {
            config.set_endpoint_url(Some(url.clone()));
        }
        let client = aws_sdk_s3::Client::from_conf(config.build());
        known().entry(key).or_insert(client).clone()
    }

    /// A CodeDeploy client.
    pub async fn codedeploy(&self, account: &Account) -> aws_sdk_codedeploy::Client {
        let shared = self.config(account).await;
        let mut config = aws_sdk_codedeploy::config::Builder::from(&shared).timeout_config(self.limits.of_codedeploy());
        if let Some(url) = &account.endpoint_url {
            config.set_endpoint_url(Some(url.clone()));
        }
        aws_sdk_codedeploy::Client::from_conf(config.build())
    }
}

async fn load(account: &Account, aws: &Aws) -> SdkConfig {
    // The address is each client's own: here it would be STS's too.
    let Account { region, assume_role, external_id, session, endpoint_url: _ } = account;
    let mut loader = aws_config::from_env()
        .region(aws_config::Region::new(region.clone()))
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
        .timeout_config(aws.limits.of_codedeploy());
    if let Some(keys) = &aws.keys {
        loader = loader.credentials_provider(keys.clone());
    }
    let own = loader.load().await;
    let Some(role) = assume_role else { return own };
    let mut at_sts = own.clone().into_builder();
    at_sts.set_endpoint_url(aws.sts.clone());
    let session = session.as_deref().unwrap_or(SESSION);
    let mut provider = AssumeRoleProvider::builder(role).session_name(session).configure(&at_sts.build());
    if let Some(id) = external_id {
        provider = provider.external_id(id);
    }
    let credentials = SharedCredentialsProvider::new(provider.build().await);
    own.into_builder().credentials_provider(credentials).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the SDK waits for, with no answer in sight: nothing is left without a limit.
    #[tokio::test]
    async fn every_call_has_a_limit() {
        let (aws, account) = (Aws::with_keys("A", "S"), Account { region: "eu-west-1".into(), ..Account::default() });
        let seconds = |of: &TimeoutConfig| {
            let whole = [of.connect_timeout(), of.operation_attempt_timeout(), of.operation_timeout()];
            whole.map(|it| it.map(|it| it.as_secs()))
        };
        let s3 = aws.s3(&account, false).await;
        let of_s3 = s3.config().timeout_config().unwrap();
        assert_eq!(seconds(of_s3), [Some(5), Some(300), Some(900)]);
        assert_eq!(of_s3.read_timeout(), Some(Duration::from_secs(60)));
        let codedeploy = aws.codedeploy(&account).await;
        assert_eq!(seconds(codedeploy.config().timeout_config().unwrap()), [Some(5), Some(20), Some(60)]);
        let sts = aws.config(&account).await;
        assert_eq!(seconds(sts.timeout_config().unwrap()), [Some(5), Some(20), Some(60)]);
    }

    #[tokio::test]
    async fn buckets_of_one_account_share_a_client() {
        let (aws, account) = (Aws::with_keys("A", "S"), Account { region: "eu-west-1".into(), ..Account::default() });
        let abroad = Account { region: "us-east-1".into(), ..account.clone() };
        for (account, path_style) in [(&account, false), (&account, false), (&account, true), (&abroad, false)] {
            aws.clone().s3(account, path_style).await;
        }
        assert_eq!(aws.s3.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn an_address_is_the_one_services_alone() {
        // Neither has to be there: nothing is called.
        let account = Account {
            region: "eu-west-1".into(),
            assume_role: Some("arn:aws:iam::111122223333:role/deploy".into()),
            endpoint_url: Some("http://127.0.0.1:1".into()),
            ..Account::default()
        };
        let aws = Aws::with_keys("A", "S");
        assert_eq!(aws.config(&account).await.endpoint_url(), None, "the role is assumed at STS's own address");
        let elsewhere = Account { endpoint_url: Some("http://127.0.0.1:2".into()), ..account.clone() };
        aws.config(&elsewhere).await;
        assert_eq!(aws.known.lock().unwrap().len(), 1, "two addresses share one set of credentials");
    }
}
