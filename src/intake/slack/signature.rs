//! Slack's signature of a request: `v0=` and the HMAC-SHA256 of `v0:TIMESTAMP:BODY` in hex, by its guide to verifying
//! requests; what is more than five minutes away may be a replay.

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

/// How far the time of a request may be from ours.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// What a request says of its signature.
pub(super) struct Claim<'a> {
    /// The time as it is written, which is what was signed.
    written: &'a str,
    at: Timestamp,
    signature: [u8; 32],
}

impl<'a> Claim<'a> {
    /// Reads both headers.
    pub(super) fn parse(written: &'a str, signature: &str) -> Option<Self> {
        let digits = (1..=12).contains(&written.len()) && written.bytes().all(|it| it.is_ascii_digit());
        let at = Timestamp::from_second(written.parse().ok().filter(|_| digits)?).ok()?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(signature.strip_prefix("v0=")?, &mut bytes).ok()?;
        Some(Self { written, at, signature: bytes })
    }

    /// How far away it is, where that is too far.
    pub(super) fn is_stale(&self, now: Timestamp) -> Option<SignedDuration> {
        let age = now.duration_since(self.at);
        (age.abs() > FRESH).then_some(age)
    }

    /// Whether this secret signed this body; compared in constant time.
    pub(super) fn is_of(&self, secret: &str, body: &[u8]) -> bool {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.trim().as_bytes()).expect("an HMAC key has any length");
        mac.update(format!("v0:{}:", self.written).as_bytes());
        mac.update(body);
        mac.verify_slice(&self.signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's guide.
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    #[test]
    fn the_guides_own_example_is_believed_and_nothing_else() {
        let claim = Claim::parse("1531420618", SIGNATURE).unwrap();
        assert!(claim.is_of(SECRET, BODY.as_bytes()));
        assert!(!claim.is_of("8f742231b10e8888abcd99yyyzzz85a6", BODY.as_bytes()));
        assert!(!claim.is_of(SECRET, &BODY.as_bytes()[1..]));
        assert!(!Claim::parse("1531420619", SIGNATURE).unwrap().is_of(SECRET, BODY.as_bytes()), "another time");
    }

    #[test]
    fn five_minutes_are_fresh_and_no_more() {
        let claim = Claim::parse("1531420618", SIGNATURE).unwrap();
        let after = |seconds: i64| claim.is_stale(Timestamp::from_second(1_531_420_618 + seconds).unwrap());
        assert_eq!([after(0), after(300), after(-300)], [None; 3]);
        assert_eq!(after(301), Some(SignedDuration::from_secs(301)));
        assert!(after(-301).is_some());
    }

    #[test]
    fn what_is_no_signature_is_none() {
        let short = &SIGNATURE[..SIGNATURE.len() - 2];
        let plain = SIGNATURE.strip_prefix("v0=").unwrap();
        for (at, signature) in [("", SIGNATURE), ("+1", SIGNATURE), ("1.5", SIGNATURE), ("1", short), ("1", plain)] {
            assert!(Claim::parse(at, signature).is_none(), "{at} {signature}");
        }
        assert!(Claim::parse("99999999999999", SIGNATURE).is_none());
    }
}
