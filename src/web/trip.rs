//! One browser's way to GitHub and back, as a cookie keeps it: what ties the code that comes back to this browser, and where
//! it goes on. Pure; nothing of it lies on our side before it is over.

use subtle::ConstantTimeEq;

use super::access::digest;
use super::sessions::fresh;

/// What is said of a way that is longer than any of ours.
const LONGEST_NEXT: usize = 1000;
/// What all ways of a browser may take in its cookie, of which browsers keep 4096 bytes.
const LONGEST_COOKIE: usize = 3800;
/// Stands between two ways.
const BETWEEN: char = '~';

/// From one click to the page that was wanted.
pub(super) struct Trip {
    secret: String,
    /// A path of ours.
    pub(super) next: String,
}

impl Trip {
    /// A new one, to a path of ours.
    pub(super) fn begin(next: &str) -> Self {
        let next = if next.len() > LONGEST_NEXT { "/" } else { next };
        Self { secret: fresh(), next: next.to_owned() }
    }

    /// What the browser keeps of several, the newest first: as many as fit.
    pub(super) fn cookies<'a>(trips: impl IntoIterator<Item = &'a Self>) -> String {
        let mut kept = String::new();
        for trip in trips {
            let cookie = trip.cookie();
            if !kept.is_empty() {
                if kept.len() + cookie.len() > LONGEST_COOKIE {
                    break;
                }
                kept.push(BETWEEN);
            }
            kept += &cookie;
        }
        kept
    }

    /// Those that a browser has kept, one for each of its windows that went away.
    pub(super) fn all_kept(cookie: &str) -> Vec<Self> {
        cookie.split(BETWEEN).filter_map(Self::kept).collect()
    }

    fn cookie(&self) -> String {
        let next: String = form_urlencoded::byte_serialize(self.next.as_bytes()).collect();
        format!("{}.{next}", self.secret)
    }

    /// The one that this is of; nothing where it is none of ours.
    fn kept(cookie: &str) -> Option<Self> {
        let (secret, next) = cookie.split_once('.')?;
        let is_ours = secret.len() == 64 && secret.bytes().all(|it| it.is_ascii_hexdigit());
        let next = form_urlencoded::parse(format!("next={next}").as_bytes()).next()?.1.into_owned();
        is_ours.then(|| Self { secret: secret.to_owned(), next })
    }

    /// What GitHub sends back with its code.
    pub(super) fn state(&self) -> String {
        digest(&format!("state of {}", self.secret))
    }

    /// What GitHub wants to see with the code: nobody who only saw addresses knows it.
    pub(super) fn verifier(&self) -> String {
        digest(&format!("verifier of {}", self.secret))
    }

    /// Whether that is its state.
    pub(super) fn is_of(&self, state: &str) -> bool {
        bool::from(digest(&self.state()).as_bytes().ct_eq(digest(state).as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_keeps_its_way_and_knows_its_state() {
        let trip = Trip::begin("/deployments?state=failed&sha=a+b;c");
        let kept = Trip::kept(&trip.cookie()).unwrap();
        assert_eq!((kept.state(), kept.next.as_str()), (trip.state(), trip.next.as_str()));
        assert!(kept.is_of(&trip.state()) && !kept.is_of("") && !kept.is_of(&Trip::begin("/").state()));
        assert!(!trip.cookie().contains([';', ',', ' ', '"']) && !trip.cookie().contains(&trip.state()));
        assert_ne!(trip.state(), trip.verifier());
        assert_eq!(Trip::begin(&format!("/{}", "x".repeat(2000))).next, "/");
        let (one, two) = (Trip::begin("/~a"), Trip::begin("/b"));
        let both = Trip::all_kept(&Trip::cookies([&two, &one]));
        assert_eq!(both.iter().map(|it| it.next.as_str()).collect::<Vec<_>>(), ["/b", "/~a"]);
        let long = [(); 20].map(|()| Trip::begin(&format!("/{}", "ü".repeat(400))));
        let cookie = Trip::cookies(&long);
        assert!(cookie.len() <= LONGEST_COOKIE && !Trip::all_kept(&cookie).is_empty());
    }

    #[test]
    fn what_no_browser_of_ours_keeps_is_no_way() {
        for cookie in ["", ".", "x./", "0000.%2F", &"z".repeat(70)] {
            assert!(Trip::kept(cookie).is_none(), "{cookie}");
        }
    }
}
