//! The name of an SNS topic, and what of it decides whom to believe: its partition and region. It never calls SNS.

use std::fmt;

use crate::domain::Unfit;

/// The address of a topic, `arn:aws:sns:REGION:ACCOUNT:NAME`, checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    arn: String,
    region: String,
    account: String,
    is_in_china: bool,
}

impl Topic {
    /// Checks `text` and keeps it.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        let unfit = |expected| Unfit { expected, found: text.chars().take(80).collect() };
        let whole = || unfit("the address of an SNS topic, such as `arn:aws:sns:eu-west-1:123456789012:landfall`");
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "sns", region, account, name] = parts[..] else { return Err(whole()) };
        let is_in_china = match partition {
            "aws" | "aws-us-gov" => false,
            "aws-cn" => true,
            _ => return Err(unfit("a topic of the partition `aws`, `aws-us-gov` or `aws-cn`")),
        };
        if name.ends_with(".fifo") {
            return Err(unfit("a standard topic: SNS delivers no FIFO topic over HTTPS"));
        }
        let is_name = |text: &str| {
            (1..=256).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        if !is_region(region) || !is_account || !is_name(name) {
            return Err(whole());
        }
        Ok(Self { arn: text.to_owned(), region: region.to_owned(), account: account.to_owned(), is_in_china })
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The AWS account.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// What the names of the partition's hosts end with.
    pub fn domain(&self) -> &'static str {
        if self.is_in_china { "amazonaws.com.cn" } else { "amazonaws.com" }
    }

    /// The only host that speaks for the topic.
    pub fn host(&self) -> String {
        format!("sns.{}.{}", self.region, self.domain())
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

/// Words of lowercase letters and digits with hyphens between: no dot, so that no other host can be made of it.
fn is_region(text: &str) -> bool {
    (3..=32).contains(&text.len())
        && text.split('-').all(|word| !word.is_empty())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_the_only_host_that_speaks_for_it() {
        for (arn, host) in [
            ("arn:aws:sns:eu-west-1:123456789012:landfall", "sns.eu-west-1.amazonaws.com"),
            ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:a_b-C", "sns.us-gov-west-1.amazonaws.com"),
            ("arn:aws-cn:sns:cn-north-1:123456789012:x", "sns.cn-north-1.amazonaws.com.cn"),
        ] {
            assert_eq!(Topic::parse(arn).unwrap().host(), host);
        }
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        for wrong in [
            "",
            "landfall",
            "arn:aws:sqs:eu-west-1:123456789012:landfall",
            "arn:aws:sns:eu-west-1:123456789012:landfall:a-subscription",
            "arn:aws:sns:eu-west-1:12345678901:landfall",
            "arn:aws:sns:eu.evil.tld:123456789012:landfall",
            "arn:aws:sns:EU-WEST-1:123456789012:landfall",
            "arn:aws:sns::123456789012:landfall",
            "arn:aws:sns:eu-west-1:123456789012:",
            "arn:aws:sns:eu-west-1:123456789012:land fall",
            "arn:aws-iso:sns:us-iso-east-1:123456789012:landfall",
        ] {
            assert!(Topic::parse(wrong).is_err(), "{wrong}");
        }
        let fifo = Topic::parse("arn:aws:sns:eu-west-1:123456789012:landfall.fifo").unwrap_err();
        assert!(fifo.expected.contains("standard topic"), "{fifo}");
    }
}
