//! What an AppSpec and the bundle's contents say together: every row of the bundle's checks, from an archive on its
//! way to the store and from a listed tree, which find the same.

use std::cell::RefCell;
use std::collections::BTreeMap;

use landfall::appspec::{AppSpec, ServerSpec, parse_what_can_be};
use landfall::bundle::{BundleError, Limits, Seen, inspect, rebundle};
use landfall::domain::{BundleFormat, Finding};
use tar::EntryType;

use super::{Hand, SHA, request};

/// A tree: paths, and what lies there.
#[derive(Default)]
struct Trunk(BTreeMap<String, Leaf>);

#[derive(Clone)]
enum Leaf {
    File(Vec<u8>, bool),
    Link(String),
    Empty,
}

impl Trunk {
    fn file(mut self, path: &str, text: &str) -> Self {
        self.0.insert(path.into(), Leaf::File(text.into(), false));
        self
    }

    fn script(mut self, path: &str, text: &str) -> Self {
        self.0.insert(path.into(), Leaf::File(text.into(), true));
        self
    }

    fn link(mut self, path: &str, target: &str) -> Self {
        self.0.insert(path.into(), Leaf::Link(target.into()));
        self
    }

    fn empty(mut self, path: &str) -> Self {
        self.0.insert(path.into(), Leaf::Empty);
        self
    }

    /// Every directory, then what is in it.
    fn listed(&self) -> BTreeMap<String, Option<Leaf>> {
        let mut all: BTreeMap<String, Option<Leaf>> = BTreeMap::new();
        for (path, leaf) in &self.0 {
            path.match_indices('/').for_each(|(at, _)| drop(all.insert(path[..at].to_owned(), None)));
            all.insert(path.clone(), Some(leaf.clone()));
        }
        all
    }

    fn archive(&self) -> Vec<u8> {
        let mut hand = Hand::new();
        for (path, leaf) in self.listed() {
            let path = format!("top/{path}");
            match leaf {
                None | Some(Leaf::Empty) => {
                    hand.add(EntryType::Directory, format!("{path}/").as_bytes(), b"", b"");
                }
                Some(Leaf::Link(target)) => {
                    hand.link(&path, &target);
                }
                Some(Leaf::File(data, executable)) => {
                    let at = hand.0.len();
                    hand.add(EntryType::Regular, path.as_bytes(), b"", &data);
                    if executable {
                        let mut header = tar::Header::new_ustar();
                        header.as_mut_bytes().copy_from_slice(&hand.0[at..at + 512]);
                        header.set_mode(0o775);
                        header.set_cksum();
                        hand.0[at..at + 512].copy_from_slice(header.as_bytes());
                    }
                }
            }
        }
        hand.done()
    }

    fn seen(&self) -> Vec<Seen> {
        let seen = |(path, leaf): (String, Option<Leaf>)| match leaf {
            None => Seen::Directory { path: path.into() },
            Some(Leaf::Empty) => Seen::Empty { path: path.into() },
            Some(Leaf::Link(target)) => Seen::Link { path: path.into(), target: target.into() },
            Some(Leaf::File(data, executable)) => {
                Seen::File { path: path.into(), bytes: data.len() as u64, executable }
            }
        };
        self.listed().into_iter().map(seen).collect()
    }
}

fn server(body: &str) -> ServerSpec {
    let text = format!("version: 0.0\nos: linux\n{body}");
    let (spec, findings) = parse_what_can_be(text.as_bytes(), "appspec.yml");
    let Some(AppSpec::Server(spec)) = spec else { panic!("no server AppSpec: {findings}") };
    spec
}

fn told(findings: &[Finding]) -> Vec<String> {
    let one = |it: &Finding| {
        let place = it.place.as_ref().map(|it| format!(" {}:{}", it.file, it.line)).unwrap_or_default();
        format!("{:?} {}{place}", it.severity, it.code.trim_start_matches("bundle/"))
    };
    findings.iter().map(one).collect()
}

/// The findings both ways, which must agree.
#[track_caller]
fn findings(body: &str, trunk: Trunk) -> Vec<Finding> {
    let trunk = trunk.file("appspec.yml", "version: 0.0\n");
    let spec = server(body);
    let opened = RefCell::new(Vec::new());
    let looked = inspect(Some(&spec), BundleFormat::Tgz, "", trunk.seen(), |path| {
        let path = String::from_utf8_lossy(path).into_owned();
        opened.borrow_mut().push(path.clone());
        match trunk.0.get(&path) {
            Some(Leaf::File(data, _)) => Ok(std::io::Cursor::new(data.clone())),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    });
    let mut wanted = request(SHA, BundleFormat::Tgz);
    wanted.spec = Some(spec);
    let passed = match rebundle(&trunk.archive()[..], std::io::sink(), &wanted, &Limits::default()) {
        Ok(bundled) => bundled.findings,
        Err(BundleError::Refused(findings)) => findings.0,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(told(&looked.findings.0), told(&passed), "both ways find the same");
    passed
}

#[track_caller]
fn check(id: &str, body: &str, trunk: Trunk, expected: &[&str]) {
    let found = findings(body, trunk);
    let all: String = found.iter().map(|it| format!("{it}\n")).collect();
    assert_eq!(told(&found), expected, "{id}:\n{all}");
}

const COPY: &str = "files:\n  - source: web\n    destination: /srv/web\n";

fn web() -> Trunk {
    Trunk::default().file("web/a.txt", "a").file("web/d/b.txt", "b")
}

fn hook(event: &str, location: &str) -> String {
    format!("hooks:\n  {event}:\n    - location: {location}\n")
}

#[test]
fn sources_must_be_there() {
    check("clean", COPY, web(), &[]);
    check("1.5 E40", COPY, Trunk::default(), &["Error source-missing appspec.yml:4"]);
    let prepared = format!("{COPY}{}", hook("BeforeInstall", "b.sh"));
    let trunk = || Trunk::default().script("b.sh", "#!/bin/sh\n");
    check("1.5 R2", &prepared, trunk(), &["Warning source-missing appspec.yml:4"]);
    let found = findings(COPY, Trunk::default().file("Web", "x"));
    assert_eq!(found[0].help.as_deref(), Some("write `Web`, if that is the one"));
    check(
        "F39",
        "files:\n  - source: web/a.txt/\n    destination: /d\n",
        web(),
        &["Error source-not-directory appspec.yml:4"],
    );
    check("F21", "files:\n  - source: ../x\n    destination: /d\n", web(), &[]);
}

#[test]
fn scripts_must_be_there_and_start() {
    let after = |text: &str| (hook("AfterInstall", "s/a.sh"), Trunk::default().script("s/a.sh", text));
    let one = |id: &str, text: &str, expected: &[&str]| {
        let (body, trunk) = after(text);
        check(id, &body, trunk, expected);
    };
    check("1.5 E61", &hook("AfterInstall", "s/a.sh"), Trunk::default(), &["Error script-missing appspec.yml:5"]);
    check("H34", &hook("AfterInstall", "s"), web().file("s/x", ""), &["Error script-missing appspec.yml:5"]);
    let both = "hooks:\n  BeforeInstall:\n    - location: b.sh\n  AfterInstall:\n    - location: made.sh\n";
    let trunk = Trunk::default().script("b.sh", "#!/bin/sh\n");
    check("R2", both, trunk, &["Warning script-missing appspec.yml:7"]);
    one("clean", "#!/bin/sh\necho\n", &[]);
    one("H28 E63", "#!/bin/bash\r\necho\r\n", &["Error script-crlf s/a.sh:1"]);
    one("H29 E64", "\u{feff}#!/bin/bash\n", &["Error script-bom s/a.sh:1"]);
    one("H30", "echo\n", &["Warning script-shebang s/a.sh:1"]);
    one("H32", "", &["Warning script-empty s/a.sh:1"]);
    one("1.5 LFS", "version https://git-lfs.github.com/spec/v1\n", &["Error script-lfs s/a.sh:1"]);
    one("1.5 E68", "#!/bin/sh\nset -e\nnode x.js &\n", &["Warning script-background s/a.sh:3"]);
    one("1.5 E76 B:583", "#!/bin/sh\ncd /x\nrm -Rf y\n", &["Warning script-cd s/a.sh:2"]);
    one("E72 D15", "#!/bin/sh\ncomposer install\n", &["Portability script-directory s/a.sh:2"]);
    let (body, _) = after("");
    let trunk = Trunk::default().file("s/a.sh", "#!/bin/sh\n");
    check("H08 D16 E62", &body, trunk, &["Warning script-mode s/a.sh:1"]);
    let big = format!("#!/bin/sh\n{}", "echo x\n".repeat(100_000));
    one("a long one", &big, &[]);
}

#[test]
fn two_items_must_not_meet() {
    let two = |one: &str, to: &str, other: &str, and: &str| {
        format!("files:\n  - source: {one}\n    destination: {to}\n  - source: {other}\n    destination: {and}\n")
    };
    let trunk = || Trunk::default().file("a/x", "1").file("b/x", "2").file("b/y/z", "3").file("x", "0");
    let line = ["Error two-sources appspec.yml:6"];
    check("F23 E41", &two("a/x", "/d", "b/x", "/d"), trunk(), &line);
    check("F24", &two("a", "/d", "b", "/d"), trunk(), &line);
    check("F25", &two("a", "/d/p", "a", "/d/q"), trunk(), &[]);
    check("other directories", &two("a", "/d/", "b/y", "/d//"), trunk(), &[]);
    let found = findings(&two("a", "/d", "b", "/d"), trunk());
    assert_eq!(
        found[0].message,
        "`/d/x` has two sources: item 1 (line 4, source `a`) and item 2 (line 6, source `b`) of `files`"
    );
    let clash = ["Error file-and-directory appspec.yml:6"];
    let trunk = || Trunk::default().file("a", "1").file("b/a/z", "2");
    check("F26 E42", &two("a", "/d", "b", "/d"), trunk(), &clash);
    check("F27", &two("b", "/d", "a", "/d"), trunk(), &clash);
    check("F28", &two("a", "/d", "b", "/d/a/c"), trunk(), &clash);
}

#[test]
fn a_destination_is_a_directory() {
    let one = |source: &str, to: &str| format!("files:\n  - source: {source}\n    destination: {to}\n");
    let trunk = || Trunk::default().file(".aws/crontab", "x").file("nginx.conf", "x").file("web/x", "");
    let warned = ["Warning directory-destination appspec.yml:4"];
    check("F11 E45 B:254", &one(".aws/crontab", "/var/spool/cron/crontabs/www-data"), trunk(), &warned);
    check("E45", &one("nginx.conf", "/etc/nginx/nginx.conf"), trunk(), &warned);
    check("E45", &one("nginx.conf", "/etc/nginx/site.conf"), trunk(), &warned);
    check("E45", &one("nginx.conf", "/etc/nginx"), trunk(), &["Warning directory-destination appspec.yml:4"]);
    check("E45", &one("nginx.conf", "/etc/nginx/"), trunk(), &[]);
    check("E45", &one("nginx.conf", "/srv/app"), trunk(), &[]);
    check("F12 F13", &one("web", "/srv/app/web"), trunk(), &[]);
    check("1.5 INFO G:16762", &one("/", "/srv/app"), trunk(), &["Style whole-bundle appspec.yml:4"]);
}

fn permissions(items: &str) -> String {
    format!("{COPY}permissions:\n{items}")
}

#[test]
fn permissions_must_match() {
    let one =
        |id: &str, item: &str, expected: &[&str]| check(id, &permissions(&format!("  - {item}\n")), web(), expected);
    one("P09", "{object: /srv/web, pattern: \"**\", mode: 600, type: [file]}", &[]);
    one("P17", "{object: /srv/web/a.txt, mode: 600}", &[]);
    one("above", "{object: /srv, mode: 700, type: [directory], pattern: \"**\"}", &[]);
    one("P21 E56", "{object: /srv/web/nope, mode: 600}", &["Warning permission-unmatched appspec.yml:7"]);
    one(
        "1.5 object",
        "{object: /srv/web, pattern: \"*.zip\", mode: 600}",
        &["Warning permission-unmatched appspec.yml:7"],
    );
    one("P18", "{object: /srv/web/a.txt, type: [directory], mode: 600}", &["Warning permission-type appspec.yml:7"]);
    let file = ["Error permission-file appspec.yml:7"];
    one("P19 E26", "{object: /srv/web/a.txt, pattern: \"*\", type: [file]}", &file);
    one("P20", "{object: /srv/web/a.txt, except: [x], type: [file]}", &file);
    one("P13", "{object: /srv/web/d, mode: 700, type: [directory]}", &[]);
    let deep = web().file("web/d/e/c.txt", "");
    let item = "  - {object: /srv/web, pattern: \"e*\", type: [directory], mode: 700}\n";
    check("P14 D4", &permissions(item), deep, &["Portability permission-deep appspec.yml:7"]);
    let wanted = "  - {object: /srv/web/cache, mode: 777}\n";
    check("1.5 empty directory", &permissions(wanted), web(), &["Warning permission-unmatched appspec.yml:7"]);
}

#[test]
fn permissions_must_not_overlap() {
    let two = |id: &str, one: &str, other: &str, expected: &[&str]| {
        check(id, &permissions(&format!("  - {{{one}}}\n  - {{{other}}}\n")), web(), expected);
    };
    let error = ["Error permission-overlap appspec.yml:8"];
    two("P22 E31", "object: /srv/web, mode: 600", "object: /srv/web/d, mode: 644", &error);
    two("P22", "object: /srv/web, mode: 600, type: [file]", "object: /srv/web, pattern: \"*.txt\", mode: 644", &error);
    let twice = ["Portability permission-twice appspec.yml:8"];
    two("R81", "object: /srv/web, mode: 600, type: [file]", "object: /srv/web/d, owner: a, type: [file]", &twice);
    two(
        "P23",
        "object: /srv/web, pattern: \"**\", mode: 750, type: [directory]",
        "object: /srv/web, pattern: \"**\", mode: 640, type: [file]",
        &[],
    );
    two(
        "P15 D5",
        "object: /srv/web, mode: 600, except: [d/b.txt], type: [file]",
        "object: /srv/web/d/b.txt, mode: 644",
        &[],
    );
    let found = findings(
        &permissions("  - {object: /srv/web, mode: 600}\n  - {object: /srv/web, mode: 644, pattern: \"**\"}\n"),
        web(),
    );
    assert_eq!(found[0].message, "items 1 and 2 of `permissions` both set the mode of `/srv/web/a.txt` and 2 more");
}

#[test]
fn the_guide_s_six_items_do_not_overlap() {
    let body = "files:\n  - source: /\n    destination: /tmp/my-app\npermissions:\n  - {object: /tmp/my-app, pattern: \"*-3.txt\", owner: adm, mode: 464, type: [file]}\n  - {object: /tmp/my-app, pattern: \"*.txt\", except: [my-file-3.txt], owner: ec2-user, mode: 444, type: [file]}\n  - {object: /tmp/my-app/my-folder-1, pattern: \"**\", except: [my-file-4.txt], owner: operator, mode: 646, type: [file]}\n  - {object: /tmp/my-app/my-folder-2, pattern: \"**\", except: [my-file-8.txt], owner: ec2-user, mode: 777, type: [file]}\n  - {object: /tmp/my-app, pattern: \"*my-folder*\", except: [/tmp/my-app/my-folder-2/my-folder-3], owner: ec2-user, mode: 555, type: [directory]}\n";
    let trunk = Trunk::default()
        .file("my-file-1.txt", "")
        .file("my-file-3.txt", "")
        .file("my-folder-1/my-file-4.txt", "")
        .file("my-folder-1/my-file-6.txt", "")
        .file("my-folder-2/my-file-7.txt", "")
        .file("my-folder-2/my-folder-3/x", "");
    check("P07", body, trunk, &["Style whole-bundle appspec.yml:4"]);
}

#[test]
fn what_does_not_belong_into_a_bundle_is_told() {
    check("A05 E54", COPY, web().file("__MACOSX/._x", ""), &["Warning macosx"]);
    check("F18", COPY, web().file("web/.git/config", ""), &["Warning git-installed"]);
    check("F18 beside", COPY, web().file(".git/config", ""), &[]);
    check(
        "1.5 LFS",
        COPY,
        web().file("web/b.bin", "version https://git-lfs.github.com/spec/v1\n"),
        &["Warning lfs-pointer"],
    );
    check("1.5 submodule", COPY, web().empty("web/lib"), &["Warning submodule"]);
    check("F30", COPY, web().link("web/l", "a.txt"), &[]);
    check("F31", COPY, web().link("web/l", "d"), &["Portability link-directory appspec.yml:4"]);
    check("1.5 link", COPY, web().file("x", "").link("web/l", "../x"), &["Warning link-alone appspec.yml:4"]);
    check("F30 dangling", COPY, web().link("web/l", "nowhere"), &["Warning link-broken"]);
    check("F32 E55", COPY, web().link("web/l", "/etc/passwd"), &["Error link-escapes"]);
    check("1.2 both", COPY, web().file("appspec.yaml", ""), &["Error appspec-double"]);
}

#[test]
fn windows_writes_its_paths_otherwise() {
    let text = "version: 0.0\nos: windows\nfiles:\n  - source: \\web\n    destination: c:\\inetpub\nhooks:\n  BeforeInstall:\n    - location: .\\s\\a.bat\n";
    let Some(AppSpec::Server(spec)) = parse_what_can_be(text.as_bytes(), "appspec.yml").0 else { panic!() };
    let deep = format!("web/{}/{}", "d".repeat(200), "e".repeat(60));
    let trunk = web().file("s/a.bat", "@echo off\r\n").file("appspec.yml", "").file(&deep, "");
    let looked = inspect(Some(&spec), BundleFormat::Zip, "", trunk.seen(), |_| Ok(&b"@echo off\r\n"[..]));
    // Modes mean nothing to Windows.
    assert_eq!(told(&looked.findings.0), ["Warning windows-path"], "F40 E46: {}", looked.findings);
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let spec = server(&hook("AfterInstall", "a.sh"));
    let trunk = Trunk::default().script("a.sh", "#!/bin/sh\n").file("appspec.yml", "");
    let refuse = |_: &[u8]| Err::<&[u8], _>(std::io::ErrorKind::PermissionDenied.into());
    let looked = inspect(Some(&spec), BundleFormat::Tgz, "site", trunk.seen(), refuse);
    assert_eq!(looked.findings.0[0].code, "bundle/input");
    assert_eq!(looked.findings.0[0].place.as_ref().unwrap().file, "site/a.sh");
    let special = inspect(None, BundleFormat::Tgz, "", [Seen::Special { path: b"pipe".to_vec() }], refuse);
    assert_eq!(told(&special.findings.0), ["Error special-file", "Error appspec-missing"], "F33");
}
