//! A CloudFormation template as it grows: parameters, resources, outputs, each name once. Pure.

use super::document::{Node, map};

/// A template being written.
#[derive(Debug, Default)]
pub(super) struct Stack {
    parameters: Vec<(String, Node)>,
    resources: Vec<(String, Node)>,
    outputs: Vec<(String, Node)>,
}

/// A resource: its type, what else stands beside its properties, its properties.
pub(super) fn resource<'a>(
    kind: &str,
    beside: &[(&str, &str)],
    properties: impl IntoIterator<Item = (&'a str, Node)>,
) -> Node {
    let mut entries = vec![("Type".to_owned(), Node::from(kind))];
    entries.extend(beside.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())));
    let properties = properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    entries.push(("Properties".to_owned(), Node::Map(properties)));
    Node::Map(entries)
}

impl Stack {
    /// A parameter that is text. Without a default it has to be given.
    pub(super) fn parameter(&mut self, name: &str, description: &str, default: Option<&str>) {
        self.parameter_of(name, description, default, &[]);
    }

    /// The same, of these values alone.
    pub(super) fn parameter_of(&mut self, name: &str, description: &str, default: Option<&str>, allowed: &[&str]) {
        let mut entries = vec![("Type", Node::from("String")), ("Description", description.into())];
        entries.extend(default.map(|it| ("Default", it.into())));
        if !allowed.is_empty() {
            entries.push(("AllowedValues", allowed.to_vec().into()));
        }
        let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        put(&mut self.parameters, name, Node::Map(entries));
    }

    /// A resource; one of this name that is there already stays.
    pub(super) fn resource(&mut self, name: &str, resource: Node) {
        put(&mut self.resources, name, resource);
    }

    /// A value that is shown when the stack is made.
    pub(super) fn output(&mut self, name: &str, description: &str, value: Node) {
        put(&mut self.outputs, name, map([("Description", description.into()), ("Value", value)]));
    }

    /// The whole.
    pub(super) fn document(self, description: &str) -> Node {
        let Self { parameters, resources, outputs } = self;
        let head = [("AWSTemplateFormatVersion", Node::from("2010-09-09")), ("Description", description.into())];
        let sections = [("Parameters", parameters), ("Resources", resources), ("Outputs", outputs)];
        let sections = sections.into_iter().filter(|(_, entries)| !entries.is_empty());
        let sections = sections.map(|(name, entries)| (name, Node::Map(entries)));
        Node::Map(head.into_iter().chain(sections).map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

fn put(entries: &mut Vec<(String, Node)>, name: &str, value: Node) {
    if !entries.iter().any(|(known, _)| known == name) {
        entries.push((name.to_owned(), value));
    }
}

/// Names in a template are letters and digits: `shop-production` is `ShopProduction` there. Two names that differ only
/// in what is left out would be one, so the second gets a number.
#[derive(Debug, Default)]
pub(super) struct Ids(Vec<(String, String)>);

impl Ids {
    /// The name in the template for a name in the configuration; the same for the same.
    pub(super) fn of(&mut self, name: &str) -> String {
        if let Some((_, id)) = self.0.iter().find(|(known, _)| known == name) {
            return id.clone();
        }
        let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|it| !it.is_empty());
        let base: String = words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
        let taken = |id: &String| self.0.iter().any(|(_, known)| known == id);
        let numbered = (2..).map(|number| format!("{base}{number}"));
        let id = [base.clone()].into_iter().chain(numbered).find(|id| !taken(id)).unwrap_or(base);
        self.0.push((name.to_owned(), id.clone()));
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_stay_apart() {
        let mut ids = Ids::default();
        assert_eq!(
            ["shop-a", "shopA", "shop/a", "shop-a"].map(|it| ids.of(it)),
            ["ShopA", "ShopA2", "ShopA3", "ShopA"]
        );
    }
}
