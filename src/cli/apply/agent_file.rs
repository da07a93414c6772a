//! A CodeDeploy agent's configuration file, read for what matters to a run: where its directory is, how much is kept.
//! A key that means nothing here is told, and so is one that the agent does not know.

use std::fs;
use std::path::{Path, PathBuf};

use saphyr_parser::{Event, Parser};

use crate::cli::exit::Trouble;
use crate::config::nearest;
use crate::domain::plainly;

/// What is used of the file.
const USED: &[&str] = &["root_dir", "max_revisions"];

/// What else the agent knows (guide, «configuration reference»), without its colons: what it has unless it is told, and
/// why that means nothing here.
const WITHOUT_EFFECT: &[(&str, &str, &str)] = &[
    ("log_dir", "/var/log/aws/codedeploy-agent", "logs lie in the engine's own directory"),
    ("pid_dir", "/opt/codedeploy-agent/state/.pid", "there is no agent that runs on"),
    ("program_name", "codedeploy-agent", "there is no agent that runs on"),
    ("verbose", "false", "what is done is told as it is done"),
    ("wait_between_runs", "1", "nothing is asked for again and again"),
    ("proxy_uri", "", "bundles are fetched without a proxy: fetch it yourself, and name the file"),
    ("log_aws_wire", "false", "what comes over the wire is never logged"),
    (
        "on_premises_config_file",
        "/etc/codedeploy-agent/conf/codedeploy.onpremises.yml",
        "credentials are those of the environment",
    ),
    ("enable_auth_policy", "false", "no commands are asked of AWS"),
    ("disable_imds_v1", "false", "set AWS_EC2_METADATA_V1_DISABLED in the environment"),
    ("enable_deployments_log", "true", "the log of all deployments is always written"),
    ("use_fips_mode", "false", "set AWS_USE_FIPS_ENDPOINT in the environment"),
    ("kill_agent_max_wait_time_seconds", "7200", "there is no agent that runs on"),
];

/// What is used of the file.
#[derive(Debug, Default)]
pub(super) struct AgentFile {
    pub(super) root_dir: Option<PathBuf>,
    pub(super) max_revisions: Option<u32>,
    /// What a person should know.
    pub(super) warnings: Vec<String>,
}

impl AgentFile {
    pub(super) fn read(path: &Path) -> Result<Self, Trouble> {
        let name = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| Trouble::unreachable(format!("`{name}` cannot be read: {}", plainly(&error))))?;
        let help = "write it as the agent has it: a line such as `:max_revisions: 5` for each setting";
        let pairs = pairs(&text).map_err(|why| Trouble::wrong(format!("`{name}` cannot be read: {why}")).help(help))?;
        let mut file = Self::default();
        for (key, value) in pairs {
            file.take(&key, &value).map_err(|why| Trouble::wrong(format!("{why} in `{name}`")))?;
        }
        Ok(file)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key.trim_matches(':') {
            "root_dir" if Path::new(value).is_absolute() => self.root_dir = Some(value.into()),
            "root_dir" => return Err(format!("`root_dir` must be an absolute path, and is `{value}`")),
            "max_revisions" => {
                let number = value.parse().ok().filter(|number| *number > 0);
                let wrong = || format!("`max_revisions` must be a whole number above 0, and is `{value}`");
                self.max_revisions = Some(number.ok_or_else(wrong)?);
            }
            other => self.warn_of(key, other, value),
        }
        Ok(())
    }

    /// Says what a key that is not used would have done, unless it only says what the agent does anyway.
    fn warn_of(&mut self, key: &str, name: &str, value: &str) {
        match WITHOUT_EFFECT.iter().find(|(known, ..)| *known == name) {
            Some((_, usual, _)) if [*usual, "", "~", "null"].contains(&value.trim_end_matches('/')) => {}
            Some((_, _, why)) => {
                self.warnings.push(format!("`:{name}:` of the agent's configuration file has no effect here: {why}"));
            }
            None => {
                let known = USED.iter().copied().chain(WITHOUT_EFFECT.iter().map(|(known, ..)| *known));
                let near = nearest(name, known);
                let near = near.map(|near| format!(": did you mean `:{near}:`?")).unwrap_or_default();
                self.warnings.push(format!("the agent's configuration file has an unknown key `{key}`{near}"));
            }
        }
    }
}

/// The keys and values of a flat YAML map, as they are written.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut scalars = Vec::new();
    let mut is_map = false;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        match event {
            Event::Scalar(text, ..) => scalars.push(text.into_owned()),
            Event::MappingStart(..) if !is_map => is_map = true,
            Event::MappingStart(..) | Event::SequenceStart(..) | Event::Alias(_) => {
                return Err(format!("line {}: expected plain settings, found something nested", span.start.line()));
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
            Event::DocumentEnd | Event::SequenceEnd | Event::MappingEnd => {}
        }
    }
    if !is_map && !scalars.is_empty() {
        return Err("expected settings such as `:max_revisions: 5`, found plain text".into());
    }
    let mut scalars = scalars.into_iter();
    Ok(std::iter::from_fn(|| Some((scalars.next()?, scalars.next().unwrap_or_default()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.yml");
        fs::write(&path, text).unwrap();
        let found = match AgentFile::read(&path) {
            Ok(file) => format!("{:?} {:?} {}", file.root_dir, file.max_revisions, file.warnings.join("; ")),
            Err(trouble) => trouble.to_string().replace(dir.path().to_str().unwrap(), "DIR"),
        };
        assert_eq!(found.trim(), expected, "{text}");
    }

    #[test]
    fn an_agents_file_is_read_as_the_agent_has_it() {
        check("---\n:root_dir: /opt/x\n:max_revisions: 2\n:verbose: false\n", "Some(\"/opt/x\") Some(2)");
        check(":root_dir: \"/opt/x\" # here\n", "Some(\"/opt/x\") None");
        check("", "None None");
    }

    #[test]
    fn a_key_without_effect_is_told_unless_it_says_what_the_agent_does_anyway() {
        check(
            ":log_dir: '/var/log/aws/codedeploy-agent/'\n:pid_dir: '/opt/codedeploy-agent/state/.pid'\n:proxy_uri:\n",
            "None None",
        );
        check(
            ":proxy_uri: http://proxy:3128\n:verbose: true\n",
            "None None `:proxy_uri:` of the agent's configuration file has no effect here: bundles are fetched without a \
             proxy: fetch it yourself, and name the file; `:verbose:` of the agent's configuration file has no effect \
             here: what is done is told as it is done",
        );
    }

    #[test]
    fn what_is_wrong_with_an_agents_file_is_one_readable_sentence() {
        for (value, id) in [("0", "A04"), ("-1", "A04"), ("x", "A04"), ("1.5", "A04")] {
            let expected =
                format!("`max_revisions` must be a whole number above 0, and is `{value}` in `DIR/agent.yml`");
            check(&format!(":max_revisions: {value}\n"), &expected);
            assert!(!id.is_empty());
        }
        check(":root_dir: here\n", "`root_dir` must be an absolute path, and is `here` in `DIR/agent.yml`");
        check(
            ":root_dir:\n  - /a\n",
            "`DIR/agent.yml` cannot be read: line 2: expected plain settings, found something nested",
        );
        check(
            "nothing of the kind\n",
            "`DIR/agent.yml` cannot be read: expected settings such as `:max_revisions: 5`, found plain text",
        );
        check(
            ":max_revision: 2\n",
            "None None the agent's configuration file has an unknown key `:max_revision`: did you mean `:max_revisions:`?",
        );
    }
}
