//! Where the commits of a first target come from: GitHub, or a bare repository on this machine. It looks into that, and
//! changes nothing.

use std::path::{Path, PathBuf, absolute};

use super::super::pushed::Repository;
use crate::domain::RepositoryName;

/// Who owns, by name, what is at no hoster.
const OWNER: &str = "local";

/// A repository that pushes go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// At GitHub, by its name.
    GitHub(RepositoryName),
    /// On this machine: what it is called, and where it lies.
    Here(RepositoryName, PathBuf),
}

impl Origin {
    /// Reads `acme/shop`, an address at GitHub, or the path of a bare repository, which has to be there.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file://").or_else(|| is_path(text).then_some(text)) {
            return here(Path::new(path));
        }
        match at_github(text) {
            Some(name) => Ok(Self::GitHub(name)),
            None => RepositoryName::parse(text).map(Self::GitHub).map_err(|unfit| {
                format!("{unfit}; a repository of your own is named by its path, such as `/srv/git/blog.git`")
            }),
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> &RepositoryName {
        match self {
            Self::GitHub(name) | Self::Here(name, _) => name,
        }
    }
}

fn is_path(text: &str) -> bool {
    ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start)) || [".", ".."].contains(&text)
}

fn here(path: &Path) -> Result<Origin, String> {
    let shown = path.display();
    let home = path.strip_prefix("~").ok().zip(std::env::home_dir()).map(|(rest, home)| home.join(rest));
    let path = absolute(home.as_deref().unwrap_or(path)).map_err(|error| format!("`{shown}`: {error}"))?;
    let repository = Repository { path: &path };
    let is_bare = repository
        .git(&["rev-parse", "--is-bare-repository"])
        .map_err(|trouble| format!("{trouble}; `git init --bare {shown}` makes one that pushes go to"))?;
    if is_bare.trim() != "true" {
        return Err(format!(
            "`{shown}` is somebody's working copy: pushes go to a bare repository, and `git clone --bare {shown} \
             PATH.git` makes one of it"
        ));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = RepositoryName::parse(format!("{OWNER}/{stem}")).map_err(|unfit| unfit.to_string())?;
    Ok(Origin::Here(name, path))
}

/// `acme/shop` of `git@github.com:acme/shop.git` or `https://github.com/acme/shop`; of no other kind of address.
pub(super) fn at_github(url: &str) -> Option<RepositoryName> {
    let (_, path) = url.split_once(':')?;
    let path = match path.strip_prefix("//") {
        Some(rest) => rest.split_once('/')?.1,
        None => path,
    };
    RepositoryName::parse(path.trim_end_matches('/').trim_end_matches(".git")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_at_github_is_known_by_its_name_or_by_where_git_fetches_it() {
        for (text, name) in [
            ("acme/shop", Some("acme/shop")),
            ("git@github.com:acme/shop.git", Some("acme/shop")),
            ("https://github.com/acme/shop", Some("acme/shop")),
            ("https://ann@ghe.example.com/acme/shop.git/", Some("acme/shop")),
            ("ssh://git@github.com:22/acme/shop.git", Some("acme/shop")),
            ("shop", None),
            ("https://github.com/acme", None),
        ] {
            let parsed = Origin::parse(text);
            assert_eq!(parsed.as_ref().ok().map(|it| it.name().to_string()).as_deref(), name, "{text}: {parsed:?}");
        }
    }

    #[test]
    fn one_on_this_machine_has_to_be_there_and_bare() {
        let dir = tempfile::tempdir().unwrap();
        let in_dir = Repository { path: dir.path() };
        in_dir.git(&["init", "--quiet", "--bare", "blog.git"]).unwrap();
        in_dir.git(&["init", "--quiet", "work"]).unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let (bare, name) = (at("blog.git"), RepositoryName::parse("local/blog").unwrap());
        for text in [bare.clone(), format!("file://{bare}")] {
            assert_eq!(Origin::parse(&text), Ok(Origin::Here(name.clone(), bare.clone().into())));
        }
        for (text, says) in [
            (at("work"), "working copy: pushes go to a bare repository"),
            (at("none.git"), "is not a git repository; `git init --bare"),
        ] {
            let why = Origin::parse(&text).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
    }
}
