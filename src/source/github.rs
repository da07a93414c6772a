//! Commits from GitHub's API. It never follows a branch's name for contents: always the commit's own id.

use bytes::Bytes;
use futures_util::stream::StreamExt;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::SourceError;
use super::kind::{ByteStream, PEEK_AT_MOST, RefHead};
use crate::clients::github::{Answer, GitHubClient, GitHubError};
use crate::domain::{CommitPrefix, CommitSha, RefName, Relation, Repository, RepositoryName};

/// A tag of a tag of a tag is legal, and nobody makes more of them.
const TAGS_DEEP: usize = 8;
/// The most that GitHub gives at a time.
const BRANCHES_A_PAGE: usize = 100;

/// One repository at GitHub.
#[derive(Clone, Debug)]
pub struct GitHubSource {
    client: GitHubClient,
    repository: RepositoryName,
}

#[derive(Deserialize)]
struct Named {
    object: Object,
}

#[derive(Deserialize)]
struct Tree {
    tree: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Branch {
    name: String,
    commit: Tip,
}

#[derive(Deserialize)]
struct Tip {
    sha: CommitSha,
}

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "type")]
    kind: String,
    sha: CommitSha,
}

impl GitHubSource {
    pub(super) fn new(client: GitHubClient, repository: RepositoryName) -> Self {
        Self { client, repository }
    }

    pub(super) async fn head(&self, reference: &RefName) -> Result<Option<RefHead>, SourceError> {
        let name = reference.as_str().strip_prefix("refs/").unwrap_or(reference.as_str());
        let found = self.client.poll_json::<Named>(&self.path(&format!("git/ref/{}", encode(name)))).await;
        let object = match found {
            Ok(Named { object }) => object,
            // An empty repository's answer is 409. A 404 also means that the token cannot see the repository.
            Err(GitHubError::NotFound | GitHubError::Conflict { .. }) => {
                return self.must_be_visible().await.map(|()| None);
            }
            Err(error) => return Err(self.error(error)),
        };
        let sha = object.sha.clone();
        let commit = match object.kind.as_str() {
            "commit" => Some(sha.clone()),
            _ => self.peel_tag(object).await?,
        };
        Ok(commit.map(|commit| RefHead { object: sha, commit }))
    }

    pub(super) async fn repository(&self) -> Result<Repository, SourceError> {
        #[derive(Deserialize)]
        struct About {
            id: u64,
            full_name: RepositoryName,
        }
        let about = self.client.poll_json::<About>(&format!("/repos/{}", self.repository)).await;
        let About { id, full_name } = about.map_err(|error| self.error(error))?;
        Ok(Repository { id: Some(id), name: full_name })
    }

    pub(super) async fn default_branch(&self) -> Result<RefName, SourceError> {
        #[derive(Deserialize)]
        struct About {
            default_branch: String,
        }
        let about = self.client.get_json::<About>(&format!("/repos/{}", self.repository)).await;
        let name = about.map_err(|error| self.error(error))?.default_branch;
        RefName::parse(format!("refs/heads/{name}")).map_err(|unfit| self.broken(unfit.to_string()))
    }

    /// GitHub leads from a branch's old name to its new one, though not where refs are asked for.
    pub(super) async fn renamed(&self, reference: &RefName) -> Result<Option<String>, SourceError> {
        #[derive(Deserialize)]
        struct Called {
            name: String,
        }
        let Some(old) = reference.branch() else { return Ok(None) };
        match self.client.get_json::<Called>(&self.path(&format!("branches/{}", encode(old)))).await {
            Ok(Called { name }) => Ok(Some(name).filter(|name| name != old)),
            Err(GitHubError::NotFound) => Ok(None),
            Err(error) => Err(self.error(error)),
        }
    }

    pub(super) async fn branches(&self) -> Result<Vec<(RefName, CommitSha)>, SourceError> {
        let mut all = Vec::new();
        for page in 1.. {
            let path = self.path(&format!("branches?per_page={BRANCHES_A_PAGE}&page={page}"));
            let listed = self.client.poll_json::<Vec<Branch>>(&path).await.map_err(|error| self.error(error))?;
            let is_last = listed.len() < BRANCHES_A_PAGE;
            // A name that no push of ours can have is no branch of ours.
            let parsed =
                |it: Branch| Some((RefName::parse_visible(format!("refs/heads/{}", it.name)).ok()?, it.commit.sha));
            all.extend(listed.into_iter().filter_map(parsed));
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    pub(super) async fn peel(&self, object: &CommitSha) -> Result<Option<CommitSha>, SourceError> {
        if self.has(object).await? {
            return Ok(Some(object.clone()));
        }
        let tag = self.peel_tag(Object { kind: "tag".into(), sha: object.clone() }).await?;
        if tag.is_none() {
            self.must_be_visible().await?;
        }
        Ok(tag)
    }

    pub(super) async fn relation(&self, commit: &CommitSha, head: &CommitSha) -> Result<Relation, SourceError> {
        #[derive(Deserialize)]
        struct Comparison {
            status: String,
        }
        // The second page has no patches: the answer stays short whatever was changed.
        let path = self.path(&format!("compare/{commit}...{head}?per_page=1&page=2"));
        match self.client.poll_json::<Comparison>(&path).await {
            // GitHub tells how the second stands to the first.
            Ok(Comparison { status }) => match status.as_str() {
                "identical" => Ok(Relation::Same),
                "ahead" => Ok(Relation::Ancestor),
                "behind" => Ok(Relation::Descendant),
                "diverged" => Ok(Relation::Diverged),
                other => Err(self.broken(format!("a comparison that is `{other}`"))),
            },
            // One of the two is unknown, or they have no common ancestor.
            Err(GitHubError::NotFound) => {
                self.must_have(commit).await?;
                self.must_have(head).await?;
                Ok(Relation::Diverged)
            }
            Err(error) => Err(self.error(error)),
        }
    }

    pub(super) async fn peek(&self, commit: &CommitSha, path: &str) -> Result<Option<Bytes>, SourceError> {
        let address = self.path(&format!("contents/{}?ref={commit}", encode(path)));
        match self.client.get(&address, "application/vnd.github.raw+json").await.and_then(Answer::file) {
            Ok(None) => Ok(None),
            Ok(Some(file)) => {
                let bytes = file.len() as u64;
                if bytes > PEEK_AT_MOST {
                    return Err(SourceError::TooLarge { path: path.into(), bytes, limit: PEEK_AT_MOST });
                }
                Ok(Some(file))
            }
            Err(GitHubError::NotFound) => self.must_have(commit).await.map(|()| None),
            Err(error) => Err(self.error(error)),
        }
    }

    pub(super) async fn paths(&self, commit: &CommitSha) -> Result<Vec<String>, SourceError> {
        let tree = self.client.get_json::<Tree>(&self.path(&format!("git/trees/{commit}?recursive=1"))).await;
        let tree = tree.map_err(|error| self.error(error))?.tree;
        Ok(tree.into_iter().filter(|it| it.kind == "blob").map(|it| it.path).collect())
    }

    pub(super) async fn archive(&self, commit: &CommitSha) -> Result<ByteStream, SourceError> {
        let chunks = match self.client.download(&self.path(&format!("tarball/{commit}"))).await {
            Ok(chunks) => chunks,
            Err(GitHubError::NotFound) => {
                self.must_have(commit).await?;
                // GitHub knows the commit, and the place where archives are made does not yet.
                return Err(self.unknown(commit));
            }
            Err(error) => return Err(self.error(error)),
        };
        let mut bytes = 0;
        Ok(chunks
            .map(move |chunk| match chunk {
                Ok(chunk) => {
                    bytes += chunk.len() as u64;
                    Ok(chunk)
                }
                Err(error) => Err(SourceError::Cut { bytes, why: error.to_string() }),
            })
            .boxed())
    }

    async fn peel_tag(&self, mut object: Object) -> Result<Option<CommitSha>, SourceError> {
        for _ in 0..TAGS_DEEP {
            match object.kind.as_str() {
                "commit" => return Ok(Some(object.sha)),
                "tag" => {}
                _ => return Ok(None),
            }
            object = match self.client.get_json::<Named>(&self.path(&format!("git/tags/{}", object.sha))).await {
                Ok(named) => named.object,
                Err(GitHubError::NotFound) => return Ok(None),
                Err(error) => return Err(self.error(error)),
            };
        }
        Err(self.broken(format!("more than {TAGS_DEEP} tags of tags")))
    }

    pub(super) async fn message(&self, commit: &CommitSha) -> Result<String, SourceError> {
        #[derive(Deserialize)]
        struct Described {
            message: String,
        }
        let described: Described = self.asked(&format!("git/commits/{commit}")).await?;
        Ok(described.message)
    }

    pub(super) async fn expand(&self, beginning: &CommitPrefix) -> Result<Option<CommitSha>, SourceError> {
        // The hash alone: as JSON the answer has all files with what was changed in them.
        match self.client.get(&self.path(&format!("commits/{beginning}")), "application/vnd.github.sha").await {
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body);
                CommitSha::parse(text.trim()).map(Some).map_err(|unfit| self.broken(unfit.to_string()))
            }
            // GitHub calls a beginning that no commit has, or several, unprocessable.
            Err(GitHubError::NotFound | GitHubError::Refused { .. } | GitHubError::Conflict { .. }) => {
                self.must_be_visible().await.map(|()| None)
            }
            Err(error) => Err(self.error(error)),
        }
    }

    async fn has(&self, commit: &CommitSha) -> Result<bool, SourceError> {
        match self.client.get_json::<IgnoredAny>(&self.path(&format!("git/commits/{commit}"))).await {
            Ok(_) => Ok(true),
            Err(GitHubError::NotFound | GitHubError::Conflict { .. }) => Ok(false),
            Err(error) => Err(self.error(error)),
        }
    }

    async fn must_have(&self, commit: &CommitSha) -> Result<(), SourceError> {
        if self.has(commit).await? {
            return Ok(());
        }
        self.must_be_visible().await?;
        Err(self.unknown(commit))
    }

    /// GitHub says «not found» of what a token may not see. The repository itself tells the two apart.
    async fn must_be_visible(&self) -> Result<(), SourceError> {
        match self.client.get_json::<IgnoredAny>(&format!("/repos/{}", self.repository)).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error(error)),
        }
    }

    /// The answer beneath the repository's own address.
    pub(super) async fn asked<T: DeserializeOwned>(&self, rest: &str) -> Result<T, SourceError> {
        self.client.poll_json(&self.path(rest)).await.map_err(|error| self.error(error))
    }

    fn path(&self, rest: &str) -> String {
        format!("/repos/{}/{rest}", self.repository)
    }

    fn error(&self, error: GitHubError) -> SourceError {
        SourceError::of_github(error, self.repository.as_str())
    }

    fn broken(&self, why: String) -> SourceError {
        SourceError::Broken { what: self.repository.to_string(), why }
    }

    fn unknown(&self, commit: &CommitSha) -> SourceError {
        SourceError::UnknownCommit { what: self.repository.to_string(), commit: commit.clone() }
    }
}

/// One segment of an address. Slashes are escaped too, as GitHub's own client does it.
fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut kept, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => kept.push(char::from(byte)),
            _ => kept.push_str(&format!("%{byte:02X}")),
        }
        kept
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_segment_of_an_address() {
        assert_eq!(encode("heads/main"), "heads%2Fmain");
        assert_eq!(encode("a b#c?é+"), "a%20b%23c%3F%C3%A9%2B");
    }
}
