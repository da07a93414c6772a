//! What lies where in the bundle, in a few bytes an entry: for duplicates, links, and what must be there. It writes
//! nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::{Digest, Sha256};

use crate::appspec::{Os, ServerSpec};
use crate::domain::{BundleFormat, Finding, Place};

use super::landing::Landings;
use super::path::{End, EntryPath, Unsafe, follow};
use super::refusals::Refusals;

/// Half a SHA-256 stands for a path: nobody makes two of the same, and a million fit in memory.
pub(super) type Key = [u8; 16];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
}

/// The bundle so far.
pub(super) struct Tree {
    kinds: HashMap<Key, Kind>,
    /// Only for zip, whose readers may not tell `A` from `a`.
    folded: Option<HashSet<Key>>,
    links: BTreeMap<EntryPath, Vec<u8>>,
    scripts: Vec<Wanted>,
    sources: Vec<Wanted>,
    app_specs: Vec<String>,
}

/// A hook script or a source that must be there, and what was seen that resembles it.
struct Wanted {
    written: String,
    path: Option<EntryPath>,
    place: Place,
    /// A BeforeInstall script may make it (R2).
    may_come: bool,
    resembles: Option<String>,
    /// What to do, where it lies there and a rule keeps it out.
    left_out: Option<&'static str>,
}

impl Wanted {
    fn new(written: &str, in_bundle: &str, place: &Place, may_come: bool) -> Self {
        Self {
            // A path that leads out is one even where its letters were put in order.
            path: EntryPath::from_written(in_bundle),
            written: written.trim().to_owned(),
            place: place.clone(),
            may_come,
            resembles: None,
            left_out: None,
        }
    }

    /// What is missing, as bad as it is.
    fn missing(&self, code: &str, message: String) -> Finding {
        let finding = if self.may_come {
            Finding::warning(code, format!("{message}, unless a BeforeInstall script makes it"))
        } else {
            Finding::error(code, message)
        };
        finding.at(self.place.clone())
    }
}

pub(super) fn key(bytes: &[u8]) -> Key {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(bytes)[..16]);
    key
}

impl Tree {
    pub(super) fn new(spec: Option<&ServerSpec>, format: BundleFormat) -> Self {
        let mut scripts: Vec<Wanted> = Vec::new();
        let mut sources = Vec::new();
        if let Some(spec) = spec {
            let prepares = !spec.scripts_of("BeforeInstall").is_empty();
            for hook in &spec.hooks {
                let may_come = prepares && hook.event != "BeforeInstall";
                for script in &hook.scripts {
                    let slashed = if spec.os == Os::Windows {
                        script.location.replace('\\', "/")
                    } else {
                        script.location.clone()
                    };
                    let wanted = Wanted::new(&script.location, &slashed, &script.place, may_come);
                    match scripts.iter_mut().find(|known| known.written == wanted.written) {
                        Some(known) => known.may_come &= may_come,
                        None => scripts.push(wanted),
                    }
                }
            }
            sources.extend(spec.files.iter().map(|file| {
                let slashed = if spec.os == Os::Windows { file.source.replace('\\', "/") } else { file.source.clone() };
                Wanted::new(&file.source, &slashed, &file.place, prepares)
            }));
        }
        scripts.sort_by(|one, other| one.written.cmp(&other.written));
        Self {
            kinds: HashMap::new(),
            folded: (format == BundleFormat::Zip).then(HashSet::new),
            links: BTreeMap::new(),
            scripts,
            sources,
            app_specs: Vec::new(),
        }
    }

    /// Takes an entry, unless there is one of that name, or its directory is none.
    pub(super) fn enter(&mut self, path: &EntryPath, kind: Kind) -> Result<(), Unsafe> {
        if self.kinds.contains_key(&key(path.bytes())) {
            return Err(Unsafe::new("bundle/duplicate", "is in the archive twice"));
        }
        if let Some(folded) = &mut self.folded
            && !folded.insert(key(path.text().to_lowercase().as_bytes()))
        {
            let why = "differs from another entry only in case, which Windows does not tell apart";
            return Err(Unsafe::new("bundle/duplicate", why));
        }
        for above in path.up().skip(1) {
            match self.kinds.get(&key(above.bytes())) {
                // Whatever is above a directory that was entered was looked at then.
                Some(Kind::Directory) => break,
                Some(Kind::File) => {
                    return Err(Unsafe::new(
                        "bundle/duplicate",
                        format!("lies below `{}`, which is a file", above.shown()),
                    ));
                }
                Some(Kind::Link) => {
                    return Err(Unsafe::new(
                        "bundle/link-escapes",
                        format!("lies below `{}`, which is a link", above.shown()),
                    ));
                }
                None => {}
            }
        }
        self.kinds.insert(key(path.bytes()), kind);
        self.resemble(path, kind);
        Ok(())
    }

    fn resemble(&mut self, path: &EntryPath, kind: Kind) {
        for wanted in &mut self.sources {
            let Some(source) = wanted.path.as_ref().filter(|it| *it != path && wanted.resembles.is_none()) else {
                continue;
            };
            let same = source.bytes().eq_ignore_ascii_case(path.bytes());
            if same || (!source.is_root() && source.name() == path.name() && kind == Kind::File) {
                wanted.resembles = Some(path.shown());
            }
        }
        if kind == Kind::Directory {
            return;
        }
        let name = path.name();
        let resembles = [&b"appspec.yml"[..], b"appspec.yaml"].iter().any(|it| name.eq_ignore_ascii_case(it));
        if resembles && self.app_specs.len() < 8 {
            self.app_specs.push(path.shown());
        }
        for wanted in &mut self.scripts {
            let Some(script) = &wanted.path else { continue };
            if script.name().eq_ignore_ascii_case(name) && script != path && wanted.resembles.is_none() {
                wanted.resembles = Some(path.shown());
            }
        }
    }

    /// Takes a link, unless its target leaves the bundle whatever else is in it.
    pub(super) fn link(&mut self, path: &EntryPath, target: &[u8]) -> Result<(), Unsafe> {
        self.enter(path, Kind::Link)?;
        if target.is_empty() || target.contains(&0) {
            return Err(Unsafe::new("bundle/link-escapes", "is a link to nothing"));
        }
        if target.contains(&b'\\') && self.folded.is_some() {
            return Err(Unsafe::new("bundle/link-escapes", "is a link with a backslash in it"));
        }
        self.links.insert(path.clone(), target.to_vec());
        Ok(())
    }

    /// How many links there are.
    pub(super) fn links(&self) -> usize {
        self.links.len()
    }

    /// Whether a hook starts this file.
    pub(super) fn is_script(&self, path: &EntryPath) -> bool {
        self.scripts.iter().any(|wanted| wanted.path.as_ref() == Some(path))
    }

    /// Notes what does not come into the bundle, for the help line.
    pub(super) fn leave_out(&mut self, path: &EntryPath, help: &'static str) {
        for wanted in self.scripts.iter_mut().chain(&mut self.sources) {
            let Some(it) = wanted.path.as_ref().filter(|it| !it.is_root()) else { continue };
            if it == path || path.holds(it) || it.holds(path) {
                wanted.left_out.get_or_insert(help);
            }
        }
    }

    /// Takes back a directory of which nothing was kept.
    pub(super) fn forget(&mut self, path: &EntryPath) {
        self.kinds.remove(&key(path.bytes()));
    }

    /// What stands there, links followed.
    pub(super) fn find(&self, path: &EntryPath) -> Option<Kind> {
        let root = EntryPath::from_written("")?;
        match follow(&root, path.bytes(), |at| self.links.get(at).map(Vec::as_slice)) {
            End::Inside(path) if path.is_root() => Some(Kind::Directory),
            End::Inside(path) => self.kinds.get(&key(path.bytes())).copied(),
            End::Outside | End::Circle => None,
        }
    }

    /// Looks at everything that can only be known at the end. `below` is whether the root is a directory of the
    /// repository and not its top.
    pub(super) fn check(&self, below: bool, landings: &Landings, refusals: &mut Refusals) {
        self.check_links(landings, refusals);
        self.check_app_spec(below, refusals);
        self.scripts.iter().for_each(|wanted| self.check_script(wanted, refusals));
        self.sources.iter().for_each(|wanted| self.check_source(wanted, refusals));
    }

    fn check_source(&self, wanted: &Wanted, refusals: &mut Refusals) {
        let Wanted { written, path, resembles, left_out, .. } = wanted;
        let found = path.as_ref().and_then(|path| self.find(path));
        let message = match found {
            Some(Kind::File) if written.ends_with('/') => {
                let message = format!("`files` source `{written}` is a file, and a trailing `/` is for directories");
                let finding = Finding::error("bundle/source-not-directory", message).at(wanted.place.clone());
                return refusals.push(finding.help(format!("write `{}`", written.trim_end_matches('/'))));
            }
            Some(_) => return,
            None => format!("`files` source `{written}` is not in the bundle"),
        };
        let finding = wanted.missing("bundle/source-missing", message);
        refusals.push(match (left_out, resembles) {
            (Some(help), _) => finding.help(*help),
            (None, Some(other)) => finding.help(format!("write `{other}`, if that is the one")),
            (None, None) => finding.help(
                "write it relative to the bundle's root, as git has it; directories without files are not in git",
            ),
        });
    }

    fn check_links(&self, landings: &Landings, refusals: &mut Refusals) {
        for (path, target) in &self.links {
            let (shown, target_shown) = (path.shown(), super::path::shown(target));
            match follow(&path.parent(), target, |at| self.links.get(at).map(Vec::as_slice)) {
                End::Outside => refusals.push(
                    Finding::error(
                        "bundle/link-escapes",
                        format!("link `{shown}` leads out of the bundle: `{target_shown}`"),
                    )
                    .help("let it point to something inside the bundle's root, or exclude it"),
                ),
                End::Circle => refusals.push(Finding::warning(
                    "bundle/link-broken",
                    format!("link `{shown}` leads in a circle: `{target_shown}`"),
                )),
                End::Inside(end) if end.is_root() || self.kinds.contains_key(&key(end.bytes())) => {
                    let directory = end.is_root() || self.kinds.get(&key(end.bytes())) == Some(&Kind::Directory);
                    landings.check_link(path, &end, directory, refusals);
                }
                End::Inside(_) => refusals.push(Finding::warning(
                    "bundle/link-broken",
                    format!("link `{shown}` points to `{target_shown}`, which is not in the bundle"),
                )),
            }
        }
    }

    fn check_app_spec(&self, below: bool, refusals: &mut Refusals) {
        let at_root = |name| EntryPath::from_written(name).is_some_and(|path| self.find(&path) == Some(Kind::File));
        match (at_root("appspec.yml"), at_root("appspec.yaml")) {
            (true, true) => {
                let message = "there are both an appspec.yml and an appspec.yaml in the root";
                return refusals.push(
                    Finding::error("bundle/appspec-double", message)
                        .help("remove one: which one is read differs between engines"),
                );
            }
            (true, false) => return,
            (false, true) => {
                let message = "the AppSpec is named appspec.yaml, which AWS's agent reads from version 1.3.2 on";
                return refusals.push(Finding::portability("bundle/appspec-yaml", message).help("name it appspec.yml"));
            }
            (false, false) => {}
        }
        let root = if below { "bundle's root" } else { "repository's root" };
        refusals.push(match self.app_specs.split_first() {
            None => Finding::error("bundle/appspec-missing", format!("there is no appspec.yml in the {root}"))
                .help("add an appspec.yml; `landfall init` writes one to begin with"),
            Some((one, _)) if !one.contains('/') => {
                Finding::error("bundle/appspec-missing", format!("there is no appspec.yml in the {root}, only `{one}`"))
                    .help(format!("rename `{one}` to `appspec.yml`: the name must be written so"))
            }
            Some((one, more)) => {
                let others = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
                let message = format!("there is no appspec.yml in the {root}, but `{one}`{others} below it");
                let directory = one.rsplit_once('/').map_or("", |(directory, _)| directory);
                Finding::error("bundle/appspec-nested", message)
                    .help(format!("move it to the root, or set `root = \"{directory}\"` in [target.bundle]"))
            }
        });
    }

    fn check_script(&self, wanted: &Wanted, refusals: &mut Refusals) {
        let Wanted { written, path, resembles, left_out, .. } = wanted;
        let finding = match path.as_ref().map(|path| self.find(path)) {
            Some(Some(Kind::File)) => return,
            Some(Some(Kind::Directory)) => {
                let message = format!("hook script `{written}` is a directory");
                Finding::error("bundle/script-missing", message).at(wanted.place.clone())
            }
            None => {
                let message = format!("hook script `{written}` is outside the bundle");
                Finding::error("bundle/script-missing", message).at(wanted.place.clone())
            }
            Some(Some(Kind::Link) | None) => {
                wanted.missing("bundle/script-missing", format!("hook script `{written}` is not in the bundle"))
            }
        };
        refusals.push(match (left_out, resembles) {
            (Some(help), _) => finding.help(*help),
            (None, Some(other)) => finding.help(format!("write `{other}`, if that is the one")),
            (None, None) if written.starts_with('/') => {
                finding.help("write it relative to the bundle's root: a leading `/` means that root, not the machine's")
            }
            (None, None) => finding.help("commit it, or correct `location` in appspec.yml"),
        });
    }
}
