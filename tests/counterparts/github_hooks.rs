//! What is asked of GitHub about webhooks and their deliveries, validated against its own OpenAPI description by Prism.

use landfall::clients::Clock;
use landfall::clients::github::{GitHubClient, GitHubClients, Hook};
use landfall::config::GitHub;
use landfall::domain::RepositoryName;

fn repository() -> RepositoryName {
    RepositoryName::parse("octocat/Hello-World").unwrap()
}

fn client() -> GitHubClient {
    let github = GitHub::at(crate::counterpart("LANDFALL_TEST_PRISM"));
    GitHubClients::new(&github, Clock::system()).unwrap().of(&repository())
}

#[tokio::test]
async fn lost_deliveries_are_listed_read_and_sent_again_as_github_describes() {
    let client = client();
    let webhooks = client.webhooks_of(&repository()).await.unwrap();
    assert_eq!(webhooks[0].url(), "https://example.com/webhook", "the description's own example");
    let of_owner = client.webhooks_of_owner(&repository()).await.unwrap();
    assert!(matches!(&of_owner[0].hook, Hook::OfOrganisation { organisation, .. } if organisation == "octocat"));
    for hook in [webhooks[0].hook.clone(), of_owner[0].hook.clone(), Hook::OfApp] {
        let page = client.attempts(&hook, None).await.unwrap();
        let attempt = &page.attempts[0];
        assert!(attempt.came_through() && attempt.guid.len() == 36, "{attempt:?}");
        assert!(client.attempts(&hook, Some("per_page=100&cursor=v1_12077215967")).await.is_ok());
        assert!(client.sent(&hook, attempt.id).await.unwrap().is_some_and(|it| it.starts_with('{')), "{hook:?}");
        client.send_again(&hook, attempt.id).await.unwrap();
    }
}
