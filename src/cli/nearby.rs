//! A bot as a configuration names it, which may be a stranger's: where it listens, and where its token lies. Nothing that
//! is not this machine's is ever asked, and nothing is sent that is no token.

use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::exit::Trouble;
use crate::config::Secret;
use crate::domain::plainly;
use crate::web::access::SHORTEST;

/// No token is as long as this, in bytes; whatever is, need not be read whole to know it.
const LONGEST: u64 = 4096;

/// What a bearer's token may have beside letters and digits (RFC 6750).
const MARKS: &str = "-._~+/=";

/// How far a configuration is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// A person typed a verb: any address of this machine.
    Machine,
    /// A key was pressed: what never leaves the machine, whatever its network says.
    Loopback,
}

/// The address to ask a bot at that listens there.
pub(super) fn reachable(listen: SocketAddr, trust: Trust) -> Result<SocketAddr, Trouble> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    // Only a machine's own addresses can be listened at.
    let is_own = ip.is_loopback() || trust == Trust::Machine && TcpListener::bind((ip, 0)).is_ok();
    if is_own {
        return Ok(SocketAddr::new(ip, listen.port()));
    }
    Err(Trouble::wrong(format!("the configuration listens at `{listen}`, which is no address of this machine")).help(
        format!("nothing was sent there; if you trust it, give `--url http://{listen}`, and a token by `--token`"),
    ))
}

/// The token that the server wrote at its first start, or a person before that; nothing where there is none yet.
pub(super) fn token_at(path: &Path) -> Result<Option<Secret>, Trouble> {
    let unreadable = |error: std::io::Error| {
        Trouble::unreachable(format!("the token `{}` cannot be read: {}", path.display(), plainly(&error)))
            .help("run this as the user that landfall runs as, or give a token with `--token` or LANDFALL_TOKEN")
    };
    let refused = |why: String| {
        Trouble::wrong(format!("`{}` {why}, and is not sent", path.display()))
            .help("give a token with `--token` or LANDFALL_TOKEN")
    };
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if !about.is_file() {
        return Err(refused("is no file".into()));
    }
    let mode = about.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(refused(format!("can be read by others than its owner (mode {mode:03o}): `chmod 600` it")));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    match String::from_utf8(bytes).map(|text| text.trim().to_owned()) {
        Ok(text) if is_token(&text) => Ok(Some(Secret::new(text))),
        Ok(_) | Err(_) => {
            let form = format!("one line of {SHORTEST} or more of the characters `A-Za-z0-9{MARKS}`");
            Err(refused(format!("does not hold a token of {form}")))
        }
    }
}

/// Whether it has the form of a bearer's token.
fn is_token(text: &str) -> bool {
    let fits = |it: char| it.is_ascii_alphanumeric() || MARKS.contains(it);
    text.len() >= SHORTEST && (text.len() as u64) < LONGEST && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_this_machines_addresses_are_asked_and_at_a_key_only_those_that_never_leave_it() {
        let asked = |listen: &str, trust| reachable(listen.parse().unwrap(), trust).map(|it| it.to_string()).ok();
        for trust in [Trust::Machine, Trust::Loopback] {
            assert_eq!(asked("0.0.0.0:8080", trust).as_deref(), Some("127.0.0.1:8080"));
            assert_eq!(asked("[::]:8080", trust).as_deref(), Some("[::1]:8080"));
            assert_eq!(asked("127.0.0.9:1", trust).as_deref(), Some("127.0.0.9:1"));
            assert_eq!(asked("192.0.2.1:80", trust), None);
            assert_eq!(asked("[2001:db8::1]:80", trust), None);
        }
        let told = reachable("192.0.2.1:80".parse().unwrap(), Trust::Machine).unwrap_err();
        assert!(told.advice().unwrap().contains("--url http://192.0.2.1:80"), "{told}");
    }

    #[test]
    fn what_has_not_the_form_of_a_token_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert!(token_at(&path).unwrap().is_none());
        let written = |text: &[u8], mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            token_at(&path).map(|it| it.unwrap().expose().to_owned()).map_err(|it| it.to_string())
        };
        let good = "0123456789abcdefghijklmnopqrstUV";
        assert_eq!(written(format!("{good}\n").as_bytes(), 0o600).as_deref(), Ok(good));
        for text in [&good[1..], &format!("{good}\n{good}"), &format!("{good} {good}"), &good.repeat(200), "\u{e9}"] {
            let told = written(text.as_bytes(), 0o600).unwrap_err();
            assert!(told.contains("does not hold a token") && !told.contains(&good[1..]), "{told}");
        }
        assert!(written(good.as_bytes(), 0o640).unwrap_err().contains("mode 640"));
        assert!(written(&[0xff; 40], 0o600).unwrap_err().contains("does not hold a token"));
        assert!(token_at(dir.path()).unwrap_err().to_string().contains("is no file"));
    }
}
