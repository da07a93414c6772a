//! Documents as IAM and CloudFormation read them: ordered, so that people can read them too. Pure.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// A value whose keys stay in the order that they were written in.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Number(u64),
    Flag(bool),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Node {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Node {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl<T: Into<Node>> From<Vec<T>> for Node {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// A map of these keys, in this order.
pub(super) fn map<const N: usize>(entries: [(&str, Node); N]) -> Node {
    Node::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A list of these items.
pub(super) fn list<const N: usize>(items: [Node; N]) -> Node {
    Node::List(items.into())
}

/// CloudFormation's reference to a parameter or resource.
pub(super) fn reference(name: &str) -> Node {
    map([("Ref", name.into())])
}

/// CloudFormation's reference to an attribute of a resource.
pub(super) fn attribute(resource: &str, name: &str) -> Node {
    map([("Fn::GetAtt", vec![resource, name].into())])
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl Node {
    /// As JSON, over several lines.
    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("text, numbers and flags are JSON")
    }

    /// The same with CloudFormation's long words for text with `${…}` in it: JSON has no short ones.
    pub(super) fn spelled_out(&self) -> Self {
        match self {
            Self::Text(text) if text.contains("${") => map([("Fn::Sub", text.as_str().into())]),
            Self::Text(_) | Self::Number(_) | Self::Flag(_) => self.clone(),
            Self::List(items) => Self::List(items.iter().map(Self::spelled_out).collect()),
            Self::Map(entries) => {
                Self::Map(entries.iter().map(|(key, value)| (key.clone(), value.spelled_out())).collect())
            }
        }
    }

    /// As CloudFormation's YAML: its functions in their short form, text with `${…}` in it substituted.
    pub(super) fn yaml(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text
    }

    /// Writes a map or list as lines of its own; `text` ends where a new line begins.
    fn write(&self, text: &mut String, depth: usize) {
        let margin = "  ".repeat(depth);
        match self {
            Self::Map(entries) => {
                for (key, value) in entries {
                    text.push_str(&format!("{margin}{}:", scalar(key)));
                    value.write_after(text, depth + 1);
                }
            }
            Self::List(items) => {
                for item in items {
                    match item.inline() {
                        Some(inline) => text.push_str(&format!("{margin}- {inline}\n")),
                        None => {
                            // The item's first key stands on the line of its dash.
                            let from = text.len();
                            item.write(text, depth + 1);
                            text.replace_range(from..from + margin.len() + 2, &format!("{margin}- "));
                        }
                    }
                }
            }
            Self::Text(_) | Self::Number(_) | Self::Flag(_) => text.push_str(&self.inline().unwrap_or_default()),
        }
    }

    /// Writes what stands behind a key: on its line, or on lines below it.
    fn write_after(&self, text: &mut String, depth: usize) {
        match self.inline() {
            Some(inline) => text.push_str(&format!(" {inline}\n")),
            None => {
                text.push('\n');
                self.write(text, depth);
            }
        }
    }

    /// The value where it fits behind its key.
    fn inline(&self) -> Option<String> {
        match self {
            Self::Text(text) if text.contains("${") => Some(substituted(text)),
            Self::Text(text) => Some(scalar(text)),
            Self::Number(number) => Some(number.to_string()),
            Self::Flag(flag) => Some(flag.to_string()),
            Self::List(items) if items.is_empty() => Some("[]".into()),
            Self::Map(entries) => match &entries[..] {
                [] => Some("{}".into()),
                [(key, Self::Text(name))] if key == "Ref" => Some(format!("!Ref {}", scalar(name))),
                [(key, Self::List(parts))] if key == "Fn::GetAtt" => {
                    let parts: Vec<String> = parts.iter().filter_map(Self::inline).collect();
                    Some(format!("!GetAtt {}", parts.join(".")))
                }
                _ => None,
            },
            Self::List(_) => None,
        }
    }
}

/// Text with `${…}` in it. Where nothing stands around one, the short word for it does.
fn substituted(text: &str) -> String {
    let alone = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|name| !name.contains('}'));
    match alone {
        Some(name) if name.contains('.') => format!("!GetAtt {name}"),
        Some(name) => format!("!Ref {name}"),
        None => format!("!Sub {}", quoted(text)),
    }
}

/// Text as YAML takes it for text: plain where nothing else could be read into it.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | ':');
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let fits = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !text.ends_with(':')
        && !words.contains(&text.to_lowercase().as_str());
    if fits { text.to_owned() } else { quoted(text) }
}

/// Text in quotation marks. JSON's are YAML's too.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text is JSON")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn sample() -> Node {
        map([
            ("Type", "AWS::S3::Bucket".into()),
            ("Days", 1.into()),
            ("Version", "2012-10-17".into()),
            ("No", "no".into()),
            ("Who", reference("Bot")),
            ("Arn", attribute("Bucket", "Arn")),
            ("Url", "arn:${AWS::Partition}:s3:::b/*".into()),
            ("Region", "${AWS::Region}".into()),
            ("None", list([])),
            ("Many", list([map([("Key", "a b".into()), ("Value", list(["x".into()]))]), "*".into()])),
        ])
    }

    #[test]
    fn yaml_is_what_cloudformation_reads() {
        expect![[r#"
            Type: AWS::S3::Bucket
            Days: 1
            Version: "2012-10-17"
            "No": "no"
            Who: !Ref Bot
            Arn: !GetAtt Bucket.Arn
            Url: !Sub "arn:${AWS::Partition}:s3:::b/*"
            Region: !Ref AWS::Region
            None: []
            Many:
              - Key: "a b"
                Value:
                  - x
              - "*"
        "#]]
        .assert_eq(&sample().yaml());
    }

    #[test]
    fn json_keeps_the_order() {
        assert!(sample().json().starts_with("{\n  \"Type\": \"AWS::S3::Bucket\",\n  \"Days\": 1,"));
    }
}
