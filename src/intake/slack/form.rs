//! What Slack's forms say: a slash command, or a button that was pressed.

use serde::Deserialize;
use url::Url;

/// Where answers may be sent: Slack's own hosts.
const HOSTS: [&str; 2] = ["slack.com", "slack-gov.com"];

/// Something that somebody said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    /// Slack's id for them.
    pub(super) member: String,
    /// What they want.
    pub(super) words: String,
    /// Slack's name for this one time that they said it; of a button, for the message with it: pressed twice, it is one.
    pub(super) once: String,
    /// Where a later answer goes.
    pub(super) answer_to: Option<Url>,
    /// Whether it was a button: then nothing that is answered at once is shown.
    pub(super) is_button: bool,
}

/// What a form comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    Spoken(Spoken),
    /// Nothing of us, because.
    Nothing(&'static str),
}

#[derive(Deserialize)]
struct Interaction {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    trigger_id: String,
    #[serde(default)]
    response_url: String,
    user: User,
    #[serde(default)]
    container: Container,
    #[serde(default)]
    actions: Vec<Action>,
}

/// Where the button stands.
#[derive(Default, Deserialize)]
struct Container {
    #[serde(default)]
    channel_id: String,
    #[serde(default)]
    message_ts: String,
}

#[derive(Deserialize)]
struct User {
    id: String,
}

#[derive(Deserialize)]
struct Action {
    #[serde(default)]
    action_id: String,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    url: Option<String>,
}

impl Form {
    /// Reads it, or says what was expected of it. `also`: another host that answers may be sent to.
    pub(super) fn read(body: &[u8], also: Option<&str>) -> Result<Self, &'static str> {
        let fields: Vec<(String, String)> =
            form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let get = |name: &str| fields.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str());
        if get("ssl_check").is_some() {
            return Ok(Self::Nothing("the address works: commands will be taken"));
        }
        if let Some(payload) = get("payload") {
            return pressed(payload, also);
        }
        let needed = |name| get(name).filter(|it| !it.is_empty());
        match (needed("command"), needed("user_id"), needed("trigger_id")) {
            (Some(_), Some(member), Some(once)) => Ok(Self::Spoken(Spoken {
                member: member.to_owned(),
                words: get("text").unwrap_or_default().to_owned(),
                once: once.to_owned(),
                answer_to: get("response_url").and_then(|it| address(it, also)),
                is_button: false,
            })),
            _ => Err("`command`, `user_id` and `trigger_id` of a slash command, or `payload` of a button"),
        }
    }
}

fn pressed(payload: &str, also: Option<&str>) -> Result<Form, &'static str> {
    let expected = "`payload` with `type`, `user`, `trigger_id` and `actions` as JSON";
    let it: Interaction = serde_json::from_str(payload).map_err(|_| expected)?;
    if it.kind != "block_actions" {
        return Ok(Form::Nothing("only buttons are heard"));
    }
    let Some(action) = it.actions.into_iter().next() else { return Err(expected) };
    if action.url.is_some() || action.action_id.starts_with("open-") {
        return Ok(Form::Nothing("it was a link"));
    }
    let (Some(words), false) = (action.value, it.trigger_id.is_empty()) else { return Err(expected) };
    let answer_to = address(&it.response_url, also);
    let Container { channel_id, message_ts } = it.container;
    let once = if message_ts.is_empty() { it.trigger_id } else { format!("{channel_id}/{message_ts}/{words}") };
    Ok(Form::Spoken(Spoken { member: it.user.id, words, once, answer_to, is_button: true }))
}

/// An address of Slack's, and of nobody else: what is signed is believed, and a secret that got lost reaches no further.
fn address(text: &str, also: Option<&str>) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    let is_slacks = HOSTS.iter().any(|it| host == *it || host.strip_suffix(it).is_some_and(|rest| rest.ends_with('.')));
    let fits = (is_slacks && url.scheme() == "https") || also == Some(host);
    fits.then_some(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(fields: &[(&str, &str)]) -> Vec<u8> {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
    }

    const ANSWER: &str = "https://hooks.slack.com/commands/T1/2/3";

    #[test]
    fn a_slash_command_says_who_wants_what() {
        let fields = [("command", "/landfall"), ("text", "deploy shop"), ("user_id", "U1"), ("trigger_id", "1.2.3")];
        let Form::Spoken(it) = Form::read(&form(&[&fields[..], &[("response_url", ANSWER)]].concat()), None).unwrap()
        else {
            panic!()
        };
        assert_eq!((it.member.as_str(), it.words.as_str(), it.once.as_str()), ("U1", "deploy shop", "1.2.3"));
        assert_eq!(it.answer_to.unwrap().as_str(), ANSWER);
        assert!(!it.is_button);
        assert!(Form::read(&form(&fields[..2]), None).is_err(), "nobody said it");
        assert_eq!(
            Form::read(b"ssl_check=1&token=x", None).unwrap(),
            Form::Nothing("the address works: commands will be taken")
        );
    }

    #[test]
    fn a_button_says_what_stands_in_it_and_a_link_nothing() {
        let press = |action| {
            let payload = json!({ "type": "block_actions", "user": { "id": "U1" }, "trigger_id": "1.2",
                "response_url": ANSWER, "actions": [action] });
            Form::read(&form(&[("payload", &payload.to_string())]), None)
        };
        let Ok(Form::Spoken(it)) = press(json!({ "action_id": "rollback", "value": "rollback shop" })) else {
            panic!()
        };
        assert_eq!((it.words.as_str(), it.is_button), ("rollback shop", true));
        let link = press(json!({ "action_id": "open-deployment", "url": "https://deploy.example.com" }));
        assert_eq!(link.unwrap(), Form::Nothing("it was a link"));
        assert!(press(json!({ "action_id": "rollback" })).is_err());
        assert!(Form::read(&form(&[("payload", "{")]), None).is_err());
    }

    #[test]
    fn answers_go_to_slack_alone() {
        for fits in [ANSWER, "https://hooks.slack-gov.com/actions/x", "https://slack.com/x"] {
            assert!(address(fits, None).is_some(), "{fits}");
        }
        for other in [
            "http://hooks.slack.com/x",
            "https://notslack.com/x",
            "https://hooks.slack.com.evil.example/x",
            "https://evil.example/?hooks.slack.com",
            "file:///etc/passwd",
            "http://169.254.169.254/latest",
            "",
        ] {
            assert!(address(other, None).is_none(), "{other}");
        }
        assert!(address("http://127.0.0.1:8065/x", Some("127.0.0.1")).is_some());
    }
}
