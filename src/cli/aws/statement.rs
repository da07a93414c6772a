//! IAM's statements and names, as values. Pure.

use super::document::{Node, map};

/// Where ARNs are: concrete, or as CloudFormation's pseudo parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: String,
    pub(super) account: String,
}

impl Place {
    /// Wherever a stack is made.
    pub(super) fn of_the_stack() -> Self {
        Self { partition: "${AWS::Partition}".into(), account: "${AWS::AccountId}".into() }
    }

    /// The ARN of something in a region.
    pub(super) fn arn(&self, service: &str, region: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{region}:{}:{resource}", self.partition, self.account)
    }

    /// The ARN of a bucket, or of objects in one: buckets belong to no region and no account there.
    pub(super) fn bucket(&self, path: &str) -> String {
        format!("arn:{}:s3:::{path}", self.partition)
    }
}

/// AWS's separate worlds, by the beginning of their regions' names.
pub(super) fn partition(region: &str) -> &'static str {
    const WORLDS: &[(&str, &str)] = &[
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("us-iso-", "aws-iso"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
    ];
    WORLDS.iter().find(|(begins, _)| region.starts_with(begins)).map_or("aws", |(_, world)| world)
}

/// One statement of a policy.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    sid: String,
    effect: &'static str,
    principal: Option<Node>,
    actions: Vec<String>,
    resources: Vec<String>,
    condition: Option<Node>,
}

impl Statement {
    /// Allows these actions on these resources; a resource named twice stands once.
    pub(super) fn allow(sid: &str, actions: &[&str], resources: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut named: Vec<String> = Vec::new();
        for resource in resources.into_iter().map(Into::into) {
            if !named.contains(&resource) {
                named.push(resource);
            }
        }
        Self {
            sid: sid.to_owned(),
            effect: "Allow",
            principal: None,
            actions: actions.iter().map(|&it| it.to_owned()).collect(),
            resources: named,
            condition: None,
        }
    }

    /// Lets a principal take the role that the statement is attached to.
    pub(super) fn trust(principal: Node) -> Self {
        Self::allow("", &["sts:AssumeRole"], [""; 0]).by(principal)
    }

    /// Denies instead.
    #[must_use]
    pub(super) fn denied(self) -> Self {
        Self { effect: "Deny", ..self }
    }

    /// The same, for these principals.
    #[must_use]
    pub(super) fn by(self, principal: Node) -> Self {
        Self { principal: Some(principal), ..self }
    }

    /// The same, under this condition.
    #[must_use]
    pub(super) fn when(self, condition: Node) -> Self {
        Self { condition: Some(condition), ..self }
    }

    /// Whether it allows or denies this action.
    pub(super) fn speaks_of(&self, action: &str) -> bool {
        self.actions.iter().any(|it| it == action)
    }

    /// As the document has it.
    pub(super) fn node(&self) -> Node {
        let mut entries: Vec<(&str, Node)> = Vec::new();
        if !self.sid.is_empty() {
            entries.push(("Sid", self.sid.as_str().into()));
        }
        entries.push(("Effect", self.effect.into()));
        entries.extend(self.principal.clone().map(|it| ("Principal", it)));
        entries.push(("Action", one_or_many(&self.actions)));
        if !self.resources.is_empty() {
            entries.push(("Resource", one_or_many(&self.resources)));
        }
        entries.extend(self.condition.clone().map(|it| ("Condition", it)));
        Node::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

/// A policy of these statements.
pub(super) fn policy(statements: &[Statement]) -> Node {
    let statements = statements.iter().map(Statement::node).collect();
    map([("Version", "2012-10-17".into()), ("Statement", Node::List(statements))])
}

/// One text where there is one, as people write it.
pub(super) fn one_or_many(texts: &[String]) -> Node {
    match texts {
        [one] => one.as_str().into(),
        many => many.to_vec().into(),
    }
}
