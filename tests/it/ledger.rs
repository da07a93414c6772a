//! The ledger on a real disk: commits, repeats, births, requests, and what can be asked of it.

mod damage;
mod door;
mod folds;
pub(crate) mod kinds;
pub(crate) mod made;
mod model;
mod moved;
mod retired;

use std::fs;

use landfall::domain::{
    Ask, BotEvent, Cause, Delivery, DeliveryEvent, DeliveryId, DeploymentEvent, DeploymentId, Event, Failure,
    NoDeployment, NoticeState, Offset, Order, Releases, RepositoryName, Request, SinkEvent, Stream, TargetEvent,
};
use landfall::ledger::{Append, Birth, DeliveryFilter, Filter, Ledger, LedgerError};

use made::{Dir, accept, append, append_after, at, delivery, deploy, main_branch, name, order, sha};

#[tokio::test]
async fn a_delivery_and_its_deployments_are_one_commit() {
    let dir = Dir::new();
    let ledger = dir.open();
    let first = delivery(1, 1);
    let accepted = ledger.accept(first.clone(), deploy(&first, &["blog", "shop"])).await.unwrap();
    assert!(!accepted.repeat);
    let id = accepted.plans[0].deployment.unwrap();
    assert_eq!(id, DeploymentId::derive(at(1), &["delivery-1", "blog"]));
    assert_eq!(ledger.end(), Offset(5));
    let streams: Vec<_> = ledger.read(Offset(0), 10).unwrap().iter().map(|it| it.stream.to_string()).collect();
    let planned = accepted.plans.iter().map(|it| format!("deployment/{}", it.deployment.unwrap())).collect::<Vec<_>>();
    assert_eq!(streams, ["delivery/delivery-1", "target/blog", &planned[0], "target/shop", &planned[1]]);
    assert_eq!(ledger.deployment(id).unwrap().unwrap().order().sha, sha(1));
    assert_eq!(ledger.head(&name("blog"), &main_branch()).unwrap().planned, Some((sha(1), id)));
    assert_eq!(ledger.target(&name("blog")).unwrap().repository_id, Some(7));
    assert_eq!(ledger.body(&first.id).unwrap().unwrap(), first.body);
    assert_eq!(ledger.unfinished().unwrap().len(), 2);
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_writes_nothing() {
    let dir = Dir::new();
    let ledger = dir.open();
    let first = delivery(1, 1);
    let answered = ledger.accept(first.clone(), deploy(&first, &["blog"])).await.unwrap();
    let end = ledger.end();
    let same_id = Delivery { digest: "d".repeat(64), body: "{}".into(), ..first.clone() };
    let same_body = Delivery { id: DeliveryId::parse("from-another-hook").unwrap(), ..first.clone() };
    for again in [first.clone(), same_id, same_body] {
        let plans = deploy(&again, &["blog"]);
        let repeat = ledger.accept(again, plans).await.unwrap();
        assert!(repeat.repeat);
        assert_eq!((&repeat.delivery, &repeat.plans), (&first.id, &answered.plans));
    }
    assert_eq!(ledger.end(), end);
}

#[tokio::test]
async fn the_newest_planned_commit_is_not_planned_again() {
    let dir = Dir::new();
    let ledger = dir.open();
    let id = accept(&ledger, 1, 1).await;
    let other_hook = delivery(2, 1);
    let again = ledger.accept(other_hook.clone(), deploy(&other_hook, &["blog", "shop"])).await.unwrap();
    assert!(!again.repeat);
    assert_eq!(again.plans[0].nothing, Some(NoDeployment::AlreadyPlanned { deployment: id }));
    assert!(again.plans[1].deployment.is_some());
    let newer = accept(&ledger, 3, 2).await;
    let forced_back = accept(&ledger, 4, 1).await;
    assert!(newer != id && forced_back != id);
    let plans = ledger.plans_of(&sha(1)).unwrap();
    let told: Vec<_> = plans.iter().map(|(delivery, line)| (delivery.as_str(), line.deployment)).collect();
    let shop = again.plans[1].deployment;
    assert_eq!(
        told,
        [("delivery-1", Some(id)), ("delivery-2", None), ("delivery-2", shop), ("delivery-4", Some(forced_back))]
    );
}

#[tokio::test]
async fn another_repository_under_a_pinned_name_plans_nothing() {
    let dir = Dir::new();
    let ledger = dir.open();
    accept(&ledger, 1, 1).await;
    let mut impostor = delivery(2, 2);
    impostor.push.repository.id = Some(8);
    let accepted = ledger.accept(impostor.clone(), deploy(&impostor, &["blog"])).await.unwrap();
    assert_eq!(accepted.plans[0].nothing, Some(NoDeployment::OtherRepository { pinned: 7, found: 8 }));
    assert_eq!(ledger.target(&name("blog")).unwrap().repository_id, Some(7));
}

/// Several segments of every kind of commit, and what every query says of it.
async fn lived(ledger: &Ledger) -> String {
    for n in 1..40 {
        let id = accept(ledger, n, n).await;
        append(ledger, id, DeploymentEvent::Weighing).await.unwrap();
        if n % 3 == 0 {
            let (head, commit) = (sha(n), sha(n));
            append(ledger, id, DeploymentEvent::Weighed { head, commit, forced: false, doubt: None }).await.unwrap();
            let failure = Failure::setup("test/failed", "it did not work");
            append(ledger, id, DeploymentEvent::Failed { failure }).await.unwrap();
        }
    }
    told(ledger)
}

fn told(ledger: &Ledger) -> String {
    let all = Filter { limit: 1000, ..Filter::default() };
    let records = ledger.read(Offset(0), 10_000).unwrap();
    let lines: Vec<_> = records.iter().map(landfall::domain::Record::to_line).collect();
    let deployments = ledger.deployments(&all).unwrap();
    let stories: Vec<_> = deployments.iter().map(|it| ledger.story(&Stream::Deployment(it.id())).unwrap()).collect();
    let target = (ledger.target(&name("blog")).unwrap(), ledger.head(&name("blog"), &main_branch()).unwrap());
    let deliveries = ledger.deliveries(None, 1000).unwrap();
    let plans: Vec<_> = (1..40).map(|n| ledger.plans_of(&sha(n)).unwrap()).collect();
    let unfinished = ledger.unfinished().unwrap();
    format!("{lines:#?}{deployments:#?}{stories:#?}{target:#?}{deliveries:#?}{plans:#?}{unfinished:#?}{}", ledger.end())
}

#[tokio::test]
async fn a_reopened_ledger_says_the_same_also_without_its_index() {
    let dir = Dir::new();
    let ledger = dir.open();
    let before = lived(&ledger).await;
    ledger.close().await;
    assert!(dir.segments().len() > 2, "{:?}", dir.segments());
    let dump = dir.dump();
    let ledger = dir.open();
    assert!(before == told(&ledger));
    ledger.close().await;
    assert_eq!(dump, dir.dump());
    fs::remove_dir_all(dir.ledger().join("index")).unwrap();
    let ledger = dir.open();
    assert!(before == told(&ledger));
    ledger.close().await;
    assert_eq!(dump, dir.dump());
}

#[tokio::test]
async fn only_the_quicker_of_two_writers_appends() {
    let dir = Dir::new();
    let ledger = dir.open();
    let id = accept(&ledger, 1, 1).await;
    // Both have seen one event, however quick the first is.
    let (one, two) = tokio::join!(
        append_after(&ledger, id, 1, DeploymentEvent::Weighing),
        append_after(&ledger, id, 1, DeploymentEvent::StopAsked { actor: "ada".into(), rollback: false }),
    );
    let Err(LedgerError::Overtaken { expected: Some(1), found: 2, .. }) = one.and(two) else { panic!("both wrote") };
    assert_eq!(ledger.deployment(id).unwrap().unwrap().events(), 2);
}

#[tokio::test]
async fn sixty_four_writers_leave_no_gap_and_no_repeat_is_planned() {
    let dir = Dir::new();
    let ledger = dir.open();
    let writers: Vec<_> = (0..64)
        .map(|writer| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                for round in 0..10 {
                    // Each commit comes twice, from two writers, under two ids and with one body.
                    let mut sent = delivery(1 + writer / 2 * 10 + round, 1 + writer / 2 * 10 + round);
                    sent.id = DeliveryId::parse(format!("hook-{writer}-{round}")).unwrap();
                    let plans = deploy(&sent, &["blog"]);
                    ledger.accept(sent, plans).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let records = ledger.read(Offset(0), 10_000).unwrap();
    assert!(records.iter().zip(0..).all(|(record, offset)| record.offset == Offset(offset)));
    assert_eq!(records.len() as u64, ledger.end().0);
    assert_eq!(ledger.deliveries(None, 1000).unwrap().len(), 320);
    assert_eq!(ledger.unfinished().unwrap().len(), 320);
    let pages = [ledger.deliveries(None, 200).unwrap(), ledger.deliveries(Some(records[200].offset), 1000).unwrap()];
    assert!(pages[0].windows(2).all(|pair| pair[0].offset > pair[1].offset));
    assert!(pages[1].iter().all(|it| it.offset < records[200].offset));
}

#[tokio::test]
async fn a_birth_is_born_once() {
    let dir = Dir::new();
    let ledger = dir.open();
    let parent = accept(&ledger, 1, 1).await;
    let order = Order {
        parent: Some(parent),
        ..order("blog", 1, Cause::Rollback { actor: None, key: None, to: None, run: None })
    };
    let births = vec![Birth { order, kind: "rollback".into() }; 2];
    let failure = Failure::setup("test/failed", "it did not work");
    let (stream, event) = (Stream::Deployment(parent), Event::Deployment(DeploymentEvent::Failed { failure }));
    let ending = Append { stream, expect: Some(1), event, births };
    let born = ledger.append(ending.clone()).await.unwrap().births;
    assert_eq!(born.len(), 1);
    assert!(matches!(ledger.append(ending).await, Err(LedgerError::Overtaken { found: 2, .. })));
    assert_eq!(ledger.unfinished().unwrap(), born);
    let planned = ledger.head(&name("blog"), &main_branch()).unwrap().planned;
    assert_eq!(planned, Some((sha(1), parent)), "a rollback is not a push");
}

#[tokio::test]
async fn a_catch_up_of_what_is_planned_bears_nothing() {
    let dir = Dir::new();
    let ledger = dir.open();
    accept(&ledger, 1, 1).await;
    let found = |commit| {
        let event = TargetEvent::Found { reference: main_branch(), sha: sha(commit) };
        let births = vec![Birth { order: order("blog", commit, Cause::CatchUp), kind: "catch-up".into() }];
        Append { stream: Stream::Target(name("blog")), expect: None, event: Event::Target(event), births }
    };
    assert_eq!(ledger.append(found(1)).await.unwrap().births, []);
    let born = ledger.append(found(2)).await.unwrap().births;
    assert_eq!(born.len(), 1);
    let late = delivery(2, 2);
    let plans = ledger.accept(late.clone(), deploy(&late, &["blog"])).await.unwrap().plans;
    assert_eq!(plans[0].nothing, Some(NoDeployment::AlreadyPlanned { deployment: born[0] }));
}

#[tokio::test]
async fn a_request_happens_once_for_each_key() {
    let dir = Dir::new();
    let ledger = dir.open();
    let parent = accept(&ledger, 1, 1).await;
    let ask = |key: &str, what: Ask| Request { actor: "ada".into(), key: key.into(), what };
    let redeploy = || {
        let cause = Cause::Redeploy { actor: "ada".into(), key: "k1".into() };
        let birth = Birth { order: Order { parent: Some(parent), ..order("blog", 1, cause) }, kind: "redeploy".into() };
        let lock = TargetEvent::Locked { actor: "ada".into(), reason: None, until: None, warns: false, after: None };
        let lock = (Stream::Target(name("blog")), Event::Target(lock));
        ledger.request(
            ask("k1", Ask::Redeploy { deployment: parent, options: Default::default() }),
            vec![lock],
            vec![birth],
        )
    };
    let first = redeploy().await.unwrap();
    let again = redeploy().await.unwrap();
    assert!(!first.repeat && again.repeat);
    assert_eq!((first.offset, &first.deployments), (again.offset, &again.deployments));
    assert_eq!(ledger.unfinished().unwrap().len(), 2);
    assert!(ledger.target(&name("blog")).unwrap().lock.is_some());

    assert_eq!(ledger.releases().unwrap(), Releases::default());
    let reason = Some("the network moves".to_owned());
    ledger.request(ask("k2", Ask::Pause { reason: reason.clone() }), vec![], vec![]).await.unwrap();
    assert_eq!(ledger.releases().unwrap().paused.unwrap().reason, reason);
    ledger.request(ask("k3", Ask::Resume {}), vec![], vec![]).await.unwrap();
    assert_eq!(ledger.releases().unwrap(), Releases::default());
    assert_eq!(ledger.story(&Stream::Bot).unwrap().len(), 3);

    let ended = DeploymentEvent::Failed { failure: Failure::setup("test/failed", "it did not work") };
    append(&ledger, parent, ended).await.unwrap();
    let end = ledger.end();
    let too_late = Event::Deployment(DeploymentEvent::StopAsked { actor: "ada".into(), rollback: false });
    let stop = ask("k4", Ask::Stop { deployment: parent, rollback: false });
    let refused = ledger.request(stop, vec![(Stream::Deployment(parent), too_late)], vec![]).await;
    assert!(matches!(refused, Err(LedgerError::Misplaced(_))), "{refused:?}");
    assert_eq!(ledger.end(), end, "all of a commit is refused, or none");
}

#[tokio::test]
async fn deployments_are_listed_newest_first_by_what_is_asked() {
    let dir = Dir::new();
    let ledger = dir.open();
    lived(&ledger).await;
    let list = |filter: Filter| {
        let found = ledger.deployments(&Filter { limit: 5, ..filter }).unwrap();
        found.iter().map(|it| it.created_at().duration_since(at(0)).as_secs()).collect::<Vec<_>>()
    };
    assert_eq!(list(Filter::default()), [39, 38, 37, 36, 35]);
    assert_eq!(list(Filter { target: Some(name("blog")), ..Filter::default() }), [39, 38, 37, 36, 35]);
    assert_eq!(list(Filter { target: Some(name("blo")), ..Filter::default() }), [0; 0]);
    assert_eq!(list(Filter { state: Some("failed".into()), ..Filter::default() }), [39, 36, 33, 30, 27]);
    assert_eq!(list(Filter { state: Some("weighing".into()), ..Filter::default() }), [38, 37, 35, 34, 32]);
    assert_eq!(list(Filter { sha: Some(sha(7).to_string()), ..Filter::default() }), [7]);
    assert_eq!(list(Filter { sha: Some("0".repeat(39)), ..Filter::default() }), [15, 14, 13, 12, 11]);
    for nothing in ["f", "fffff", "é--ünlïké", "0000000000000000000000000000000000000070"] {
        assert_eq!(list(Filter { sha: Some(nothing.into()), ..Filter::default() }), [0; 0]);
    }
    let before = ledger.deployments(&Filter { limit: 3, ..Filter::default() }).unwrap().pop().map(|it| it.id());
    assert_eq!(list(Filter { before, ..Filter::default() }), [36, 35, 34, 33, 32]);
    let weighing = Some("weighing".into());
    assert_eq!(list(Filter { before, state: weighing, ..Filter::default() }), [35, 34, 32, 31, 29]);
    assert_eq!(list(Filter { before, sha: Some("0".repeat(39)), ..Filter::default() }), [15, 14, 13, 12, 11]);
    let before = Some(DeploymentId::first_at(at(13)));
    assert_eq!(list(Filter { before, sha: Some("0".repeat(39)), ..Filter::default() }), [12, 11, 10, 9, 8]);
    assert_eq!(list(Filter { before, ..Filter::default() }), [12, 11, 10, 9, 8]);
    let from = Some(DeploymentId::first_at(at(11)));
    assert_eq!(list(Filter { before, from, ..Filter::default() }), [12, 11]);
    assert_eq!(list(Filter { from, sha: Some("0".repeat(39)), ..Filter::default() }), [15, 14, 13, 12, 11]);
    let of = |name: &str| Filter { repository: Some(RepositoryName::parse(name).unwrap()), ..Filter::default() };
    assert_eq!(list(of("Acme/SHOP")), [39, 38, 37, 36, 35], "GitHub's names ignore case");
    assert_eq!(list(of("acme/blog")), [0; 0]);
}

#[tokio::test]
async fn deliveries_are_listed_newest_first_by_what_is_asked() {
    let dir = Dir::new();
    let ledger = dir.open();
    for number in 0..600 {
        accept(&ledger, number, number).await;
    }
    let list = |filter: DeliveryFilter| {
        let (found, looked_to) = ledger.deliveries_among(&DeliveryFilter { limit: 3, ..filter }).unwrap();
        (found.iter().map(|it| it.at.duration_since(at(0)).as_secs()).collect::<Vec<_>>(), looked_to.is_some())
    };
    let all = DeliveryFilter::default;
    assert_eq!(list(all()), (vec![599, 598, 597], false));
    assert_eq!(list(DeliveryFilter { until: Some(at(71)), ..all() }), (vec![70, 69, 68], false));
    assert_eq!(list(DeliveryFilter { until: Some(at(0)), ..all() }), (vec![], false));
    assert_eq!(list(DeliveryFilter { since: Some(at(598)), ..all() }), (vec![599, 598], false));
    assert_eq!(list(DeliveryFilter { since: Some(at(7)), until: Some(at(9)), ..all() }), (vec![8, 7], false));
    assert_eq!(list(DeliveryFilter { since: Some(at(600)), ..all() }), (vec![], false));
    let of = |name: &str| DeliveryFilter { repository: Some(RepositoryName::parse(name).unwrap()), ..all() };
    assert_eq!(list(of("Acme/Shop")), (vec![599, 598, 597], false));
    assert_eq!(list(of("acme/blog")), (vec![], false));
}

#[tokio::test]
async fn a_follower_hears_of_every_durable_end() {
    let dir = Dir::new();
    let ledger = dir.open();
    let mut ends = ledger.follow();
    let id = accept(&ledger, 1, 1).await;
    assert_eq!(*ends.borrow_and_update(), Offset(3));
    let sent = |state, text: &str| {
        let (context, text) = ("landfall/blog".into(), text.into());
        let event =
            SinkEvent::Sent { deployment: id, context, sha: sha(1), state, text, remote_id: None, nth: 0, steps: 0 };
        Append { stream: Stream::Sink("github".into()), expect: None, event: Event::Sink(event), births: vec![] }
    };
    ledger.append(sent(NoticeState::Pending, "Planned")).await.unwrap();
    ledger.append(sent(NoticeState::Success, "Live")).await.unwrap();
    ends.changed().await.unwrap();
    assert_eq!(*ends.borrow_and_update(), Offset(5));
    let Some(SinkEvent::Sent { text, .. }) = ledger.sent("github", id).unwrap() else { panic!("it was sent") };
    assert_eq!(text, "Live");
    assert_eq!(ledger.sent("chat", id).unwrap(), None);
    assert_eq!(ledger.read(Offset(3), 1).unwrap()[0].offset, Offset(3));
}

#[tokio::test]
async fn what_belongs_elsewhere_or_to_nothing_is_refused() {
    let dir = Dir::new();
    let ledger = dir.open();
    let append = |stream, event| ledger.append(Append { stream, expect: None, event, births: vec![] });
    let stopping = Event::Bot(BotEvent::Stopping);
    let refused = append(Stream::Target(name("blog")), stopping).await;
    assert!(matches!(refused, Err(LedgerError::Mismatched { .. })), "{refused:?}");
    let nobody = DeploymentId::derive(at(0), &[]);
    let weighing = Event::Deployment(DeploymentEvent::Weighing);
    let refused = append(Stream::Deployment(nobody), weighing).await;
    assert!(matches!(refused, Err(LedgerError::Unknown { .. })), "{refused:?}");
    let replayed = DeliveryEvent::Replayed { actor: "ada".into(), key: "k".into(), plans: vec![] };
    let refused = append(Stream::Delivery(delivery(1, 1).id), Event::Delivery(replayed.clone())).await;
    assert!(matches!(refused, Err(LedgerError::Unknown { .. })), "{refused:?}");
    accept(&ledger, 1, 1).await;
    append(Stream::Delivery(delivery(1, 1).id), Event::Delivery(replayed)).await.unwrap();
    assert_eq!(ledger.story(&Stream::Delivery(delivery(1, 1).id)).unwrap().len(), 2);
    assert_eq!(ledger.deliveries(None, 10).unwrap().len(), 1);
}
