//! Which paths lie between two commits at GitHub, by its comparisons. Where that cannot be told whole it says so.

use serde::Deserialize;

use super::SourceError;
use super::github::GitHubSource;
use crate::domain::CommitSha;

/// A comparison names no more files, and does not say that there are more.
const MOST_FILES: usize = 300;

/// The paths that differ between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// All of them, and perhaps some that changed and changed back.
    Paths(Vec<String>),
    /// Nobody can say, because.
    Unsure(String),
}

#[derive(Deserialize)]
struct Comparison {
    status: String,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    previous_filename: Option<String>,
}

impl GitHubSource {
    pub(super) async fn changed(&self, base: &CommitSha, commit: &CommitSha) -> Result<Changed, SourceError> {
        let (mut paths, is_ahead) = match self.one_way(base, commit).await? {
            Ok(found) => found,
            Err(why) => return Ok(Changed::Unsure(why)),
        };
        if !is_ahead {
            // GitHub compares with where the two parted. What was on the other side only is gone now, which is a change.
            match self.one_way(commit, base).await? {
                Ok((gone, _)) => paths.extend(gone),
                Err(why) => return Ok(Changed::Unsure(why)),
            }
        }
        paths.sort_unstable();
        paths.dedup();
        Ok(Changed::Paths(paths))
    }

    /// The paths that changed from where the two parted to `commit`, and whether that is where `base` is; or why they
    /// cannot be told.
    async fn one_way(
        &self,
        base: &CommitSha,
        commit: &CommitSha,
    ) -> Result<Result<(Vec<String>, bool), String>, SourceError> {
        // The files stand on the first page, however few commits it has.
        let compared: Comparison = match self.asked(&format!("compare/{base}...{commit}?per_page=1&page=1")).await {
            Ok(compared) => compared,
            Err(SourceError::NotFound { .. }) => {
                let (base, commit) = (base.short(), commit.short());
                return Ok(Err(format!("GitHub has nothing to compare {base} and {commit} by")));
            }
            // 300 patches may be longer than any answer that we read.
            Err(SourceError::Broken { why, .. }) => return Ok(Err(format!("GitHub's comparison is of no use: {why}"))),
            Err(error) => return Err(error),
        };
        if compared.files.len() >= MOST_FILES {
            let (base, commit) = (base.short(), commit.short());
            return Ok(Err(format!("{MOST_FILES} files or more lie between {base} and {commit}")));
        }
        let names = |it: File| [Some(it.filename), it.previous_filename];
        let paths = compared.files.into_iter().flat_map(names).flatten().collect();
        Ok(Ok((paths, matches!(compared.status.as_str(), "ahead" | "identical"))))
    }
}
