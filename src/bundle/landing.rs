//! Where the files of a bundle would land: what meets what, and what `permissions` says of it. It knows no host, so
//! that what lies there already is left to the engine.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::appspec::{FileMapping, Os, Permission, ServerSpec, Spoken};
use crate::domain::Finding;

use super::path::EntryPath;
use super::refusals::Refusals;
use super::tree::{Key, Kind, key};

/// Directories in which people mean a file when they write a name.
const DIRECTORIES_OF_FILES: [&str; 15] = [
    "/var/spool/cron/crontabs",
    "/var/spool/cron",
    "/etc",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/sudoers.d",
    "/etc/logrotate.d",
    "/etc/profile.d",
    "/etc/init.d",
    "/etc/systemd/system",
    "/etc/nginx/conf.d",
    "/etc/nginx/sites-available",
    "/usr/bin",
    "/usr/local/bin",
];
/// What Windows allows a path, unless somebody changed that.
const WINDOWS_PATH: usize = 260;

/// One item of `files`, ready to be asked where an entry goes.
struct Mapping {
    source: EntryPath,
    destination: String,
    written: FileMapping,
    /// The source turned out to be one file.
    single: bool,
}

/// One item of `permissions`, and what came of it.
struct Watched {
    permission: Permission,
    matched: bool,
    /// Something was said already, so that having matched nothing is no news.
    told: bool,
    deep: Option<String>,
}

/// What lands where.
#[derive(Default)]
pub(super) struct Landings {
    mappings: Vec<Mapping>,
    permissions: Vec<Watched>,
    windows: bool,
    /// What was put where by which item; kept only where two items can meet.
    taken: Option<HashMap<Key, (usize, bool)>>,
    /// Directories made for a destination, of which each is looked at once.
    made: HashSet<String>,
    found: Vec<Finding>,
    /// By the two items and the attribute: the first path, and how many more.
    overlaps: BTreeMap<(usize, usize, &'static str), (String, usize)>,
    longest: Option<String>,
}

impl Landings {
    pub(super) fn new(spec: Option<&ServerSpec>) -> Self {
        let Some(spec) = spec else { return Self::default() };
        let mappings: Vec<Mapping> = spec
            .files
            .iter()
            .filter_map(|file| {
                Some(Mapping {
                    source: EntryPath::from_written(&spec.in_bundle(&file.source))?,
                    destination: destination(file, spec.os),
                    written: file.clone(),
                    single: false,
                })
            })
            .collect();
        let watched = |permission: &Permission| Watched {
            permission: permission.clone(),
            matched: false,
            told: false,
            deep: None,
        };
        let mut this = Self {
            taken: can_meet(&mappings).then(HashMap::new),
            mappings,
            permissions: spec.permissions.iter().map(watched).collect(),
            windows: spec.os == Os::Windows,
            ..Self::default()
        };
        for index in 0..this.mappings.len() {
            this.make(index);
        }
        this
    }

    /// The destination and what is above it, which are made where they are not (R56).
    fn make(&mut self, mapping: usize) {
        let whole = self.mappings[mapping].destination.clone();
        let ends = whole.match_indices('/').map(|(at, _)| at).chain([whole.len()]).filter(|at| *at > 0);
        for end in ends {
            if self.made.insert(whole[..end].to_owned()) {
                self.land(mapping, &whole[..end], true);
            } else if let Some(taken) = &mut self.taken {
                taken.entry(key(&whole.as_bytes()[..end])).or_insert((mapping, true));
            }
        }
    }

    /// Whether some item copies this entry.
    pub(super) fn installs(&self, path: &EntryPath) -> bool {
        self.mappings.iter().any(|mapping| mapping.source == *path || mapping.source.holds(path))
    }

    /// Takes an entry of the bundle.
    pub(super) fn enter(&mut self, path: &EntryPath, kind: Kind) {
        for index in 0..self.mappings.len() {
            let mapping = &mut self.mappings[index];
            let rest = if mapping.source == *path && kind != Kind::Directory {
                mapping.single = true;
                String::from_utf8_lossy(path.name()).into_owned()
            } else if mapping.source.holds(path) {
                match path.below(&mapping.source) {
                    Some(rest) => rest.text().into_owned(),
                    None => continue,
                }
            } else {
                continue;
            };
            let at = format!("{}/{rest}", mapping.destination);
            self.land(index, &at, kind == Kind::Directory);
        }
    }

    fn land(&mut self, mapping: usize, at: &str, directory: bool) {
        if self.windows && at.len() > WINDOWS_PATH && self.longest.is_none() {
            self.longest = Some(at.to_owned());
        }
        self.meet(mapping, at, directory);
        self.apply(at, directory);
    }

    /// R58, R59: one path has one source, and is a file or a directory.
    fn meet(&mut self, mapping: usize, at: &str, directory: bool) {
        let Some(taken) = &mut self.taken else { return };
        let Some((first, was_directory)) = taken.insert(key(at.as_bytes()), (mapping, directory)) else { return };
        if directory && was_directory {
            return;
        }
        let (one, other) = (first.min(mapping), first.max(mapping));
        let from = |index: usize| {
            let mapping = &self.mappings[index];
            format!("item {} (line {}, source `{}`)", index + 1, mapping.written.place.line, mapping.written.source)
        };
        let both = if one == other { from(one) } else { format!("{} and {}", from(one), from(other)) };
        let (code, message) = if directory == was_directory {
            ("bundle/two-sources", format!("`{at}` has two sources: {both} of `files`"))
        } else {
            ("bundle/file-and-directory", format!("`{at}` would be both a file and a directory: {both} of `files`"))
        };
        let place = self.mappings[other].written.place.clone();
        let finding = Finding::error(code, message).at(place);
        self.found
            .push(finding.help("give one of them another `destination`, or copy a directory that holds only one"));
    }

    fn apply(&mut self, at: &str, directory: bool) {
        let mut matched: Vec<usize> = Vec::new();
        for (index, watched) in self.permissions.iter_mut().enumerate() {
            let of = |message: String| {
                Finding::error("bundle/permission-file", message).at(watched.permission.place.clone())
            };
            match watched.permission.speaks_of(at, directory) {
                Spoken::Not => {}
                Spoken::Of => {
                    watched.matched = true;
                    matched.push(index);
                }
                Spoken::OfDeep => {
                    watched.matched = true;
                    matched.push(index);
                    watched.deep.get_or_insert_with(|| at.to_owned());
                }
                // It may be there before; only what is beneath it matters.
                Spoken::Itself => {}
                Spoken::FileWithPattern => {
                    watched.told = true;
                    let message =
                        format!("`{at}` is a file, so `pattern` and `except` of item {} mean nothing", index + 1);
                    self.found.push(of(message).help("remove them, or let `object` name the directory"));
                }
                Spoken::OtherType => {
                    watched.told = true;
                    let message = format!("`{at}` is a file, and `type` of item {} leaves files out", index + 1);
                    let finding = Finding::warning("bundle/permission-type", message);
                    let place = watched.permission.place.clone();
                    self.found.push(finding.at(place).help("write `type: [file]`, or remove `type`"));
                }
            }
        }
        for (position, one) in matched.iter().enumerate() {
            for other in &matched[position + 1..] {
                self.clash(*one, *other, at);
            }
        }
    }

    /// R81: two items may not set one attribute of one thing.
    fn clash(&mut self, one: usize, other: usize, at: &str) {
        let attributes: Vec<&str> = self.permissions[one].permission.attributes().collect();
        let common = self.permissions[other].permission.attributes().find(|it| attributes.contains(it));
        let entry = self.overlaps.entry((one, other, common.unwrap_or_default()));
        entry.and_modify(|(_, more)| *more += 1).or_insert_with(|| (at.to_owned(), 0));
    }

    /// What a link in the bundle becomes when it is installed. `end` is where it leads, in the bundle.
    pub(super) fn check_link(&self, path: &EntryPath, end: &EntryPath, directory: bool, refusals: &mut Refusals) {
        let Some(mapping) = self.mappings.iter().find(|it| it.source == *path || it.source.holds(path)) else { return };
        let source = &mapping.source;
        if source == path && directory {
            return;
        }
        let place = mapping.written.place.clone();
        if !(source.holds(end) || source == end) {
            let message = format!("link `{}` is installed without `{}`, which it points to", path.shown(), end.shown());
            let finding = Finding::warning("bundle/link-alone", message).at(place);
            refusals.push(finding.help("install both by one item of `files`, or commit the file itself"));
        } else if directory {
            let message = format!("link `{}` to a directory becomes a copy of it by AWS's agent", path.shown());
            let finding = Finding::portability("bundle/link-directory", message).at(place);
            refusals.push(finding.help("make the link in a hook, if it must be one with both engines"));
        }
    }

    /// Says what everything together came to.
    pub(super) fn check(&self, refusals: &mut Refusals) {
        self.found.iter().cloned().for_each(|finding| refusals.push(finding));
        self.mappings.iter().filter(|it| it.single).filter_map(named_like_a_file).for_each(|it| refusals.push(it));
        self.mappings.iter().filter_map(whole_bundle).for_each(|finding| refusals.push(finding));
        self.check_permissions(refusals);
        if let Some(path) = &self.longest {
            let message = format!("`{path}` is {} characters long, and Windows allows {WINDOWS_PATH}", path.len());
            let finding = Finding::warning("bundle/windows-path", message);
            refusals
                .push(finding.help("shorten `destination`, or let the host take long paths (agent 1.4.0 or later)"));
        }
    }

    fn check_permissions(&self, refusals: &mut Refusals) {
        for (index, Watched { permission, matched, told, deep }) in self.permissions.iter().enumerate() {
            let object = permission.object.trim_end_matches('/');
            let near =
                self.mappings.iter().any(|it| is_below(object, &it.destination) || is_below(&it.destination, object));
            if !matched && !told && near {
                let message =
                    format!("item {} of `permissions` matches nothing that is installed at `{object}`", index + 1);
                let finding = Finding::warning("bundle/permission-unmatched", message).at(permission.place.clone());
                refusals.push(finding.help(
                    "correct `object`, `pattern` or `type`; git keeps no empty directories, and what hooks make is left alone",
                ));
            }
            if let Some(path) = deep {
                let message =
                    format!("AWS's agent matches `pattern` directly in `{object}` only, and so leaves `{path}` alone");
                let finding = Finding::portability("bundle/permission-deep", message).at(permission.place.clone());
                refusals.push(finding.help("add an item whose `object` is the directory that holds it"));
            }
        }
        for ((one, other, attribute), (path, more)) in &self.overlaps {
            let things = if *more == 0 { format!("`{path}`") } else { format!("`{path}` and {more} more") };
            let items = format!("items {} and {} of `permissions`", one + 1, other + 1);
            let finding = if attribute.is_empty() {
                let message = format!("{items} both speak of {things}, which AWS's agent refuses");
                Finding::portability("bundle/permission-twice", message)
            } else {
                let message = format!("{items} both set the {attribute} of {things}");
                Finding::error("bundle/permission-overlap", message)
            };
            let place = self.permissions[*other].permission.place.clone();
            refusals.push(finding.at(place).help("put them into one, or narrow one with `except`"));
        }
    }
}

fn destination(file: &FileMapping, os: Os) -> String {
    let slashed = if os == Os::Windows { file.destination.replace('\\', "/") } else { file.destination.clone() };
    let parts: Vec<&str> = slashed.split('/').filter(|part| !part.is_empty()).collect();
    if slashed.starts_with('/') {
        format!("/{}", parts.join("/")).trim_end_matches('/').to_owned()
    } else {
        parts.join("/")
    }
}

/// Whether two items can put something at one path at all.
fn can_meet(mappings: &[Mapping]) -> bool {
    let pair = |(at, one): (usize, &Mapping)| {
        mappings[at + 1..].iter().any(|other| {
            is_below(&one.destination, &other.destination) || is_below(&other.destination, &one.destination)
        })
    };
    mappings.iter().enumerate().any(pair)
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// F11, E45: `destination` is a directory, also where a file was meant.
fn named_like_a_file(mapping: &Mapping) -> Option<Finding> {
    let FileMapping { source, destination, place } = &mapping.written;
    if destination.ends_with('/') {
        return None;
    }
    let (parent, last) = mapping.destination.rsplit_once('/')?;
    let name = String::from_utf8_lossy(mapping.source.name()).into_owned();
    let ending = |name: &str| name.rsplit_once('.').map(|(_, ending)| ending.to_owned()).filter(|it| !it.is_empty());
    let alike = last == name || (ending(&name).is_some() && ending(last) == ending(&name));
    if !alike && !DIRECTORIES_OF_FILES.contains(&parent) {
        return None;
    }
    let message = format!(
        "`{source}` will be installed as `{}/{name}`: `destination` is always a directory",
        mapping.destination
    );
    let help = if last == name {
        format!("write `destination: {}`", if parent.is_empty() { "/" } else { parent })
    } else {
        format!("name the source `{last}` and write `destination: {parent}`; end it with `/` if the directory is meant")
    };
    Some(Finding::warning("bundle/directory-destination", message).at(place.clone()).help(help))
}

/// The AppSpec and the scripts are installed too.
fn whole_bundle(mapping: &Mapping) -> Option<Finding> {
    let Mapping { source, written: FileMapping { place, .. }, .. } = mapping;
    let message = "the whole bundle is installed, and with it the AppSpec and the scripts";
    let finding = Finding::style("bundle/whole-bundle", message).at(place.clone());
    source.is_root().then(|| finding.help("name what is to be copied, if nobody should find the rest there"))
}
