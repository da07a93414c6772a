//! Addresses in messages: only SNS's own host of the topic's region is ever asked for anything.
//!
//! AWS's own validators hold a host against `^sns\.[a-zA-Z0-9\-]{3,}\.amazonaws\.com(\.cn)?$`. Here the topic, which is
//! configured, says which one of these hosts it is, so that nothing is left to match.

use url::Url;

use crate::config::Topic;
use crate::domain::Unfit;

/// The address of a certificate.
pub(super) fn of_a_certificate(text: &str, topic: &Topic) -> Result<Url, Unfit> {
    let url = on_its_host(text, topic)?;
    if url.path().ends_with(".pem") && url.query().is_none() && url.fragment().is_none() {
        return Ok(url);
    }
    Err(unfit("an address that ends with `.pem`", text))
}

/// An address on the topic's host over HTTPS, with no user, no port and nothing else before its path. The text itself is
/// compared, before anybody's idea of how addresses are read.
pub(super) fn on_its_host(text: &str, topic: &Topic) -> Result<Url, Unfit> {
    let expected = "an address on SNS's host in the topic's region, over https";
    let begins = text.strip_prefix("https://").and_then(|it| it.strip_prefix(topic.host().as_str()));
    if !begins.is_some_and(|rest| rest.starts_with('/')) {
        return Err(unfit(expected, text));
    }
    let url = Url::parse(text).map_err(|_| unfit(expected, text))?;
    if url.host_str() == Some(topic.host().as_str()) { Ok(url) } else { Err(unfit(expected, text)) }
}

fn unfit(expected: &'static str, found: &str) -> Unfit {
    Unfit { expected, found: found.chars().take(80).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of section D (9), and what else has fooled others.
    #[test]
    fn only_the_host_of_the_topics_region_speaks_for_it() {
        let topic = Topic::parse("arn:aws:sns:us-east-1:123456789012:landfall").unwrap();
        let good = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a1b.pem";
        assert_eq!(of_a_certificate(good, &topic).unwrap().as_str(), good);
        for wrong in [
            "http://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.evil.s3.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com.evil.tld/a.pem",
            "https://sns.eu-west-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com.cn/a.pem",
            "https://sns.us-east-1.amazonaws.com@evil.tld/a.pem",
            "https://user:word@sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com:443/a.pem",
            "https://sns.us-east-1.amazonaws.com:8443/a.pem",
            "https://evil.tld/sns.us-east-1.amazonaws.com/a.pem",
            "https://evil.tld\\sns.us-east-1.amazonaws.com/a.pem",
            "https://SNS.us-east-1.amazonaws.com./a.pem",
            "https://sns.us-east-1.amazonaws.com",
            "https://sns.us-east-1.amazonaws.com/a.crt",
            "https://sns.us-east-1.amazonaws.com/?a.pem",
            "https://sns.us-east-1.amazonaws.com/a.pem?x=1",
            "https://sns.us-east-1.amazonaws.com/a#.pem",
            " https://sns.us-east-1.amazonaws.com/a.pem",
            "file:///etc/ssl/a.pem",
            "",
        ] {
            assert!(of_a_certificate(wrong, &topic).is_err(), "{wrong}");
        }
        assert!(on_its_host("https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription", &topic).is_ok());
        assert!(on_its_host("https://sns.us-east-1.amazonaws.com.evil.tld/?Action=x", &topic).is_err());
    }
}
