//! From the text of a message to a hint: of which run does it speak? How the run goes is not even read.
//!
//! Four senders write in as many ways: the triggers of a deployment group (as documented, and as they really are, with
//! JSON in strings), EventBridge, the notification rules of the developer tools, and people. So every part may be
//! missing, may be a number or a text, and may lie in `detail` or beside it.

use serde_json::{Map, Value};

use crate::domain::{Hint, RunId};

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// There may be news of this.
    Hint(Hint),
    /// Nothing that could be looked for.
    Nothing(&'static str),
}

/// Understands a message that came from `region`, which is meant where it names no other.
pub fn meaning(text: &str, region: &str) -> Meaning {
    let Ok(Value::Object(whole)) = serde_json::from_str(text) else {
        return Meaning::Nothing("a plain text, such as the test message of a new trigger");
    };
    if whole.get("source").and_then(Value::as_str).is_some_and(|source| source != "aws.codedeploy") {
        return Meaning::Nothing("an event of another service than CodeDeploy");
    }
    let said = Said { detail: detail(&whole), whole };
    let resource = said.group_by_resources();
    let run = said.word(&["deploymentId"]).and_then(|it| RunId::parse(it).ok());
    let application = said.word(&["applicationName", "application"]);
    let group = application.zip(said.word(&["deploymentGroupName", "deploymentGroup"])).or(resource);
    if run.is_none() && group.is_none() {
        return Meaning::Nothing("it names no deployment and no deployment group");
    }
    Meaning::Hint(Hint {
        region: said.word(&["region"]).unwrap_or_else(|| region.to_owned()),
        account: said.word(&["accountId", "account"]).map(|it| format!("{it:0>12}")),
        run,
        group,
    })
}

/// The object, and the one within it that events carry.
struct Said {
    whole: Map<String, Value>,
    detail: Map<String, Value>,
}

/// `detail` as an object, or as the text of one.
fn detail(whole: &Map<String, Value>) -> Map<String, Value> {
    match whole.get("detail") {
        Some(Value::Object(detail)) => detail.clone(),
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | None => Map::new(),
    }
}

impl Said {
    /// The first of these keys that is there with something in it.
    fn word(&self, keys: &[&str]) -> Option<String> {
        let places = [&self.whole, &self.detail];
        let mut values = places.iter().flat_map(|it| keys.iter().filter_map(|key| it.get(*key)));
        values.find_map(|value| match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        })
    }

    /// Application and group from the event's resources, whose order differs.
    fn group_by_resources(&self) -> Option<(String, String)> {
        let resources = self.whole.get("resources").and_then(Value::as_array)?;
        resources.iter().filter_map(Value::as_str).find_map(|arn| {
            let mut parts = arn.splitn(7, ':').skip(2);
            let is_group = parts.next() == Some("codedeploy") && parts.nth(2) == Some("deploymentgroup");
            let (application, group) = parts.next().filter(|_| is_group)?.split_once('/')?;
            Some((application.to_owned(), group.to_owned()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hint as a line.
    fn understood(message: &str) -> String {
        match meaning(message, "eu-west-1") {
            Meaning::Nothing(why) => why.to_owned(),
            Meaning::Hint(Hint { region, account, run, group }) => {
                let run = run.map_or("-".to_owned(), |it| it.to_string());
                let (application, group) = group.unwrap_or(("-".into(), "-".into()));
                format!("{region} {} {run} {application} {group}", account.as_deref().unwrap_or("-"))
            }
        }
    }

    /// Row 67: the triggers of a group, as they are and as they are documented.
    #[test]
    fn both_shapes_of_a_triggers_message_are_understood() {
        let real = r#"{"region":"eu-west-1","accountId":"210987654321","eventTriggerName":"news","applicationName":"shop",
            "deploymentId":"d-QX7RT2M9K","deploymentGroupName":"prod","createTime":"Tue Mar 04 09:12:45 UTC 2025",
            "completeTime":null,"deploymentOverview":"{\"Succeeded\":3,\"Failed\":1}","status":"FAILED",
            "errorInformation":"{\"ErrorCode\":\"HEALTH_CONSTRAINTS\"}","rollbackInformation":"{}"}"#;
        let documented = r#"{"region":"eu-west-1","accountId":"210987654321","eventTriggerName":"news",
            "applicationName":"shop","deploymentId":"d-QX7RT2M9K","deploymentGroupName":"prod",
            "createTime":"1741079565.120","completeTime":"1741080018.004",
            "deploymentOverview":{"Failed":"1","Succeeded":"3"},"status":"Failed",
            "errorInformation":{"ErrorCode":"NO_INSTANCES","ErrorMessage":"no instances were found"}}"#;
        for message in [real, documented] {
            assert_eq!(understood(message), "eu-west-1 210987654321 d-QX7RT2M9K shop prod");
        }
        let instance = r#"{"region":"eu-west-1","accountId":210987654321,"deploymentId":"d-QX7RT2M9K",
            "instanceId":"arn:aws:ec2:eu-west-1:210987654321:instance/i-0c1d","instanceStatus":"Succeeded",
            "lifecycleEvents":"[{\"LifecycleEvent\":\"ApplicationStop\"}]"}"#;
        assert_eq!(understood(instance), "eu-west-1 210987654321 d-QX7RT2M9K - -");
    }

    /// Rows 69 and 70: EventBridge, and the notification rules of the developer tools.
    #[test]
    fn events_are_understood_with_and_without_their_detail() {
        let event = r#"{"version":"0","detail-type":"CodeDeploy Deployment State-change Notification",
            "source":"aws.codedeploy","account":"210987654321","time":"2025-03-04T09:20:18Z","region":"eu-west-1",
            "resources":["arn:aws:codedeploy:eu-west-1:210987654321:deploymentgroup:shop/prod",
                         "arn:aws:codedeploy:eu-west-1:210987654321:application:shop"],
            "detail":{"region":"eu-west-1","application":"shop","deploymentGroup":"prod",
                      "deploymentId":"d-QX7RT2M9K","state":"FAILURE"}}"#;
        assert_eq!(understood(event), "eu-west-1 210987654321 d-QX7RT2M9K shop prod");
        let bare = r#"{"account":"210987654321","resources":[7,"arn:aws:s3:::x",
            "arn:aws:codedeploy:eu-west-1:210987654321:application:shop",
            "arn:aws:codedeploy:eu-west-1:210987654321:deploymentgroup:shop/prod"],"detail":[]}"#;
        assert_eq!(understood(bare), "eu-west-1 210987654321 - shop prod");
        let tools = r#"{"account":"210987654321","detailType":"CodeDeploy Deployment State-change Notification",
            "region":"us-east-1","source":"aws.codedeploy","notificationRuleArn":"arn:aws:codestar-notifications:x",
            "detail":"{\"application\":\"shop\",\"deploymentGroup\":\"prod\",\"deploymentId\":\"d-1\"}",
            "additionalAttributes":{}}"#;
        assert_eq!(understood(tools), "us-east-1 210987654321 d-1 shop prod");
    }

    /// Row 68, and lies: whatever is published, nothing breaks.
    #[test]
    fn what_names_no_deployment_means_nothing() {
        let text = "a plain text, such as the test message of a new trigger";
        let unnamed = "it names no deployment and no deployment group";
        for (message, expected) in [
            ("This is a test message", text),
            ("", text),
            ("[1,2]", text),
            ("\"d-1\"", text),
            ("{\"deploymentId\":", text),
            ("{}", unnamed),
            (r#"{"deploymentId":"../../etc","applicationName":"shop"}"#, unnamed),
            (r#"{"deploymentId":["d-1"],"detail":{"deploymentId":{"d":1}}}"#, unnamed),
            (r#"{"detail":"not json"}"#, unnamed),
            (r#"{"source":"aws.ec2","detail":{"deploymentId":"d-1"}}"#, "an event of another service than CodeDeploy"),
            (r#"{"source":7,"deploymentId":"","detail":{"deploymentId":"d-1"}}"#, "eu-west-1 - d-1 - -"),
            (r#"{"accountId":12345,"deploymentId":9}"#, "eu-west-1 000000012345 9 - -"),
        ] {
            assert_eq!(understood(message), expected, "{message}");
        }
        assert_eq!(understood(&"[".repeat(200_000)), text);
    }
}
