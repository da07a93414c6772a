//! `landfall aws template`: one CloudFormation template for all that the targets need and that an empty account lacks.

use clap::{Args, ValueEnum};

use super::document::{Node, attribute, list, map, reference};
use super::groups::{Platform, add_group};
use super::permissions::{Extras, Kept, to_become, to_deploy, to_keep, to_prune};
use super::stack::{Ids, Stack, resource};
use super::statement::{Place, Statement, policy};
use super::subject::{RoleArn, Subject};
use super::trust;
use crate::cli::configuration::{ConfigArgs, chosen};
use crate::cli::exit::{Exit, Outcome, Trouble};
use crate::cli::terminal::{say, talk};
use crate::config::{Config, Environment};
use crate::domain::CodeDeploySpec;

/// An upload takes minutes; what a crash left of one is removed after this.
const CUT_UPLOADS_DAYS: u64 = 1;

/// Which side of a deployment into another account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The bot's account: the bucket, the bot's role
    Home,
    /// The account that is deployed to: the role that the bot takes, applications, groups, instances
    Account,
}

/// The arguments.
#[derive(Debug, Args)]
pub(in crate::cli) struct TemplateArgs {
    /// Only these targets
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,

    #[command(flatten)]
    config: ConfigArgs,

    /// What the applications are for; by the targets' revisions unless said
    #[arg(long, value_enum)]
    platform: Option<Platform>,

    /// One side of a deployment into another account (`assume_role`): each is a stack of its own
    #[arg(long, value_enum)]
    part: Option<Part>,

    /// Leave the bucket out: it is there already
    #[arg(long)]
    existing_bucket: bool,

    /// The key that the bucket encrypts with, instead of S3's own
    #[arg(long, value_name = "ARN")]
    kms_key: Option<String>,

    /// Add a topic and a rule that wake the bot up when a deployment's state changes; they are there without being asked
    /// for where `[sns]` names a topic of the region
    #[arg(long)]
    wake_ups: bool,

    /// Let `landfall doctor` ask for names nearly right and for the bucket's encryption too
    #[arg(long)]
    doctor: bool,

    /// Print it as JSON instead of YAML
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TemplateArgs, environment: &Environment) -> Outcome {
    let config = args.config.load_without_secrets(environment)?;
    let subject = Subject::of(chosen(&config, &args.targets)?, &config.targets)?.pruning(&config.retention);
    let template = Writer { args, config: &config, subject: &subject }.template()?;
    say(&if args.json { format!("{}\n", template.spelled_out().json()) } else { template.yaml() });
    for kept in subject.kept().iter().filter(|it| it.role.is_some()) {
        let (bucket, role) = (&kept.bucket, kept.role.as_deref().unwrap_or_default());
        talk(&format!(
            "note: bucket `{bucket}` is reached by `{role}`, and made in that account: `landfall aws policy --of \
             assumed-role --role {role}` is what it needs there\n"
        ));
    }
    if args.part == Some(Part::Home) {
        talk("note: next comes `--part account` in the other account, with the role that this stack puts out\n");
        talk("note: then the bucket's policy, which names both roles: `landfall aws bucket-policy`\n");
    }
    Ok(Exit::Done)
}

struct Writer<'a> {
    args: &'a TemplateArgs,
    config: &'a Config,
    subject: &'a Subject,
}

impl Writer<'_> {
    fn template(&self) -> Result<Node, Trouble> {
        let region = self.region()?;
        let role = self.role()?;
        let (home, account) = match self.args.part {
            None => (true, true),
            Some(Part::Home) => (true, false),
            Some(Part::Account) => (false, true),
        };
        let mut stack = Stack::default();
        if home {
            self.add_buckets(&mut stack);
            self.add_bot(&mut stack);
        }
        if let (true, Some(role)) = (account, &role) {
            self.add_role(&mut stack, role)?;
        }
        if account {
            self.add_groups(&mut stack)?;
        }
        let topic = self.topic(&region);
        if account && (self.args.wake_ups || topic.is_some()) {
            self.add_wake_ups(&mut stack, topic);
        }
        let names: Vec<&str> = self.subject.targets.iter().map(|it| it.name.as_str()).collect();
        let what = format!("What Landfall needs to deploy {} in {region}", names.join(", "));
        let bundles = if home && !self.kept().is_empty() { self.said_of_bundles() } else { "" };
        let room = 1024 - bundles.len();
        Ok(stack.document(&format!("{}{bundles}", what.chars().take(room).collect::<String>())))
    }

    /// A stack is made in one region.
    fn region(&self) -> Result<String, Trouble> {
        let regions = self.subject.regions();
        match &regions[..] {
            [one] => Ok(one.clone()),
            _ => {
                let message = format!("a stack lies in one region, and these targets are in {}", regions.join(", "));
                Err(Trouble::wrong(message).help("name the targets of one region, and print a template for each"))
            }
        }
    }

    /// The role of another account that the targets' account side is about.
    fn role(&self) -> Result<Option<RoleArn>, Trouble> {
        let (roles, at_home) = (self.subject.roles(), self.subject.at_home());
        let one = match roles[..] {
            [] if self.args.part.is_none() => return Ok(None),
            [] => {
                let message = "`--part` is for deployments into another account, and these targets name no role there";
                return Err(Trouble::wrong(message).help("leave `--part` out, or add `assume_role`"));
            }
            [one] => one,
            _ => {
                let message = format!("these targets deploy into {} accounts or more", roles.len());
                return Err(Trouble::wrong(message).help("name the targets of one account"));
            }
        };
        if !at_home.is_empty() {
            return Err(Trouble::wrong("some of these targets deploy into another account, and some do not")
                .help("name the targets of one account"));
        }
        if self.args.part.is_none() {
            let message = format!("the targets lie in another account than the bot, which takes `{one}` there");
            return Err(Trouble::wrong(message)
                .help("print two templates: `--part home` for the bot's account, `--part account` for the other"));
        }
        let wrong = |why| Trouble::wrong(format!("`assume_role` is `{one}`: {why}")).help("correct it");
        one.parse().map(Some).map_err(wrong)
    }

    fn extras(&self) -> Extras {
        Extras { kms_key: self.args.kms_key.clone(), doctor: self.args.doctor }
    }

    /// The groups, in the region of whatever stack it will be.
    fn specs(&self) -> Vec<CodeDeploySpec> {
        let here = |spec: &CodeDeploySpec| CodeDeploySpec { region: "${AWS::Region}".into(), ..spec.clone() };
        self.subject.specs().map(here).collect()
    }

    /// The places of bundles in the bot's own account: a bucket with a role of its own is made where that role is.
    fn kept(&self) -> Vec<Kept> {
        self.subject.kept_by(None)
    }

    /// What deletes what.
    fn said_of_bundles(&self) -> &'static str {
        if self.subject.pruned_by(None, &Place::of_the_stack()).is_empty() {
            ". Nothing deletes bundles: no lifecycle rule knows which version Auto Scaling still needs. Landfall does, \
             once `keep` is set. The bucket's one rule ends uploads that were cut off"
        } else {
            ". Landfall alone deletes bundles, by version, once no deployment group needs them (`keep`): no lifecycle \
             rule could know. The bucket's one rule ends uploads that were cut off"
        }
    }

    fn add_buckets(&self, stack: &mut Stack) {
        let mut ids = Ids::default();
        for kept in self.kept() {
            let id = match ids.of(&kept.bucket).as_str() {
                id if self.kept().iter().all(|it| it.bucket == kept.bucket) => id.replace(id, "Bucket"),
                id => format!("{id}Bucket"),
            };
            if self.args.existing_bucket {
                continue;
            }
            stack.resource(&id, bucket(&kept.bucket, self.args.kms_key.as_deref()));
            // In front of another account's instances the policy names them too, and `landfall aws bucket-policy` writes it.
            if self.subject.roles().is_empty() {
                let statements = trust::of_bucket(&[], &kept.bucket, &Place::of_the_stack(), None, None);
                let properties = [("Bucket", reference(&id)), ("PolicyDocument", policy(&statements))];
                stack.resource(&format!("{id}Policy"), resource("AWS::S3::BucketPolicy", &[], properties));
            }
        }
    }

    /// The bot's role, for the machine it runs on, and its policy, for a user where it runs elsewhere.
    fn add_bot(&self, stack: &mut Stack) {
        let place = Place::of_the_stack();
        let specs: Vec<CodeDeploySpec> = self.specs().into_iter().filter(|it| it.assume_role.is_none()).collect();
        let mut statements = to_deploy(&specs.iter().collect::<Vec<_>>(), &place, &self.extras());
        statements.extend(to_keep(&self.kept(), &place, &self.extras()));
        statements.extend(to_prune(&self.subject.pruned_by(None, &place)));
        statements.extend(to_become(&self.subject.all_roles()));
        let properties = [("Description", "What Landfall may do".into()), ("PolicyDocument", policy(&statements))];
        stack.resource("BotPolicy", resource("AWS::IAM::ManagedPolicy", &[], properties));
        let services = ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"];
        let about = "What the bot runs on; a machine outside AWS takes the policy by a user instead";
        stack.parameter_of("BotRunsOn", about, Some(services[0]), &services);
        let trust = Statement::trust(map([("Service", reference("BotRunsOn"))]));
        let properties =
            [("AssumeRolePolicyDocument", policy(&[trust])), ("ManagedPolicyArns", list([reference("BotPolicy")]))];
        stack.resource("BotRole", resource("AWS::IAM::Role", &[], properties));
        let properties = [("Roles", list([reference("BotRole")]))];
        stack.resource("BotInstanceProfile", resource("AWS::IAM::InstanceProfile", &[], properties));
        stack.output("BotRoleArn", "The role that the bot runs as", attribute("BotRole", "Arn"));
        stack.output("BotPolicyArn", "The bot's policy, for a user where it runs outside AWS", reference("BotPolicy"));
        let about = "The profile of the instance that the bot runs on";
        stack.output("BotInstanceProfileName", about, reference("BotInstanceProfile"));
    }

    /// The role that the bot takes in this account.
    fn add_role(&self, stack: &mut Stack, role: &RoleArn) -> Result<(), Trouble> {
        stack.parameter("BotRoleArn", "The bot's own role, in its account", None);
        let specs = self.specs();
        let mut ids: Vec<Option<&str>> = specs.iter().map(|it| it.external_id.as_deref()).collect();
        ids.dedup();
        let [id] = ids[..] else {
            return Err(Trouble::wrong("these targets take one role with different external ids")
                .help("give them one `external_id`, or name one target"));
        };
        let statements = to_deploy(&specs.iter().collect::<Vec<_>>(), &Place::of_the_stack(), &self.extras());
        let inline = map([("PolicyName", "landfall".into()), ("PolicyDocument", policy(&statements))]);
        let properties = [
            ("RoleName", role.name().into()),
            ("Path", role.path().into()),
            ("AssumeRolePolicyDocument", policy(&[trust::of_the_bot(reference("BotRoleArn"), id)])),
            ("Policies", list([inline])),
        ];
        stack.resource("DeployRole", resource("AWS::IAM::Role", &[], properties));
        stack.output("DeployRoleArn", "The `assume_role` of these targets", attribute("DeployRole", "Arn"));
        Ok(())
    }

    fn add_groups(&self, stack: &mut Stack) -> Result<(), Trouble> {
        let mut ids = Ids::default();
        let mut platforms = Vec::new();
        for (target, spec) in self.subject.targets.iter().zip(self.targets_specs()) {
            let Some(spec) = spec else { continue };
            let platform = Platform::of(target, self.args.platform)?;
            platforms.push((platform, spec.clone()));
            add_group(stack, &mut ids, target, &spec, platform);
        }
        for platform in [Platform::Server, Platform::Lambda, Platform::Ecs] {
            let specs: Vec<&CodeDeploySpec> =
                platforms.iter().filter(|(it, _)| *it == platform).map(|(_, spec)| spec).collect();
            if !specs.is_empty() {
                platform.add_service_role(stack, &trust::of_codedeploy(&specs, &Place::of_the_stack(), None));
            }
        }
        if platforms.iter().any(|(it, _)| *it == Platform::Server) {
            self.add_instances(stack);
        }
        Ok(())
    }

    /// Each target's group, where it has one, in the targets' order.
    fn targets_specs(&self) -> Vec<Option<CodeDeploySpec>> {
        let mut specs = self.specs().into_iter();
        let has = |target| super::permissions::codedeploy(target).is_some();
        self.subject.targets.iter().map(|it| if has(it) { specs.next() } else { None }).collect()
    }

    fn add_instances(&self, stack: &mut Stack) {
        let key = self.args.kms_key.as_deref();
        let statements = trust::of_instances(&self.subject.kept(), &["${AWS::Region}"], &Place::of_the_stack(), key);
        let inline = map([("PolicyName", "read-bundles".into()), ("PolicyDocument", policy(&statements))]);
        let properties = [
            ("AssumeRolePolicyDocument", policy(&[trust::of_service("ec2.amazonaws.com")])),
            ("Policies", list([inline])),
        ];
        stack.resource("InstanceRole", resource("AWS::IAM::Role", &[], properties));
        let properties = [("Roles", list([reference("InstanceRole")]))];
        stack.resource("InstanceProfile", resource("AWS::IAM::InstanceProfile", &[], properties));
        let about = "The profile of the instances that are deployed to";
        stack.output("InstanceProfileName", about, reference("InstanceProfile"));
        stack.output("InstanceRoleArn", "The role of the instances", attribute("InstanceRole", "Arn"));
    }

    /// The name of the topic that the configuration hears in this region, if it hears one.
    fn topic(&self, region: &str) -> Option<String> {
        let topic = self.config.sns.topics.iter().find(|it| it.region() == region)?;
        topic.as_str().rsplit(':').next().map(str::to_owned)
    }

    /// A rule that sends state changes to a topic, and the topic to the bot.
    fn add_wake_ups(&self, stack: &mut Stack, topic: Option<String>) {
        let named = |of: fn(&CodeDeploySpec) -> String| -> Node {
            let mut names: Vec<String> = self.subject.specs().map(of).collect();
            names.sort();
            names.dedup();
            names.into()
        };
        let mut properties = vec![("SignatureVersion", Node::from("2"))];
        properties.extend(topic.map(|name| ("TopicName", name.into())));
        stack.resource("WakeUps", resource("AWS::SNS::Topic", &[], properties));
        let pattern = map([
            ("source", list(["aws.codedeploy".into()])),
            ("detail-type", list(["CodeDeploy Deployment State-change Notification".into()])),
            (
                "detail",
                map([
                    ("application", named(|it| it.application.clone())),
                    ("deploymentGroup", named(|it| it.deployment_group.clone())),
                ]),
            ),
        ]);
        let target = map([("Id", "landfall".into()), ("Arn", reference("WakeUps"))]);
        let properties = [("EventPattern", pattern), ("Targets", list([target]))];
        stack.resource("WakeUpRule", resource("AWS::Events::Rule", &[], properties));
        let statements = [trust::of_topic("${WakeUps}", "${WakeUpRule.Arn}")];
        let properties = [("PolicyDocument", policy(&statements)), ("Topics", list([reference("WakeUps")]))];
        stack.resource("WakeUpsPolicy", resource("AWS::SNS::TopicPolicy", &[], properties));
        match self.config.public_url.as_deref().filter(|url| url.starts_with("https://")) {
            Some(url) => {
                let properties = [
                    ("TopicArn", reference("WakeUps")),
                    ("Protocol", "https".into()),
                    ("Endpoint", format!("{url}/webhooks/sns").into()),
                ];
                stack.resource("WakeUpsSubscription", resource("AWS::SNS::Subscription", &[], properties));
            }
            None => talk("note: without a `public_url` that begins with https:// nobody is subscribed to the topic\n"),
        }
        stack.output("WakeUpsTopicArn", "The topic that wakes the bot up, for `[sns] topics`", reference("WakeUps"));
    }
}

/// A bucket that keeps versions, encrypts, is nobody else's, and cleans up.
fn bucket(name: &str, kms_key: Option<&str>) -> Node {
    let encryption = match kms_key {
        Some(key) => map([
            (
                "ServerSideEncryptionByDefault",
                map([("SSEAlgorithm", "aws:kms".into()), ("KMSMasterKeyID", key.into())]),
            ),
            ("BucketKeyEnabled", true.into()),
        ]),
        None => map([("ServerSideEncryptionByDefault", map([("SSEAlgorithm", "AES256".into())]))]),
    };
    let blocked = ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"];
    let blocked = Node::Map(blocked.map(|key| (key.to_owned(), true.into())).into());
    let rule = |id: &str, what: &str, how: Node| map([("Id", id.into()), ("Status", "Enabled".into()), (what, how)]);
    // No rule ends old versions: one that was replaced under its key may be what an instance fetches that is launched
    // next year. Landfall alone deletes bundles, by version, once no group needs them.
    let rules = list([rule(
        "cut-uploads",
        "AbortIncompleteMultipartUpload",
        map([("DaysAfterInitiation", CUT_UPLOADS_DAYS.into())]),
    )]);
    let properties = [
        ("BucketName", name.into()),
        ("VersioningConfiguration", map([("Status", "Enabled".into())])),
        ("BucketEncryption", map([("ServerSideEncryptionConfiguration", list([encryption]))])),
        ("PublicAccessBlockConfiguration", blocked),
        ("OwnershipControls", map([("Rules", list([map([("ObjectOwnership", "BucketOwnerEnforced".into())])]))])),
        ("LifecycleConfiguration", map([("Rules", rules)])),
    ];
    // Bundles outlive the stack: a rollback may still need them.
    let beside = [("DeletionPolicy", "Retain"), ("UpdateReplacePolicy", "Retain")];
    resource("AWS::S3::Bucket", &beside, properties)
}
