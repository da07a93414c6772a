//! What `apply` is to deploy: a directory or an archive of this machine, an object in S3, or a commit at GitHub (R102,
//! R103). What lies elsewhere is fetched before anything else happens: a run begins with its bundle at hand.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::cli::exit::Trouble;
use crate::clients::Clock;
use crate::clients::aws::Aws;
use crate::clients::github::GitHubClients;
use crate::config::{Environment, GitHub, SecretRef};
use crate::domain::{CommitSha, Failure, Location, RefName, RepositoryName, RevisionsSpec, S3Spec, plainly};
use crate::engine::host::{BundleObject, BundleType};
use crate::revisions::Stores;
use crate::source::Sources;

/// Where GitHub's API is, unless `GITHUB_API_URL` says otherwise.
const GITHUB_API: &str = "https://api.github.com";

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum BundleTypeArg {
    Tgz,
    Tar,
    Zip,
    Directory,
}

/// A bundle at hand, and what hooks are told of where it came from.
pub(super) struct Bundle {
    pub(super) path: PathBuf,
    pub(super) kind: BundleType,
    pub(super) commit: Option<CommitSha>,
    pub(super) object: Option<BundleObject>,
    /// Where it was fetched to; gone with this.
    pub(super) fetched: Option<TempDir>,
}

/// Where a bundle lies.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Here(String),
    S3 { bucket: String, key: String, version: Option<String>, etag: Option<String> },
    GitHub { repository: RepositoryName, reference: Option<String> },
}

/// Brings the bundle to this machine; what is fetched lies under `root` until the run is over.
pub(super) fn bring(
    location: &str,
    kind: BundleTypeArg,
    root: &Path,
    environment: &Environment,
) -> Result<Bundle, Trouble> {
    let api = environment.get("GITHUB_API_URL").unwrap_or(GITHUB_API).trim_end_matches('/').to_owned();
    let place = parse(location, &api)?;
    if let Place::Here(path) = &place {
        return here(path, kind);
    }
    let unusable =
        |error: std::io::Error| Trouble::unreachable(format!("cannot use `{}`: {}", root.display(), plainly(&error)));
    fs::create_dir_all(root).map_err(unusable)?;
    let dir = tempfile::Builder::new().prefix(".fetching-").tempdir_in(root).map_err(unusable)?;
    let path = dir.path().join("bundle");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unusable)?;
    let fetched = runtime.block_on(async {
        match place {
            Place::Here(_) => Ok((None, None)),
            Place::S3 { .. } => from_s3(place, &path, environment).await.map(|object| (None, object)),
            Place::GitHub { repository, reference } => {
                from_github(repository, reference, &api, &path, environment).await.map(|commit| (Some(commit), None))
            }
        }
    });
    let (commit, object) = fetched.map_err(cannot_fetch)?;
    // Its bytes say what it is, whatever it is called.
    Ok(Bundle { path, kind: BundleType::Tar, commit, object, fetched: Some(dir) })
}

fn cannot_fetch(failure: Failure) -> Trouble {
    let trouble = Trouble::unreachable(failure.to_string());
    match failure.help {
        Some(help) => trouble.help(help),
        None => trouble,
    }
}

fn here(location: &str, kind: BundleTypeArg) -> Result<Bundle, Trouble> {
    let unusable =
        |error: std::io::Error| Trouble::unreachable(format!("`{location}` cannot be read: {}", plainly(&error)));
    let path = fs::canonicalize(location).map_err(unusable)?;
    let kind = match kind {
        BundleTypeArg::Tgz => BundleType::Tgz,
        BundleTypeArg::Tar => BundleType::Tar,
        BundleTypeArg::Zip => BundleType::Zip,
        BundleTypeArg::Directory => BundleType::Directory,
    };
    match (kind, path.is_dir()) {
        (BundleType::Directory, false) => {
            Err(Trouble::wrong(format!("`{location}` is a file")).help("say what it is with `--type`"))
        }
        (BundleType::Tgz | BundleType::Tar | BundleType::Zip, true) => {
            Err(Trouble::wrong(format!("`{location}` is a directory")).help("leave `--type` out"))
        }
        (BundleType::Directory, true) | (BundleType::Tgz | BundleType::Tar | BundleType::Zip, false) => {
            Ok(Bundle { path, kind, commit: None, object: None, fetched: None })
        }
    }
}

/// Reads a location. `api` is where GitHub's API is.
fn parse(location: &str, api: &str) -> Result<Place, Trouble> {
    const FORMS: &str = "name a path, `s3://BUCKET/KEY[?versionId=…&etag=…]`, `https://github.com/OWNER/NAME`, or \
                         `https://api.github.com/repos/OWNER/NAME/tarball/REF`";
    if !location.contains("://") {
        return Ok(Place::Here(location.to_owned()));
    }
    let wrong = |why: &str| Trouble::wrong(format!("`{location}` {why}")).help(FORMS);
    let url = Url::parse(location).map_err(|error| wrong(&format!("is no location: {error}")))?;
    let named = |owner: &str, name: &str| {
        RepositoryName::parse(format!("{owner}/{name}")).map_err(|_| wrong("names no repository"))
    };
    let beneath_api = location.strip_prefix(api).or_else(|| location.strip_prefix(GITHUB_API));
    if let Some(rest) = beneath_api.and_then(|rest| rest.strip_prefix("/repos/")) {
        return match rest.splitn(4, '/').collect::<Vec<_>>()[..] {
            [owner, name, "zipball" | "tarball"] | [owner, name, "zipball" | "tarball", ""] => {
                Ok(Place::GitHub { repository: named(owner, name)?, reference: None })
            }
            [owner, name, "zipball" | "tarball", reference] => {
                Ok(Place::GitHub { repository: named(owner, name)?, reference: Some(reference.to_owned()) })
            }
            _ => Err(wrong("is no archive of a repository")),
        };
    }
    match (url.scheme(), url.host_str()) {
        ("s3", Some(bucket)) => {
            let key = location[5..].split_once('/').map_or("", |(_, key)| key.split('?').next().unwrap_or_default());
            if key.is_empty() {
                return Err(wrong("names no object"));
            }
            let query =
                |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
            let etag = query("etag").map(|etag| etag.trim_matches('"').to_owned());
            Ok(Place::S3 { bucket: bucket.to_owned(), key: key.to_owned(), version: query("versionId"), etag })
        }
        ("https", Some("github.com")) => match url.path().trim_matches('/').split('/').collect::<Vec<_>>()[..] {
            [owner, name] => {
                Ok(Place::GitHub { repository: named(owner, name.trim_end_matches(".git"))?, reference: None })
            }
            _ => Err(wrong("is no repository's own address")),
        },
        ("http", _) => Err(wrong("is not fetched: http can be read and changed on the way")),
        _ => Err(wrong("is no place that bundles are fetched from")),
    }
}

async fn from_s3(place: Place, to: &Path, environment: &Environment) -> Result<Option<BundleObject>, Failure> {
    let Place::S3 { bucket, key, version, etag } = place else { return Ok(None) };
    let first = |names: [&str; 2]| names.iter().find_map(|name| environment.get(name)).map(str::to_owned);
    let region = first(["AWS_REGION", "AWS_DEFAULT_REGION"]).unwrap_or_else(|| "us-east-1".into());
    let endpoint_url = first(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
    let spec = S3Spec {
        bucket: bucket.clone(),
        region: region.clone(),
        force_path_style: endpoint_url.is_some(),
        endpoint_url,
        ..S3Spec::default()
    };
    let store = Stores::new(Aws::new()).of(&RevisionsSpec::S3(spec))?;
    let found = store.fetch_unseen(&Location::S3 { bucket, key, region, version, etag }, to).await?;
    Ok(BundleObject::at(&found))
}

async fn from_github(
    repository: RepositoryName,
    reference: Option<String>,
    api: &str,
    to: &Path,
    environment: &Environment,
) -> Result<CommitSha, Failure> {
    let token = environment.get("GITHUB_TOKEN").map(|_| SecretRef::Env("GITHUB_TOKEN".into()));
    let github = GitHub { token, ..GitHub::at(api) };
    let client = GitHubClients::new(&github, Clock::system());
    let client =
        client.map_err(|error| Failure::setup("cli/github", error.to_string()).help("correct GITHUB_API_URL"))?;
    let sources = Sources::new(to.parent().unwrap_or(Path::new("/")), client);
    let commit = resolve(&sources, &repository, reference.as_deref()).await?;
    let mut archive = sources.at_github(repository).archive(&commit).await?;
    let disk = |error: std::io::Error| Failure::setup("cli/fetch", plainly(&error)).help("make room");
    let mut file = tokio::fs::File::create(to).await.map_err(disk)?;
    while let Some(chunk) = archive.next().await {
        file.write_all(&chunk?).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    Ok(commit)
}

/// The commit that a person means: by the name of a branch or a tag, by its own id, or the default branch's.
async fn resolve(
    sources: &Sources,
    repository: &RepositoryName,
    reference: Option<&str>,
) -> Result<CommitSha, Failure> {
    let source = sources.at_github(repository.clone());
    let names = match reference {
        None => vec![sources.default_branch(repository.clone()).await?],
        Some(name) => {
            if let Ok(sha) = CommitSha::parse(name)
                && let Some(commit) = source.peel(&sha).await?
            {
                return Ok(commit);
            }
            let plain = name.strip_prefix("refs/").unwrap_or(name);
            let names = [format!("refs/{plain}"), format!("refs/heads/{name}"), format!("refs/tags/{name}")];
            names.into_iter().filter_map(|name| RefName::parse(name).ok()).collect()
        }
    };
    for name in names.iter().filter(|name| name.branch().is_some() || name.tag().is_some()) {
        if let Some(head) = source.head(name).await? {
            return Ok(head.commit);
        }
    }
    let name = reference.unwrap_or("a default branch");
    Err(Failure::setup("cli/no-such-ref", format!("`{repository}` has no `{name}`"))
        .help("name a branch, a tag, or a commit by its whole id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(location: &str, expected: &str) {
        let found = match parse(location, GITHUB_API) {
            Ok(Place::Here(path)) => format!("here {path}"),
            Ok(Place::S3 { bucket, key, version, etag }) => format!("s3 {bucket} {key} {version:?} {etag:?}"),
            Ok(Place::GitHub { repository, reference }) => format!("github {repository} {reference:?}"),
            Err(trouble) => trouble.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn locations_are_read_as_codedeploy_local_takes_them() {
        check("./site.tgz", "here ./site.tgz");
        check("s3://b/a/k.zip", "s3 b a/k.zip None None");
        check("s3://b/k.tgz?versionId=v1&etag=%22e%22", "s3 b k.tgz Some(\"v1\") Some(\"e\")");
        check("https://github.com/acme/blog/", "github acme/blog None");
        check("https://api.github.com/repos/acme/blog/tarball/feature/x", "github acme/blog Some(\"feature/x\")");
        check("https://api.github.com/repos/acme/blog/zipball", "github acme/blog None");
        check("http://x/y.zip", "`http://x/y.zip` is not fetched: http can be read and changed on the way");
        check("https://example.com/y.zip", "`https://example.com/y.zip` is no place that bundles are fetched from");
        check("s3://b/", "`s3://b/` names no object");
    }
}
