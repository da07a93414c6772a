//! Row 4: what a configuration may say of promotions, and what is found in one that says something else.

use expect_test::expect;
use landfall::domain::Promote;

use super::{HEAD, check, parse, place};

/// A target of CodeDeploy in this region, with a bucket; lines for the target come first.
fn target(name: &str, lines: &str, region: &str) -> String {
    format!(
        "[[target]]\nname = \"{name}\"\nrepository = \"acme/shop\"\n{lines}\n\
         revisions = {{ s3 = {{ bucket = \"acme-revisions\", region = \"eu-west-1\" }} }}\n\
         engine = {{ kind = \"codedeploy\", application = \"shop\", deployment_group = \"{name}\", region = \"{region}\" }}\n"
    )
}

fn here(name: &str, lines: &str) -> String {
    target(name, lines, "eu-west-1")
}

#[test]
fn a_chain_of_one_repository_is_fine() {
    let dir = place();
    let text = [
        HEAD.to_owned(),
        here("test", "branches = [\"main\"]\npromote_to = [\"staging\"]\npromote = \"automatic\""),
        here("staging", "promote_to = \"production\""),
        here("production", ""),
    ];
    let config = parse(dir.path(), &text.concat()).unwrap();
    assert!(config.warnings.0.is_empty(), "{}", config.warnings);
    let said: Vec<_> = config.targets.iter().map(|it| (it.promote_to.len(), it.promote)).collect();
    assert_eq!(said, [(1, Promote::Automatic), (1, Promote::OnApproval), (0, Promote::OnApproval)]);
}

#[test]
fn a_promotion_that_leads_nowhere_or_in_a_circle_is_found() {
    check(
        &[
            here("a", "branches = [\"main\"]\npromote_to = \"bb\""),
            here("b", "promote_to = [\"c\"]"),
            here("c", "promote_to = [\"b\"]"),
            here("d", "promote_to = \"d\""),
            here("e", "branches = [\"main\"]\npromote_to = [\"f\", \"f\"]\npromote = \"never\""),
            here("f", "promote = \"automatic\""),
        ]
        .concat(),
        expect![[r#"
            5:14+4 Error config/unknown-target: no target is called `bb`
                did you mean `b`?
            11:15+3 Error config/promotion-cycle: this promotes in a circle: b → c → b
                take one `promote_to` of the circle out: a promotion has to end somewhere
            23:14+3 Error config/promotion-cycle: this promotes in a circle: d → d
                take one `promote_to` of the circle out: a promotion has to end somewhere
            30:20+3 Error config/promotion-repeated: `f` is promoted to by `e` already
                let each target follow one other, so that it is clear what it waits for
            31:11+7 Error config/bad-value: `target.promote` cannot be `never`
                use one of `on-approval`, `automatic`
            37:11+11 Error config/bad-value: `promote` without `promote_to` has no effect
                add `promote_to = "…"`, or take it out
        "#]],
    );
}

#[test]
fn a_target_that_cannot_take_the_same_object_is_found() {
    let other = "branches = [\"main\"]\nbundle = { exclude = [\"docs/**\"] }";
    check(
        &[
            here("a", "branches = [\"main\"]\npromote_to = [\"b\", \"c\", \"d\", \"e\"]"),
            here("b", "bundle = { exclude = [\"docs/**\"] }"),
            target("c", "", "eu-central-1"),
            here("d", other).replace("acme/shop", "acme/other"),
            "[[target]]\nname = \"e\"\nrepository = \"acme/shop\"\nengine = { kind = \"host\" }\n".to_owned(),
        ]
        .concat(),
        expect![[r#"
            5:15+3 Error config/promotion-mismatch: `b` makes its bundles by other rules than `a`, but is to get the same bundle
                give both the same `[target.bundle]`, or take the promotion out
            5:20+3 Error config/promotion-mismatch: `c` deploys in eu-central-1, and bucket `acme-revisions` lies in eu-west-1
                give `c` a bucket of its own there: the bundle is made again in it, and must be the same
            5:25+3 Error config/promotion-mismatch: `d` deploys acme/other, and `a` acme/shop
                give both the same `repository` and `source`, or take the promotion out
            5:25+3 Warning config/promotion-bypassed: `d` takes pushes to `main` by itself: they do not wait for `a`
                take `main` out of the rule of `d`: a target that is promoted to needs none
            5:30+3 Error config/promotion-mismatch: `e` is deployed by `host`, and `a` by `codedeploy`
                give both the same `kind` of engine, or take the promotion out
            18:58+11 Error config/region-mismatch: the bucket is in eu-west-1, but the deployment group in eu-central-1: its agents cannot fetch from there
                name a bucket in eu-central-1; each region needs a bucket and a target of its own
        "#]],
    );
}

#[test]
fn a_target_that_takes_pushes_by_itself_too_is_warned_of() {
    check(
        &[here("a", "branches = [\"main\"]\npromote_to = \"b\""), here("b", "branches = [\"main\"]")].concat(),
        expect![[r#"
            5:14+3 Warning config/promotion-bypassed: `b` takes pushes to `main` by itself: they do not wait for `a`
                take `main` out of the rule of `b`: a target that is promoted to needs none
        "#]],
    );
}

/// Row 1: what the configuration says of platforms and forms of revision has to agree along a chain.
#[test]
fn targets_of_other_platforms_or_forms_of_revision_take_nothing_of_each_other_rows_1_and_4() {
    let inline = |name: &str, lines: &str, engine: &str| {
        format!(
            "[[target]]\nname = \"{name}\"\nrepository = \"acme/shop\"\n{lines}\n[target.engine]\nkind = \"codedeploy\"\n\
             application = \"shop\"\ndeployment_group = \"{name}\"\nregion = \"eu-west-1\"\n{engine}\n"
        )
    };
    let found = |from: &str, to: &str| {
        let dir = place();
        let first = inline("a", "branches = [\"main\"]\npromote_to = \"b\"", from);
        let text = [HEAD.to_owned(), first, inline("b", "", to)].concat();
        let findings = match parse(dir.path(), &text) {
            Ok(config) => config.warnings,
            Err(findings) => findings,
        };
        let of_promotions = findings.0.iter().filter(|it| it.code == "config/promotion-mismatch");
        of_promotions.map(|it| it.message.clone()).collect::<Vec<_>>().join(" | ")
    };
    let (lambda, ecs) = ("platform = \"lambda\"", "platform = \"ecs\"");
    assert_eq!(found(lambda, lambda), "");
    let apart = "neither takes the other's revisions";
    assert_eq!(found(lambda, ecs), format!("`platform` of `b` is ECS, and of `a` Lambda: {apart}"));
    let file = "platform = \"ecs\"\nappspec = \"deploy/web.yaml\"";
    assert_eq!(found(ecs, file), format!("`appspec` of `b` is `deploy/web.yaml`, and of `a` not set: {apart}"));
    assert_eq!(found(file, file), "");
    // What their variables stand for may differ: that is what tells the targets apart.
    assert_eq!(found("platform = \"ecs\"\nvariables = { STAGE = \"test\" }", ecs), "");
}
