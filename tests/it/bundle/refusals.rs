//! Archives that must not become bundles: hostile ones, broken ones, and commits that could not be deployed.

use std::io::Read;

use expect_test::{Expect, expect};
use landfall::bundle::{BundleError, Limits, Request, rebundle};
use landfall::domain::BundleFormat;
use tar::{EntryType, Header};

use super::{Hand, SHA, bundle, git, hand, repository, request, spec};

fn refusal(archive: &[u8], request: &Request) -> String {
    let error = bundle(archive, request).expect_err("this must not become a bundle");
    match &error {
        BundleError::Refused(findings) => {
            findings.0.iter().map(|it| format!("{:?} {}: {it}\n", it.severity, it.code)).collect()
        }
        BundleError::Input(_) | BundleError::Output(_) | BundleError::Truncated { .. } => error.to_string(),
        BundleError::Unreadable { .. } | BundleError::OtherCommit { .. } | BundleError::NoCommit { .. } => {
            error.to_string()
        }
    }
}

fn refused(fill: impl FnOnce(&mut Hand), expected: Expect) {
    expected.assert_eq(&refusal(&hand(fill), &request(SHA, BundleFormat::Tgz)));
}

#[test]
fn names_that_lead_out_are_refused_all_at_once() {
    refused(
        |tar| {
            tar.file("top/../../etc/passwd", "x").file("/etc/shadow", "x").file("top/a\\..\\..\\b", "x");
            tar.file("other/x", "x").file("top/a//b", "x");
        },
        expect![[r#"
            Error bundle/path-escapes: `top/../../etc/passwd` leads out of the bundle by `..`
            Error bundle/path-escapes: `/etc/shadow` is an absolute path
            Error bundle/path-escapes: `top/a\..\..\b` leads out of the bundle by `..`
            Error bundle/path-escapes: `other/x` lies outside `top`, and an archive has one directory at its top
            Error bundle/path-unfit: `top/a//b` has an empty name between two slashes
        "#]],
    );
}

#[test]
fn links_that_lead_out_are_refused_and_broken_ones_told() {
    refused(
        |tar| {
            tar.link("top/a", "/etc/passwd").link("top/b", "../x").link("top/c/up", "..").link("top/c/d", "up/../../x");
            tar.link("top/ok", "c").link("top/gone", "missing").link("top/ring", "ring");
            tar.file("top/c/up/evil", "x").add(EntryType::Link, b"top/hard", b"top/appspec.yml", b"");
        },
        expect![[r#"
            Error bundle/link-escapes: `c/up/evil` lies below `c/up`, which is a link
            Error bundle/special-file: `hard` is a hard link, which git never has
            Error bundle/link-escapes: link `a` leads out of the bundle: `/etc/passwd` (let it point to something inside the bundle's root, or exclude it)
            Error bundle/link-escapes: link `b` leads out of the bundle: `../x` (let it point to something inside the bundle's root, or exclude it)
            Error bundle/link-escapes: link `c/d` leads out of the bundle: `up/../../x` (let it point to something inside the bundle's root, or exclude it)
            Warning bundle/link-broken: link `gone` points to `missing`, which is not in the bundle
            Warning bundle/link-broken: link `ok` points to `c`, which is not in the bundle
            Warning bundle/link-broken: link `ring` leads in a circle: `ring`
        "#]],
    );
}

#[test]
fn what_git_never_has_is_refused() {
    refused(
        |tar| {
            tar.add(EntryType::Char, b"top/null", b"", b"").add(EntryType::Fifo, b"top/pipe", b"", b"");
            tar.add(EntryType::GNUSparse, b"top/sparse", b"", b"").file("top/appspec.yml", "again");
            tar.file("top/appspec.yml/x", "");
        },
        expect![[r#"
            Error bundle/special-file: `null` is a device file, which git never has
            Error bundle/special-file: `pipe` is a named pipe, which git never has
            Error bundle/special-file: `sparse` is a sparse file, which git never has
            Error bundle/duplicate: `appspec.yml` is in the archive twice
            Error bundle/duplicate: `appspec.yml/x` lies below `appspec.yml`, which is a file
        "#]],
    );
}

#[test]
fn a_zip_takes_no_names_that_windows_would_mix_up() {
    let archive = hand(|tar| {
        tar.file("top/Read.me", "").file("top/README", "").file("top/readme", "").file("top/a\\b", "");
        tar.add(EntryType::Regular, b"top/\xff", b"", b"");
    });
    assert!(bundle(&archive, &request(SHA, BundleFormat::Tar)).is_ok());
    expect![[r#"
        Error bundle/duplicate: `readme` differs from another entry only in case, which Windows does not tell apart
        Error bundle/path-unfit: `top/a\b` has a backslash in its name, which Windows takes for a slash
        Error bundle/path-unfit: `top/�` is not UTF-8, which a zip's names must be
    "#]]
    .assert_eq(&refusal(&archive, &request(SHA, BundleFormat::Zip)));
}

#[test]
fn pax_names_count_and_a_line_end_in_one_hides_nothing() {
    let record = |key: &str, value: &str| {
        let tail = format!(" {key}={value}\n");
        let length = (tail.len() + 2).to_string().len() + tail.len();
        format!("{length}{tail}")
    };
    refused(
        |tar| {
            let name = record("path", "top/x\n20 path=top/fine");
            tar.add(EntryType::XHeader, b"x", b"", name.as_bytes()).file("top/short", "");
            let name = record("path", "top/../out");
            tar.add(EntryType::XHeader, b"x", b"", name.as_bytes()).file("top/short2", "");
            tar.add(EntryType::GNULongName, b"x", b"", b"top/a\0b\0").file("top/short3", "");
        },
        expect![[r#"
            Error bundle/path-escapes: `top/../out` leads out of the bundle by `..`
            Error bundle/path-unfit: `top/a\u{0}b` has a NUL in its name
        "#]],
    );
}

#[test]
fn another_commit_or_none_is_told() {
    let archive = hand(|_| {});
    let other = "f".repeat(40);
    let error = bundle(&archive, &request(&other, BundleFormat::Tar)).unwrap_err();
    assert_eq!(error.to_string(), format!("expected the archive of {other}, but it is of {SHA}"));
    assert_eq!(error.failure().code, "bundle/other-commit");
    let nameless = archive[1024..].to_vec();
    let error = bundle(&nameless, &request(SHA, BundleFormat::Tar)).unwrap_err();
    assert!(matches!(error, BundleError::NoCommit { .. }), "{error}");
}

#[test]
fn a_stream_that_is_cut_anywhere_is_no_bundle() {
    let (home, sha) = repository();
    for format in ["tar", "tar.gz"] {
        let archive = git(home.path(), &["archive", &format!("--format={format}"), "--prefix=x/", "HEAD"]);
        // git pads with zeros up to 10 KiB; all that matters ends with the two empty blocks.
        let whole = if format == "tar" { archive.iter().rposition(|b| *b != 0).unwrap() } else { archive.len() - 1 };
        for cut in (0..=whole).step_by(97).chain([whole - 511, whole]) {
            let error = bundle(&archive[..cut], &request(&sha, BundleFormat::Tar)).expect_err("a cut archive");
            assert!(matches!(error, BundleError::Truncated { .. }), "{format} cut at {cut}: {error}");
            assert!(error.failure().passing);
        }
    }
}

#[test]
fn what_is_no_archive_is_told_apart_from_what_is_damaged() {
    let error = |bytes: &[u8]| bundle(bytes, &request(SHA, BundleFormat::Tar)).unwrap_err().to_string();
    assert_eq!(error(b"PK\x03\x04rest"), "expected a tar or tar.gz archive, but a zip came");
    assert_eq!(error(b"<html>404</html>"), "expected a tar or tar.gz archive, but a text came");
    assert_eq!(error(b""), "the archive ends too early, after 0 bytes");
    let mut damaged = hand(|_| {});
    damaged[1030] ^= 1;
    let told = error(&damaged);
    assert!(told.starts_with("expected a tar or tar.gz archive, but byte "), "{told}");
}

#[test]
fn limits_are_held() {
    let mut small = Limits { entries: 4, ..Limits::default() };
    let archive = hand(|tar| {
        tar.file("top/a", "0123456789").file("top/b", "").link("top/c", "a").link("top/d", "a");
    });
    let told = |limits: &Limits| rebundle(&archive[..], Vec::new(), &request(SHA, BundleFormat::Tar), limits);
    let code = |limits: &Limits| told(limits).unwrap_err().failure().code;
    assert_eq!(code(&small), "bundle/too-many");
    small = Limits { file_bytes: 9, ..Limits::default() };
    assert_eq!(code(&small), "bundle/too-large");
    assert_eq!(code(&Limits { links: 1, ..Limits::default() }), "bundle/too-many");
    assert_eq!(code(&Limits { unpacked_bytes: 4000, ..Limits::default() }), "bundle/too-large");
    assert_eq!(code(&Limits { path_bytes: 6, ..Limits::default() }), "bundle/path-unfit");
    assert!(told(&Limits { zip_entries: 1, ..Limits::default() }).is_ok());
    let zip = rebundle(
        &archive[..],
        Vec::new(),
        &request(SHA, BundleFormat::Zip),
        &Limits { zip_entries: 1, ..Limits::default() },
    );
    assert_eq!(zip.unwrap_err().failure().code, "bundle/too-many");
}

/// A hundred thousand entries are a large repository and no attack; what is more than git has of a mode is not kept.
#[test]
fn many_entries_pass_and_no_mode_is_more_than_git_has() {
    let archive = hand(|tar| {
        tar.file("top/suid", "#!/bin/sh\n");
        let mut header = Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&tar.0[tar.0.len() - 1024..tar.0.len() - 512]);
        header.set_mode(0o6777);
        header.set_cksum();
        let at = tar.0.len() - 1024;
        tar.0[at..at + 512].copy_from_slice(header.as_bytes());
        for number in 0..100_000 {
            tar.file(&format!("top/many/{number}"), "");
        }
    });
    let (out, bundled) = bundle(&archive, &request(SHA, BundleFormat::Tar)).unwrap();
    let listed = super::list(&out);
    assert!(listed.lines().any(|line| line.starts_with("755 ") && line.ends_with(" suid")), "{}", &listed[..300]);
    assert_eq!(listed.lines().filter(|line| line.contains(" many/") && !line.ends_with('/')).count(), 100_000);
    drop(bundled);
    let few = Limits { entries: 100_000, ..Limits::default() };
    let error = rebundle(&archive[..], std::io::sink(), &request(SHA, BundleFormat::Tar), &few).unwrap_err();
    assert_eq!(error.failure().code, "bundle/too-many");
}

#[test]
fn a_bomb_is_stopped_on_its_way() {
    let mut tar = Hand::new();
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.as_old_mut().name[..8].copy_from_slice(b"top/zero");
    header.set_mode(0o644);
    header.set_size(1 << 30);
    header.set_cksum();
    tar.0.extend_from_slice(header.as_bytes());
    let gzip = flate2::read::GzEncoder::new(
        tar.0.as_slice().chain(std::io::repeat(0).take(1 << 30)),
        flate2::Compression::default(),
    );
    let error = rebundle(gzip, std::io::sink(), &request(SHA, BundleFormat::Tar), &Limits::default()).unwrap_err();
    assert_eq!(error.failure().code, "bundle/expands", "{error}");
}

#[test]
fn missing_scripts_and_sources_are_told_with_what_resembles_them() {
    let archive = hand(|tar| {
        tar.file("top/scripts/stop.sh", "#!/bin/sh\r\n").file("top/bin/start.sh", "#!/bin/sh\n").file("top/x/y", "");
        tar.link("top/run.sh", "bin/start.sh");
    });
    let mut request = request(SHA, BundleFormat::Tgz);
    request.spec = Some(spec(
        &["scripts/Stop.sh", "scripts/stop.sh", "/opt/x.sh", "start.sh", "../a", "x", "x/y", "run.sh"],
        &["/", "x/", "missing/", "x/../../y", "Bin/Start.sh", "run.sh/"],
    ));
    request.rules.exclude = vec!["x/y".into()];
    expect![[r#"
        Error bundle/script-crlf: scripts/stop.sh:1:1: hook script `scripts/stop.sh` has Windows line ends (add `scripts/stop.sh text eol=lf` to .gitattributes and commit it renormalised)
        Error bundle/script-missing: appspec.yml:24:1: hook script `../a` is outside the bundle (commit it, or correct `location` in appspec.yml)
        Error bundle/script-missing: appspec.yml:22:1: hook script `/opt/x.sh` is not in the bundle (write it relative to the bundle's root: a leading `/` means that root, not the machine's)
        Error bundle/script-missing: appspec.yml:20:1: hook script `scripts/Stop.sh` is not in the bundle (write `scripts/stop.sh`, if that is the one)
        Error bundle/script-missing: appspec.yml:23:1: hook script `start.sh` is not in the bundle (write `bin/start.sh`, if that is the one)
        Error bundle/script-missing: appspec.yml:25:1: hook script `x` is not in the bundle (take it out of `exclude` in [target.bundle])
        Error bundle/script-missing: appspec.yml:26:1: hook script `x/y` is not in the bundle (take it out of `exclude` in [target.bundle])
        Error bundle/source-missing: appspec.yml:11:1: `files` source `x/` is not in the bundle (take it out of `exclude` in [target.bundle])
        Error bundle/source-missing: appspec.yml:12:1: `files` source `missing/` is not in the bundle (write it relative to the bundle's root, as git has it; directories without files are not in git)
        Error bundle/source-missing: appspec.yml:13:1: `files` source `x/../../y` is not in the bundle (write it relative to the bundle's root, as git has it; directories without files are not in git)
        Error bundle/source-missing: appspec.yml:14:1: `files` source `Bin/Start.sh` is not in the bundle (write `bin/start.sh`, if that is the one)
        Error bundle/source-not-directory: appspec.yml:15:1: `files` source `run.sh/` is a file, and a trailing `/` is for directories (write `run.sh`)
        Warning bundle/script-mode: scripts/stop.sh:1:1: hook script `scripts/stop.sh` is not executable (run `git update-index --chmod=+x scripts/stop.sh`, or `chmod +x scripts/stop.sh` where there is no git)
        Style bundle/whole-bundle: appspec.yml:10:1: the whole bundle is installed, and with it the AppSpec and the scripts (name what is to be copied, if nobody should find the rest there)
    "#]]
    .assert_eq(&refusal(&archive, &request));
}

#[test]
fn an_app_spec_elsewhere_is_named() {
    let told = |name: &str| {
        let archive = Hand::new().file(name, "").done();
        refusal(&archive, &request(SHA, BundleFormat::Tgz))
    };
    expect![[r#"
        Error bundle/appspec-nested: there is no appspec.yml in the repository's root, but `deploy/appspec.yml` below it (move it to the root, or set `root = "deploy"` in [target.bundle])
    "#]]
    .assert_eq(&told("top/deploy/appspec.yml"));
    expect![[r#"
        Error bundle/appspec-missing: there is no appspec.yml in the repository's root, only `AppSpec.yaml` (rename `AppSpec.yaml` to `appspec.yml`: the name must be written so)
    "#]]
    .assert_eq(&told("top/AppSpec.yaml"));
    expect![[r#"
        Error bundle/appspec-missing: there is no appspec.yml in the repository's root (add an appspec.yml; `landfall init` writes one to begin with)
    "#]]
    .assert_eq(&told("top/x"));
}

#[test]
fn a_root_that_is_not_there_is_told_with_its_neighbours() {
    let archive = hand(|tar| {
        tar.add(EntryType::Directory, b"top/apps/", b"", b"").add(EntryType::Directory, b"top/apps/web/", b"", b"");
        tar.add(EntryType::Directory, b"top/docs/", b"", b"");
    });
    let mut request = request(SHA, BundleFormat::Tgz);
    request.rules.root = "web".into();
    expect![[r#"
        Error bundle/root-missing: there is no directory `web` in the repository (correct `root` in [target.bundle]: there are `apps/web`, `apps`, `docs`)
    "#]]
    .assert_eq(&refusal(&archive, &request));
}

#[test]
fn a_refused_bundle_is_not_finished() {
    let archive = hand(|tar| {
        tar.file("top/a", &"x".repeat(200_000)).link("top/out", "/etc");
    });
    let mut out = Vec::new();
    rebundle(&archive[..], &mut out, &request(SHA, BundleFormat::Tgz), &Limits::default()).unwrap_err();
    let mut unpacked = Vec::new();
    assert!(flate2::read::GzDecoder::new(out.as_slice()).read_to_end(&mut unpacked).is_err());
}
