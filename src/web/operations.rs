//! What the API does, path by path, as its description tells it. It does nothing of it.

use serde_json::{Value, json};

use super::api::Tending;
use super::openapi::{Body, Link, Operation, Shapes, Takes};
use super::parameters::STREAM;
use super::requests::{AskedView, Asking, KEY_HEADER};
use super::stream::{GapView, LONGEST_ID};
use super::tokens::{GuestOutView, LOGIN, MadeView, RevokedView, SignedOutView, TokensPage, Wanted};
use crate::asking::UpkeepReport;
use crate::board::{
    AuditPage, AuditQuery, DeliveriesPage, DeliveriesQuery, DeliveryDetail, DeploymentDetail, DeploymentsPage,
    DeploymentsQuery, EventView, LogPage, LogQuery, MomentView, TargetDetail, TargetsPage, TrendView, WhyPage,
};
use crate::domain::{DeliveryId, DeploymentId, Offset, RepositoryName, Stream, TargetName, TokenName};

/// Ids, as they look.
const DEPLOYMENT: &str = "01KDYAMXQ816Y0CAT4FFDXQGAW";
const DELIVERY: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

/// All of them.
pub(super) fn operations(shapes: &mut Shapes) -> Vec<Operation> {
    let mut all = places(shapes);
    all.extend(reads(shapes));
    all.extend(lists(shapes));
    all.extend(writes(shapes));
    all.extend(keys(shapes));
    all
}

fn read(path: &'static str, name: &'static str, summary: &'static str) -> Operation {
    let (parameters, answers, refusals, links) = (vec![], vec![], vec![], vec![]);
    let takes = Takes::Reading;
    Operation { method: "get", path, name, summary, takes, parameters, body: None, answers, refusals, links }
}

fn as_json(schema: Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn query(name: &str, schema: Value, example: impl Into<Value>, description: &str) -> Value {
    let example = example.into();
    json!({ "name": name, "in": "query", "schema": schema, "example": example, "description": description })
}

fn in_path(name: &str, schema: Value, example: &str, description: &str) -> Value {
    json!({
        "name": name, "in": "path", "required": true, "schema": schema, "example": example, "description": description,
    })
}

/// A day or a time among the parameters.
fn moment(name: &str, description: &str) -> Value {
    let schema =
        json!({ "anyOf": [{ "type": "string", "format": "date" }, { "type": "string", "format": "date-time" }] });
    query(name, schema, "2026-01-31", description)
}

/// A time as people write it. That it is over, and which Februaries have 29 days, is not said by a pattern.
fn time() -> Value {
    let clock = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?";
    let day =
        r"(?!0000)\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|[12]\d))";
    json!({ "anyOf": [
        { "type": "string", "pattern": format!("^({day}[T ])?{clock}$") },
        { "type": "string", "format": "date-time" },
    ] })
}

fn limit(most: usize, usual: usize) -> Value {
    let schema = json!({ "type": "integer", "minimum": 1, "maximum": most, "default": usual });
    query("limit", schema, 20, "At most so many.")
}

/// A place in a log.
fn place() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
}

fn prefix() -> Value {
    json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{4,64}$" })
}

fn cursor(schema: Value, example: impl Into<Value>) -> Value {
    query("cursor", schema, example, "What the page before said; without it, the newest.")
}

/// What is asked of the targets.
fn places(shapes: &mut Shapes) -> Vec<Operation> {
    let name = in_path("name", shapes.taken::<TargetName>(), "site", "A target.");
    let unknown = vec![(404, "there is no such target")];
    let at = "A time that is over: `14:05` is the last time that it was so late; UTC where it names no zone.";
    let mut at = query("at", time(), "2026-01-31 14:05", at);
    at["required"] = json!(true);
    let trend = json!({
        "application/json": { "schema": shapes.given::<TrendView>() },
        "text/csv": { "schema": { "type": "string" } },
    });
    let formats = json!({ "type": "string", "enum": ["json", "csv"] });
    let format = query("format", formats, "csv", "As what; without it, what `Accept` begins with, or else JSON.");
    vec![
        Operation {
            links: vec![Link { to: "target", parameter: "name", at: "/targets/0/name" }],
            answers: vec![(200, "Every target.", as_json(shapes.given::<TargetsPage>()))],
            ..read("/targets", "targets", "Every target, what is live there, what goes on, what waits and why.")
        },
        Operation {
            parameters: vec![name.clone()],
            answers: vec![(200, "The target.", as_json(shapes.given::<TargetDetail>()))],
            refusals: unknown.clone(),
            ..read(
                "/targets/{name}",
                "target",
                "One target with its configuration, and what `landfall check` finds in it.",
            )
        },
        Operation {
            parameters: vec![name.clone(), at],
            answers: vec![(200, "What was live then.", as_json(shapes.given::<MomentView>()))],
            refusals: unknown.clone(),
            ..read("/targets/{name}/live", "liveAt", "What was live at a target at a time.")
        },
        Operation {
            parameters: vec![name, format],
            answers: vec![(200, "The figures of the last 30 days and of the 30 before.", trend)],
            refusals: unknown,
            ..read("/targets/{name}/figures", "figures", "How often, how fast and how well a target is deployed to.")
        },
    ]
}

/// What is asked for by its name.
fn reads(shapes: &mut Shapes) -> Vec<Operation> {
    let id = in_path("id", shapes.taken::<DeploymentId>(), DEPLOYMENT, "A deployment.");
    let delivery = in_path("id", shapes.taken::<DeliveryId>(), DELIVERY, "A delivery, by the id that GitHub gave it.");
    let sha = in_path("sha", prefix(), "4f2c1e9", "A commit, by the beginning of its hash.");
    vec![
        Operation {
            parameters: vec![id.clone()],
            answers: vec![(200, "The deployment.", as_json(shapes.given::<DeploymentDetail>()))],
            refusals: vec![(404, "there is no such deployment")],
            ..read("/deployments/{id}", "deployment", "One deployment with its whole story.")
        },
        Operation {
            parameters: vec![
                id,
                query(
                    "cursor",
                    place(),
                    0,
                    "What the page before said, for what comes next; without it, the beginning.",
                ),
                query("before", place(), 4096, "What the page after said in `before`, for what came before."),
                limit(LogQuery::MOST, LogQuery::NEWEST.limit),
            ],
            answers: vec![(200, "A page of its log.", as_json(shapes.given::<LogPage>()))],
            refusals: vec![(404, "there is no such deployment")],
            takes: Takes::Role("read"),
            ..read("/deployments/{id}/log", "log", "What a deployment's scripts said.")
        },
        Operation {
            parameters: vec![sha],
            answers: vec![(200, "The commit and what it meant.", as_json(shapes.given::<WhyPage>()))],
            refusals: vec![
                (400, "it is not the beginning of a hash, or that of several commits"),
                (404, "no commit that was pushed begins so"),
            ],
            ..read("/why/{sha}", "why", "Why a commit runs somewhere, or does not.")
        },
        Operation {
            parameters: vec![delivery],
            answers: vec![(200, "The delivery.", as_json(shapes.given::<DeliveryDetail>()))],
            refusals: vec![(404, "there is no such delivery")],
            ..read("/deliveries/{id}", "delivery", "One delivery, and what it meant for each target.")
        },
        Operation {
            answers: vec![(200, "This description.", as_json(json!({ "type": "object" })))],
            ..read("/openapi.json", "openapi", "The description of this API.")
        },
    ]
}

/// What is asked for page by page, or as it happens.
fn lists(shapes: &mut Shapes) -> Vec<Operation> {
    let repository = query("repository", shapes.taken::<RepositoryName>(), "acme/site", "Only of this repository.");
    let offset = shapes.taken::<Offset>();
    let states = json!({ "type": "string", "enum": DeploymentsQuery::states() });
    vec![
        Operation {
            parameters: vec![
                query("target", shapes.taken::<TargetName>(), "site", "Only of this target."),
                repository.clone(),
                query("sha", prefix(), "4f2c1e9", "Only of commits whose hash begins so."),
                query("state", states, "failed", "Only in this state."),
                moment("since", "Only those born then or later; a day begins at midnight, UTC."),
                moment("until", "Only those born before; of a day, before its end."),
                limit(DeploymentsQuery::MOST, DeploymentsQuery::default().limit),
                cursor(shapes.taken::<DeploymentId>(), DEPLOYMENT),
            ],
            links: vec![
                Link { to: "deployment", parameter: "id", at: "/deployments/0/id" },
                Link { to: "log", parameter: "id", at: "/deployments/0/id" },
                Link { to: "why", parameter: "sha", at: "/deployments/0/sha" },
            ],
            answers: vec![(
                200,
                "A page of deployments, the newest first.",
                as_json(shapes.given::<DeploymentsPage>()),
            )],
            ..read("/deployments", "deployments", "Deployments, the newest first.")
        },
        Operation {
            parameters: vec![
                repository,
                moment("since", "Only those received then or later; a day begins at midnight, UTC."),
                moment("until", "Only those received before; of a day, before its end."),
                limit(DeploymentsQuery::MOST, DeliveriesQuery::default().limit),
                cursor(offset.clone(), 4096),
            ],
            links: vec![Link { to: "delivery", parameter: "id", at: "/deliveries/0/id" }],
            answers: vec![(200, "A page of deliveries, the newest first.", as_json(shapes.given::<DeliveriesPage>()))],
            ..read("/deliveries", "deliveries", "What GitHub sent, the newest first.")
        },
        Operation {
            takes: Takes::Role("read"),
            parameters: vec![limit(DeploymentsQuery::MOST, AuditQuery::default().limit), cursor(offset.clone(), 4096)],
            answers: vec![(200, "A page of the audit trail, the newest first.", as_json(shapes.given::<AuditPage>()))],
            ..read("/audit", "audit", "Who asked for what, and who let whom in.")
        },
        events(shapes, &offset),
    ]
}

/// The event stream.
fn events(shapes: &mut Shapes, offset: &Value) -> Operation {
    let stream = json!({ "type": "array", "items": shapes.taken::<Stream>() });
    let id = json!({ "type": "string", "pattern": format!("^[0-9]{{0,{LONGEST_ID}}}$") });
    let last =
        "The offset of the last event that was read, as browsers send it by themselves: the stream goes on behind it.";
    let event = json!({
        "type": "object",
        "description": "One event of the stream.",
        "properties": {
            "id": { "type": "string", "pattern": "^[0-9]+$", "description": "The record's offset; none for a `gap`." },
            "event": { "enum": ["message", "gap"], "description": "For a record there is none, which means `message`." },
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": { "anyOf": [shapes.given::<EventView>(), shapes.given::<GapView>()] },
            },
        },
        "required": ["data"],
    });
    Operation {
        parameters: vec![
            query("from", offset.clone(), 0, "The offset to begin with; without it, what comes from now on."),
            query(
                STREAM,
                stream,
                vec!["bot"],
                "Only these streams, such as `deployment/ID`; `bot` takes the role `read` in any case.",
            ),
            json!({ "name": "Last-Event-ID", "in": "header", "schema": id, "example": "7", "description": last }),
        ],
        answers: vec![(
            200,
            "Every record as it is written: its offset as `id`, and as `data` what `events` of a deployment has. An event of the type `gap` comes first where records that were asked for are there no more. The stream ends with the bot, and with the token or session that it was opened with; a line of comment comes every 15 s.",
            json!({ "text/event-stream": { "schema": event } }),
        )],
        ..read("/events", "events", "What happens, as it happens (server-sent events).")
    }
}

fn write(method: &'static str, path: &'static str, name: &'static str, summary: &'static str) -> Operation {
    Operation { method, takes: Takes::Role("admin"), refusals: taken(), ..read(path, name, summary) }
}

/// How a body may be refused.
fn taken() -> Vec<(u16, &'static str)> {
    vec![
        (413, "the body is larger than 64 KiB"),
        (415, "the body is said to be something else than JSON"),
        (422, "the body is JSON, and not what is expected"),
    ]
}

/// What is asked to be done.
fn writes(shapes: &mut Shapes) -> Vec<Operation> {
    let key = json!({ "type": "string", "pattern": r#"^([!#-~]([ -~]{0,198}[!-~])?|"[ -~]{1,200}")$"# });
    let deploy = json!({ "ask": "deploy", "target": "site", "ref": "refs/heads/main" });
    let wishes = vec![
        ("deploy", json!({ "key": "release 42", "what": deploy })),
        ("redeploy", json!({ "key": "once more", "what": { "ask": "redeploy", "deployment": DEPLOYMENT } })),
        ("rollback", json!({ "key": "back again", "what": { "ask": "rollback", "target": "site" } })),
        ("lock", json!({ "key": "the fair", "what": { "ask": "lock", "target": "site", "reason": "the fair is on" } })),
    ];
    let asked = as_json(shapes.given::<AskedView>());
    let refusals = [(404, "what it is about is not there"), (409, "it cannot be done; `code` says why")];
    vec![
        Operation {
            takes: Takes::Role("deploy"),
            parameters: vec![json!({
                "name": KEY_HEADER, "in": "header", "schema": key, "example": "release-42",
                "description": "The key, where the body has none; both are the same, or it is refused with 422. Quotes around it are no part of it.",
            })],
            body: Some(Body { shape: shapes.taken::<Asking>(), examples: wishes }),
            links: vec![Link { to: "deployment", parameter: "id", at: "/deployments/0" }],
            answers: vec![
                (200, "It was asked for under this key before: what came of it then.", asked.clone()),
                (202, "It is on record, and what it asks for follows.", asked),
            ],
            refusals: taken().into_iter().chain(refusals).collect(),
            ..write(
                "post",
                "/requests",
                "request",
                "Asks for something; under one key it happens once. What concerns the whole bot takes `admin`.",
            )
        },
        Operation {
            body: Some(Body { shape: shapes.taken::<Tending>(), examples: vec![("look", json!({ "dry_run": true }))] }),
            answers: vec![(200, "What was or would be deleted.", as_json(shapes.given::<UpkeepReport>()))],
            refusals: taken().into_iter().chain([refusals[1]]).collect(),
            ..write("post", "/upkeep", "upkeep", "Makes a round of upkeep at once.")
        },
    ]
}

/// Who is let in.
fn keys(shapes: &mut Shapes) -> Vec<Operation> {
    let name = in_path("name", shapes.taken::<TokenName>(), "ci", "A token, by its name.");
    let login = json!({ "type": "string", "pattern": LOGIN });
    let login = in_path("login", login, "ada", "Somebody's login at GitHub.");
    let unknown = (404, "there is no token of this name");
    let wanted = json!({ "name": "ci", "role": "deploy", "targets": ["shop-*"] });
    vec![
        Operation {
            takes: Takes::Role("admin"),
            answers: vec![(
                200,
                "All tokens, without their secrets, and who is signed in with GitHub.",
                as_json(shapes.given::<TokensPage>()),
            )],
            ..read("/tokens", "tokens", "Who is let in.")
        },
        Operation {
            body: Some(Body { shape: shapes.taken::<Wanted>(), examples: vec![("ci", wanted)] }),
            links: vec![
                Link { to: "revokeToken", parameter: "name", at: "/name" },
                Link { to: "signOut", parameter: "name", at: "/name" },
            ],
            answers: vec![(
                201,
                "It works from now on. Its secret is told here and never again.",
                as_json(shapes.given::<MadeView>()),
            )],
            refusals: taken()
                .into_iter()
                .chain([(
                    409,
                    "there is a token of this name, so that a repeat makes no second one; or there are too many",
                )])
                .collect(),
            ..write("post", "/tokens", "makeToken", "Makes a token.")
        },
        Operation {
            parameters: vec![name.clone()],
            answers: vec![(
                200,
                "It works no more, and who signed in with it is signed out.",
                as_json(shapes.given::<RevokedView>()),
            )],
            refusals: vec![unknown, (409, "it is the token of the file, which is taken away there")],
            ..write("delete", "/tokens/{name}", "revokeToken", "Takes a token away.")
        },
        Operation {
            parameters: vec![name],
            answers: vec![(
                200,
                "It works on, and browsers have to show it again.",
                as_json(shapes.given::<SignedOutView>()),
            )],
            refusals: vec![unknown],
            ..write("delete", "/tokens/{name}/sessions", "signOut", "Signs out every browser that came with a token.")
        },
        Operation {
            parameters: vec![login],
            answers: vec![(
                200,
                "Their browsers are signed out, if there were any. By what `[login]` says they may come back.",
                as_json(shapes.given::<GuestOutView>()),
            )],
            refusals: vec![],
            ..write("delete", "/guests/{login}", "signOutGuest", "Signs out somebody who came with GitHub.")
        },
    ]
}
