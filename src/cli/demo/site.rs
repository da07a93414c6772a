//! The demo's sample repository: a page, an AppSpec, four hook scripts, and the bare repository that it is pushed to.
//! Everything is made by the git command, as a person would; nothing here deploys.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::clients::process;
use crate::domain::plainly;

/// What the page says, one word a revision. The last one lacks what `ValidateService` looks for.
const PAGES: [(&str, &str); 3] = [
    ("Say hello", "<!doctype html>\n<title>Landfall demo</title>\n<h1>Hello from the first push</h1>\n"),
    ("Say hello again", "<!doctype html>\n<title>Landfall demo</title>\n<h1>Hello from the second push</h1>\n"),
    ("Lose the title", "<!doctype html>\n<h1>Hello from a page without a title</h1>\n"),
];

const BEFORE_INSTALL: &str = "#!/bin/sh\nset -eu\necho \"making room for $APPLICATION_NAME\"\n";
const AFTER_INSTALL: &str =
    "#!/bin/sh\nset -eu\necho \"$BUNDLE_COMMIT\" > \"@WWW@/revision.txt\"\necho \"stamped revision.txt\"\n";
const APPLICATION_START: &str = "#!/bin/sh\nset -eu\necho \"nothing to start: the page is a file\"\n";
const VALIDATE: &str = "#!/bin/sh\nset -eu\nif grep -q '<title>' \"@WWW@/index.html\"; then\n  echo \"the page has a title\"\nelse\n  echo \"index.html has no <title>: refusing it\" >&2\n  exit 1\nfi\n";

const APPSPEC: &str = "\
version: 0.0
os: linux
files:
  - source: site
    destination: @WWW@
hooks:
  BeforeInstall:
    - location: scripts/before_install.sh
      timeout: 30
  AfterInstall:
    - location: scripts/after_install.sh
      timeout: 30
  ApplicationStart:
    - location: scripts/application_start.sh
      timeout: 30
  ValidateService:
    - location: scripts/validate.sh
      timeout: 30
";

/// The demo's directory, with everything in it.
pub(super) struct Site {
    dir: PathBuf,
}

impl Site {
    /// Makes the bare repository, a clone to work in, and the files of the first revision.
    pub(super) fn make(dir: &Path) -> Result<Self> {
        let this = Self { dir: dir.to_owned() };
        for folder in [this.clone_dir().join("site"), this.clone_dir().join("scripts"), this.www()] {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        }
        this.git(&["init", "--quiet", "--bare", "--initial-branch=main", "site.git"], dir)?;
        this.git(&["init", "--quiet", "--initial-branch=main"], &this.clone_dir())?;
        this.git(&["remote", "add", "origin", &this.bare().display().to_string()], &this.clone_dir())?;
        let scripts = [
            ("before_install.sh", BEFORE_INSTALL),
            ("after_install.sh", AFTER_INSTALL),
            ("application_start.sh", APPLICATION_START),
            ("validate.sh", VALIDATE),
        ];
        for (name, text) in scripts {
            this.write(&format!("scripts/{name}"), text, 0o755)?;
        }
        this.write("appspec.yml", APPSPEC, 0o644)?;
        Ok(this)
    }

    /// The bare repository that pushes go to.
    pub(super) fn bare(&self) -> PathBuf {
        self.dir.join("site.git")
    }

    /// Where the page is deployed to.
    pub(super) fn www(&self) -> PathBuf {
        self.dir.join("www")
    }

    fn clone_dir(&self) -> PathBuf {
        self.dir.join("site")
    }

    /// Has the bare repository tell the bot of every push, as a person's own server would.
    pub(super) fn install_hook(&self, program: &Path, url: &str, secret_file: &Path, repository: &str) -> Result<()> {
        let [program, secret_file, bare] =
            [program, secret_file, &self.bare()].map(|path| quoted(&path.display().to_string()));
        let hook = format!(
            "#!/bin/sh\nexec {program} send push --post-receive --repo {bare} --name {repository} --url {url} --secret-file {secret_file}\n"
        );
        write(&self.bare().join("hooks/post-receive"), &hook, 0o755)
    }

    /// Commits revision `number`, from 0, and gives its sha and title.
    pub(super) fn commit(&self, number: usize) -> Result<(String, &'static str)> {
        let Some((title, page)) = PAGES.get(number) else { bail!("the demo has {} revisions", PAGES.len()) };
        self.write("site/index.html", page, 0o644)?;
        self.git(&["add", "--all"], &self.clone_dir())?;
        self.git(&["commit", "--quiet", "--message", title], &self.clone_dir())?;
        Ok((self.git(&["rev-parse", "HEAD"], &self.clone_dir())?.trim().to_owned(), title))
    }

    /// Pushes, which runs the hook.
    pub(super) fn push(&self) -> Result<()> {
        self.git(&["push", "--quiet", "origin", "main"], &self.clone_dir()).map(|_| ())
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> Result<()> {
        let text = text.replace("@WWW@", &self.www().display().to_string());
        write(&self.clone_dir().join(name), &text, mode)
    }

    fn git(&self, arguments: &[&str], dir: &Path) -> Result<String> {
        let mut git = process::blocking_program("git");
        git.args(["-c", "user.name=Landfall demo", "-c", "user.email=demo@landfall.invalid"]);
        git.args(["-c", "commit.gpgsign=false", "-c", "core.hooksPath=hooks", "-c", "init.templateDir="]);
        git.args(arguments).current_dir(dir);
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            git.env_remove(name);
        }
        let output = git.output().map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let why = if missing { "it is not on the PATH, install it".to_owned() } else { plainly(&error) };
            anyhow!("cannot run `git`, which the demo needs: {why}")
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            bail!("`git {}` ended with {}: {}", arguments.join(" "), output.status, said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let cannot = || format!("cannot write `{}`", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(cannot)?;
    }
    fs::write(path, text).with_context(cannot)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(cannot)
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
