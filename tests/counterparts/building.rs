//! The README's section on building on the API, followed to the letter by a shell with curl and jq. Only the address is
//! put in the place of another, and the stream, which has no end, is read for some seconds.

use crate::shipped::Shipped;
use crate::worlds::readme::blocks;

#[test]
fn the_readmes_words_to_the_api_do_what_it_says() {
    let mut bot = Shipped::new();
    bot.serve();
    for page in ["one", "two", "three"] {
        let sha = bot.push(page);
        bot.goes_live(&sha);
    }
    let words = blocks("Building on it").concat();
    assert!(words.contains("127.0.0.1:8080") && words.contains("api --no-buffer "), "{words}");
    let words = words.replace("127.0.0.1:8080", &bot.address);
    let words = words.replace("api --no-buffer ", "api --no-buffer --max-time 5 ") + "[ $? = 28 ]\n";
    let words = format!("PATH=$PWD:$PATH\n{words}");
    let output = bot.command("sh".as_ref()).args(["-c", &words]).output().unwrap();
    let (said, talk) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{talk}\n{said}");
    // What the page before and the page after have, and what the deployment that was asked for became.
    for part in [
        "\"title\":\"three\"",
        "\"title\":\"one\"",
        "\"kind\":\"planned\"",
        "\"key\":\"release-42\"",
        "\"kind\":\"succeeded\"",
    ] {
        assert!(said.contains(part), "`{part}` is not in\n{said}");
    }
    assert!(!talk.contains("The requested URL returned error"), "{talk}");
    assert_eq!(bot.ends(), Some(0));
}
