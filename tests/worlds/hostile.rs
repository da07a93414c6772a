//! Text that would like to be more than text, wherever people read what others wrote: in chat, by mail, on pages.

/// Each with a name for it. `N` in a text stands for what tells it from the others.
const TEXTS: &[(&str, &str)] = &[
    ("everyone", "N @everyone @here @channel @all @team-leads @ada"),
    ("slack's names", "N <!channel> <!here> <@U024BE7LH> <!subteam^S1|ops> <#C1|general>"),
    ("discord's names", "N <@123456789012345678> <@!1> <@&99999> <#77777> <id:customize> </deploy:1>"),
    ("discord's signs", "N <t:0:R> <:ship:1> <a:ship:1> :ship: :smile: <3 :) ||secret||"),
    ("teams' names", "N <at>Ada</at> <at id=\"0\">Ada</at> {{DATE(2026-01-01T00:00:00Z)}} ${user} @{user}"),
    ("masked links", "N [click](https://evil.example) ![x](https://evil.example/x.png) [a]: https://evil.example"),
    ("slack's links", "N <https://evil.example|safe> <mailto:a@evil.example|mail>"),
    ("bare links", "N https://evil.example/x?y=1#z http://evil.example www.evil.example evil.com/x ftp://evil.example"),
    ("links in signs", "N <https://evil.example> <a@evil.example> <//evil.example> (https://evil.example) _evil.com/x"),
    ("other schemes", "N javascript:alert(1) data:text/html,x mailto:a@evil.example tel:123 vscode://evil discord://x"),
    ("formatting", "N **bold** __under__ *it* _it_ ~~gone~~ ~gone~ ***x*** ==x=="),
    ("code", "N `x` ``y`` ```z``` `unclosed"),
    ("fences", "N ```\n@everyone\n```\n~~~\n@here\n~~~"),
    ("a fence that ends ours", "N\n```\n@everyone [x](https://evil.example)\n````\n`````"),
    ("a heading", "# N"),
    ("a small heading", "-# N"),
    ("a quote", "> N"),
    ("a long quote", ">>> N"),
    ("a list", "- N"),
    ("a star", "* N"),
    ("a plus", "+ N"),
    ("a number", "1. N"),
    ("a bracket", "1) N"),
    ("a rule", "--- N"),
    ("many lines", "N\n# b\n> c\n- d\n@here\n\n    e\n\u{2028}f\u{2029}g\r\nh"),
    ("a table", "| N | b |\n|---|---|\n| @here | d |"),
    ("latex", "N $x^2$ $$y$$ \\(z\\) \\[w\\] $\\href{https://evil.example}{x}$"),
    ("hashtags and channels", "N #deploy #1 ~town-square ~off-topic"),
    ("entities", "N &#64;channel &lt;b&gt; &commat;all &#x40;here &amp;lt;"),
    ("backslashes", "N \\@everyone \\\\@everyone \\\\\\[x](https://evil.example) \\`x\\` \\"),
    ("markup", "N <script>alert(1)</script><img src=x onerror=alert(1)><b>x</b><!-- x"),
    ("a template", "N {{ title }} {% if x %} ${{ secrets.TOKEN }} %s {0}"),
    ("a terminal's", "\u{1b}]0;pwn\u{7}\u{9b}2J\u{1b}[31mN\u{1b}[0m\u{8}\u{8}"),
    ("turned around", "N \u{202e}gnp.exe\u{202c} \u{2066}x\u{2069} \u{200f}\u{61c}"),
    ("unseen", "N a\u{200b}b\u{feff}c\u{ad}d\u{0}e"),
    ("stacked", "N z\u{351}\u{36b}\u{343}\u{36a}\u{302}\u{36b}\u{33d}\u{34f}\u{334}\u{319}\u{324}\u{31e}\u{349}"),
    ("headers", "N\r\nBcc: e@evil.example\r\n\r\n--=_0\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n.\r\nQUIT\r\n"),
    ("encoded words", "N =?utf-8?q?=0D=0ABcc:_e@evil.example?= =?utf-8?b?PGI+?= =3Cb=3E"),
    ("json", "N \"},\"allowed_mentions\":{\"parse\":[\"everyone\"]},{\"x\":\""),
    ("full width", "N ＠everyone ＃x ［x］（https：//evil.example）"),
];

/// The table, and what is long besides.
pub(crate) fn texts() -> Vec<(&'static str, String)> {
    let mut texts: Vec<_> = TEXTS.iter().map(|(name, text)| (*name, text.replace('N', "Nine"))).collect();
    texts.push(("nothing", String::new()));
    texts.push(("blanks", " \t\n ".into()));
    texts.push(("10 MB of ships", "🚢".repeat(10_000_000 / 4)));
    texts.push(("long and to be escaped", "*_`[](<@".repeat(2_000)));
    texts.push(("long backslashes", "\\".repeat(5_000)));
    texts.push(("long backticks", "`".repeat(5_000)));
    texts.push(("long quotes", "\"".repeat(5_000)));
    texts.push(("one long line of dollars", "$&<".repeat(3_000)));
    texts.push(("many lines of ships", "🚢🚢🚢🚢🚢🚢🚢🚢🚢🚢\n".repeat(1_000)));
    texts
}
