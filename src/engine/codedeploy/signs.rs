//! Known signs: words in a log or in a message that tell more than the code beside them (guide, «Troubleshooting»).
//! Tables only.

use crate::domain::Blame::{self, Revision, Setup};

/// What a failed lifecycle event means: our code, who has to act, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sign {
    pub(super) code: &'static str,
    pub(super) blame: Blame,
    pub(super) help: &'static str,
}

const fn sign(code: &'static str, blame: Blame, help: &'static str) -> Sign {
    Sign { code, blame, help }
}

const LINE_ENDS: Sign = sign(
    "codedeploy/line-ends",
    Revision,
    "save the script with the line ends of Unix, and let `.gitattributes` say `*.sh text eol=lf`",
);

/// What scripts and the agent write on an instance. The first that is found counts.
const ON_INSTANCES: [(&str, Sign); 6] = [
    ("^M: bad interpreter", LINE_ENDS),
    (r"\r': command not found", LINE_ENDS),
    (
        "Missing credentials",
        sign(
            "codedeploy/instance-profile",
            Setup,
            "give the instance a profile whose role may read the bundle: `landfall aws policy --of instance` prints it",
        ),
    ),
    (
        "PKCS7",
        sign(
            "codedeploy/agent-outdated",
            Setup,
            "update the CodeDeploy agent on the instance: before 1.0.1.854 it cannot check what CodeDeploy signs",
        ),
    ),
    (
        "Signature expired",
        sign(
            "codedeploy/instance-clock",
            Setup,
            "set the instance's clock: AWS refuses what is signed at a wrong time",
        ),
    ),
    (
        "already exists at this location",
        sign(
            "codedeploy/file-exists",
            Revision,
            "set `file_exists_behavior` to OVERWRITE or RETAIN, or remove the file",
        ),
    ),
];

/// What CodeDeploy says of Lambda, ECS and load balancers, and what to do about it. The first that is found counts.
const IN_ENDS: [(&str, &str); 7] = [
    (
        "waiting for the replacement task set",
        "look at the service's events in ECS: often the task definition's image is mistyped or cannot be pulled",
    ),
    (
        "waiting for a notification to continue",
        "deploy again, and let it go on in time: `landfall approve ID`; or raise the group's wait before rerouting",
    ),
    (
        "following AWS service: AWSLambda",
        "allow the group's service role lambda:InvokeFunction on the hooks: `AWSCodeDeployRoleForECS` has it",
    ),
    (
        "waiting for a status callback",
        "let the hook's function call PutLifecycleEventHookExecutionStatus within an hour, and its role allow that call",
    ),
    ("validation functions failed", "read the log of the hook's function: it reported Failed"),
    (
        "Primary taskset target group must be behind listener",
        "point both listeners, production and test, to the target group that serves now",
    ),
    (
        "Only ALB supports gradual traffic routing",
        "take `CodeDeployDefault.ECSAllAtOnce`, the one configuration for a Network Load Balancer, or an Application one",
    ),
];

/// What is known of a lifecycle event that failed, by its log or else by its error code.
pub(super) fn of_event(event: &str, error_code: &str, text: &str) -> Sign {
    if let Some((_, sign)) = ON_INSTANCES.iter().find(|(words, _)| text.contains(words)) {
        return *sign;
    }
    match (event, error_code) {
        ("DownloadBundle", _) => sign(
            "codedeploy/download-failed",
            Setup,
            "check that the instance's role may read the object, and that bucket and instance are in one region",
        ),
        (event, _) if crate::appspec::PREVIOUS_EVENTS.contains(&event) => sign(
            "codedeploy/previous-revision-failed",
            Revision,
            // Whose script it is, and how to pass over it, the conductor says: it knows the command for that.
            "read the script's last lines below",
        ),
        ("AllowTraffic", _) if text.is_empty() => sign(
            "codedeploy/health-check",
            Setup,
            "correct the health check of the load balancer's target group: no script runs at this event",
        ),
        (_, "ScriptMissing") => {
            sign("codedeploy/script-missing", Revision, "correct `location`: it is relative to the bundle's root")
        }
        (_, "ScriptNotExecutable") => {
            sign("codedeploy/script-not-executable", Revision, "make the script executable and commit its mode")
        }
        (_, "ScriptTimedOut") => sign(
            "codedeploy/script-timed-out",
            Revision,
            "raise its `timeout`, and let what it leaves in the background close stdin, stdout and stderr",
        ),
        (_, "ScriptFailed") => sign("codedeploy/script-failed", Revision, "read the script's last lines below"),
        _ => sign("codedeploy/event-failed", Revision, "read the agent's log on the instance"),
    }
}

/// What to do about an end, where its message says more than its code.
pub(super) fn of_end(message: &str) -> Option<&'static str> {
    IN_ENDS.iter().find(|(words, _)| message.contains(words)).map(|(_, help)| *help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_says_more_than_its_code() {
        for (event, error_code, text, code, blame) in [
            ("AfterInstall", "ScriptFailed", "bash: /opt/x.sh: /bin/bash^M: bad interpreter", "line-ends", Revision),
            ("AfterInstall", "ScriptFailed", r"x.sh: line 2: $'\r': command not found", "line-ends", Revision),
            ("DownloadBundle", "UnknownError", "CommandPoller: Missing credentials", "instance-profile", Setup),
            ("DownloadBundle", "UnknownError", "Validation of PKCS7 signed message failed", "agent-outdated", Setup),
            ("DownloadBundle", "UnknownError", "not opened for reading", "download-failed", Setup),
            ("Install", "UnknownError", "The file already exists at this location", "file-exists", Revision),
            ("ApplicationStop", "ScriptFailed", "boom", "previous-revision-failed", Revision),
            ("AllowTraffic", "", "", "health-check", Setup),
            ("AllowTraffic", "", "the target group is gone", "event-failed", Revision),
            ("ApplicationStart", "ScriptTimedOut", "", "script-timed-out", Revision),
        ] {
            let sign = of_event(event, error_code, text);
            assert_eq!((sign.code, sign.blame), (&*format!("codedeploy/{code}"), blame), "{event} {text}");
        }
    }

    #[test]
    fn an_end_on_ecs_or_lambda_is_explained_by_its_message() {
        let message =
            "The deployment timed out while waiting for a notification to continue. This time out period is 5 minutes.";
        assert!(of_end(message).unwrap().contains("landfall approve ID"));
        let message = "The ELB could not be updated due to the following error: Primary taskset target group must be behind listener";
        assert!(of_end(message).unwrap().contains("both listeners"));
        assert_eq!(of_end("The overall deployment failed because too many individual instances failed"), None);
    }
}
